"""A user's own limit curves: one JSON file (schema `recast-dm/curves/1`) that holds them with where they came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.curves.curve import Curve
from recast_dm.curves.shipped import shipped
from recast_dm.errors import IntegrityError, UsageError

SCHEMA = "recast-dm/curves/1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A curve that a user added, from which file, and when."""

    curve: Curve
    source: str
    added: str

    def document(self) -> dict[str, Any]:
        return {**self.curve.document(), "source": self.source, "added": self.added}


def load(path: Path) -> tuple[Kept, ...]:
    """The curves in a file, sorted by name; none where there is no file. Raises IntegrityError."""
    if not path.exists():
        return ()
    document = store.read_json(path, SCHEMA)
    hint = "mend it, or remove it and add your curves again"
    if problem := schemas.problem("curves-1", document):
        raise IntegrityError(f"{path} is damaged: {problem[1]} (in {'/'.join(map(str, problem[0]))})", hint=hint)
    try:
        return tuple(_kept(each) for each in document["curves"])
    except UsageError as error:
        raise IntegrityError(f"{path} is damaged: {error.message}", hint=hint) from None


def _kept(said: dict[str, Any]) -> Kept:
    source, added = said.pop("source"), said.pop("added")
    return Kept(Curve.from_document(said), source, added)


def known(path: Path) -> tuple[Curve, ...]:
    """Every curve known here: those that come with recast-dm, then the user's."""
    return (*shipped(), *(kept.curve for kept in load(path)))


def add(path: Path, curve: Curve, source: str, *, replace: bool = False) -> Kept:
    """Keeps a curve. Raises UsageError for a name that is taken, unless an own curve is to be replaced."""
    if any(curve.name == each.name for each in shipped()):
        raise UsageError(f"{curve.name!r} comes with recast-dm", hint="give yours another name with --name")
    new = Kept(curve, source, datetime.now(UTC).isoformat(timespec="seconds"))
    with store.alone(path, f"write your curves {path}"):
        others = load(path)
        if not replace and any(curve.name == each.curve.name for each in others):
            raise UsageError(f"there is a curve {curve.name!r} already", hint="--replace takes its place")
        _write(path, [*(each for each in others if each.curve.name != curve.name), new])
    return new


def remove(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Forgets own curves. Raises UsageError, and forgets none, when one of the names is not one's own."""
    gone = tuple(dict.fromkeys(names))
    with store.alone(path, f"write your curves {path}"):
        there = load(path)
        own = [each.curve.name for each in there]
        for name in gone:
            if name not in own:
                also = any(name == each.name for each in shipped())
                what = "comes with recast-dm" if also else "is not one of your curves"
                raise UsageError(f"{name!r} {what}", hint=f"yours: {', '.join(own) or 'none'}")
        _write(path, [each for each in there if each.curve.name not in gone])
    return gone


def _write(path: Path, kept: list[Kept]) -> None:
    by_name = sorted(kept, key=lambda each: each.curve.name)
    store.write_atomic(path, store.pretty({"schema": SCHEMA, "curves": [each.document() for each in by_name]}))
