"""Campaigns: many seeded trials of one claim, kept where they stopped.

A campaign is a module beside this one with

    NAME: str                            what it is called, also on the command line
    TOTAL: int                           trials that the project promises to have made
    def one(seed: int) -> str | None     one trial: None when it went well, else what went wrong
    def setup(): ...                     optional: a context manager that is held while trials are made

The state of a campaign (`build/soak/<name>.json`: the next seed, the failures with their seeds) is written after every
chunk, so that it goes on where it was ended.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recast_dm import store

CHUNK_SECONDS = 10.0
"""How often the state is written."""
_OURS = frozenset({"campaign", "__main__", "__init__"})


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    what: str


@dataclass(frozen=True, slots=True)
class State:
    """Seeds below `next_seed` have been tried; these failed. `seconds` is how long that took."""

    next_seed: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()

    def write(self, path: Path) -> None:
        store.make_directory(path.parent)
        store.write_atomic(path, store.pretty(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> State:
        """The state that was written there, or that of a campaign that has not begun."""
        if not path.exists():
            return cls()
        document: dict[str, Any] = json.loads(path.read_text())
        failures = tuple(Failure(**failure) for failure in document["failures"])
        return cls(document["next_seed"], document["seconds"], failures)


@dataclass(frozen=True, slots=True)
class Campaign:
    name: str
    total: int
    one: Callable[[int], str | None]
    setup: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)

    def trial(self, seed: int) -> Failure | None:
        """One trial. An exception is a failure too: it is what the claim did not foresee."""
        try:
            what = self.one(seed)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to this seed
            what = f"{type(error).__name__}: {error}"
        return None if what is None else Failure(seed, what)


def found() -> tuple[Campaign, ...]:
    """Every campaign in this directory, by name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    modules = [
        importlib.import_module(f"tests.soak.{name}")
        for name in names
        if name not in _OURS and not name.startswith(("test_", "conftest"))
    ]
    return tuple(
        Campaign(module.NAME, module.TOTAL, module.one, getattr(module, "setup", nullcontext)) for module in modules
    )


def go_on(campaign: Campaign, state: State, count: int, clock: Callable[[], float] = time.monotonic) -> Iterator[State]:
    """Makes `count` more trials; the state after each chunk, the last one after the last trial."""
    seed, failures = state.next_seed, list(state.failures)
    end = seed + count
    began = chunk = clock()
    with campaign.setup():
        while seed < end:
            if failure := campaign.trial(seed):
                failures.append(failure)
            seed += 1
            if seed == end or clock() - chunk >= CHUNK_SECONDS:
                chunk = clock()
                yield State(seed, state.seconds + chunk - began, tuple(failures))
