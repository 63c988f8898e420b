"""How something is executed, and where its files go: what the command line says with options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm import runtimes
from recast_dm.backends.local import Local
from recast_dm.config import Config, run_directory
from recast_dm.engine.cache import StepCache
from recast_dm.engine.events import Observer
from recast_dm.model import Policy, Workflow
from recast_dm.runtimes import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to execute: at most `jobs` steps at once (None: one a processor), in containers of `runtime`.

    `workdir` is the run directory, resumed when it exists; None makes a new one below build/runs. `cache` reads and
    writes the cache of finished steps; `retries` and `timeout` (seconds) hold for every step; `allow_host` lets
    `localproc-env` start processes of this machine. `observer` hears what happens (`recast_dm.engine.events`), `told`
    notes and warnings in a sentence.

    >>> Settings(jobs=2, retries=1).policy.retries
    1
    """

    jobs: int | None = None
    runtime: str | None = None
    workdir: str | Path | None = None
    cache: bool = True
    retries: int = 0
    timeout: float | None = None
    verify: bool = False
    allow_host: bool = False
    observer: Observer = field(default=lambda _: None, repr=False)
    told: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def policy(self) -> Policy:
        return Policy(retries=self.retries, timeout=self.timeout)

    def directory(self) -> Path:
        """The run directory: the given one, or a new name."""
        return run_directory(None if self.workdir is None else Path(self.workdir))

    def runtime_for(self, workflow: Workflow) -> Runtime | None:
        """What starts the containers of a workflow; None for one without any. Raises ToolMissing."""
        return runtimes.find(self.runtime or config().runtime) if workflow.images() else None

    def backend(self, workflow: Workflow, *, keep_going: bool = False) -> Local:
        """Our own engine, on a runtime of this machine."""
        place = config().writable_cache(self._not_cached) if self.cache else None
        return Local(
            runtime=self.runtime_for(workflow),
            jobs=self.jobs or config().jobs,
            cache=StepCache(place) if place else None,
            allow_host=self.allow_host,
            keep_going=keep_going,
            verify=self.verify,
            policy=self.policy,
        )

    def checks(self) -> Path | None:
        """Where it is remembered which limits were checked against pyhf."""
        place = config().writable_cache() if self.cache else None
        return place / "checks" if place else None

    def _not_cached(self, why: str) -> None:
        self.told(f"finished steps are not cached: {why}")


def config() -> Config:
    """What the environment says now."""
    return Config.from_environment()
