"""What a run would do, without doing it: which steps there are, and what is finished already."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from recast_dm import store
from recast_dm.engine import expand, publishers, twins
from recast_dm.engine import key as keys
from recast_dm.engine.beginning import begin
from recast_dm.engine.cache import StepCache
from recast_dm.engine.publishers import Files
from recast_dm.engine.request import Request
from recast_dm.engine.rundir import DAMAGED, RunDirectory
from recast_dm.model import DockerEnvironment, FromYamlPublisher, ManualPublisher, Step, StepId

Prospect: TypeAlias = Literal["kept", "cached", "runs", "waits"]
"""`kept` in this run directory; `cached` from elsewhere; it `runs`; or it `waits` for steps that run first.

A step that does the same work as one that runs waits for that one's files.
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """A step that is known before anything runs. `key` only where everything that it depends on is finished."""

    step: Step
    prospect: Prospect
    key: str | None = None
    key_parts: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Every step that can be known now, and the stages that must wait for files."""

    steps: tuple[Planned, ...]
    waiting: tuple[expand.Unready, ...]


def forecast(request: Request, directory: Path | None, cache: StepCache | None) -> Forecast:
    """What executing a request in a run directory would do. Nothing is started, nothing is written.

    An image that is not in `request.images` leaves its steps without a key: they run.
    """
    return _Look(request, RunDirectory(directory) if directory else None, cache).look()


class _Look:
    def __init__(self, request: Request, rundir: RunDirectory | None, cache: StepCache | None) -> None:
        self._request = request
        self._rundir = rundir
        self._cache = cache
        self._expansion, self._trees = begin(request.workflow, request.initdata, request.initdir, request.relaxations)
        self._planned: dict[StepId, Planned] = {}
        self._run: set[str] = set()

    def look(self) -> Forecast:
        """Steps that are finished may make others known, so it goes on until there is nothing new."""
        open_steps: deque[Step] = deque()
        new = self._expansion.advance()
        while new:
            open_steps.extend(new)
            self._pass(open_steps)
            new = self._expansion.advance()
        self._expansion.demand_no_errors()
        for step in open_steps:
            self._planned[step.id] = Planned(step, "waits")
        return Forecast(tuple(self._planned.values()), self._expansion.waiting)

    def _pass(self, steps: deque[Step]) -> None:
        """Looks at every step whose inputs are known, once more for each that turns out to be finished."""
        progress = True
        while progress:
            progress = False
            for _ in range(len(steps)):
                step = steps.popleft()
                if any(source not in self._trees for source in step.sources()):
                    if all(source in self._trees or source in self._planned for source in step.sources()):
                        self._planned[step.id] = Planned(step, "waits")
                    else:
                        steps.append(step)
                    continue
                progress = True
                self._take(step)

    def _take(self, step: Step) -> None:
        if step.spec.init:
            self._trees[step.id] = ""
            return
        environment = step.spec.environment
        image = None
        if isinstance(environment, DockerEnvironment):
            image = self._request.images.get(environment.reference)
            if image is None:
                self._planned[step.id] = Planned(step, "runs")
                return
        parts = keys.parts(step, image, self._trees)
        key = keys.of(parts)
        found = self._finished(step, key, cacheable=image is not None)
        if found is None:
            twin = twins.alike(step) and key in self._run
            self._run.add(key)
            self._planned[step.id] = Planned(step, "waits" if twin else "runs", key, parts)
            return
        prospect, tree = found
        self._planned[step.id] = Planned(step, prospect, key, parts)
        self._trees[step.id] = tree.sha256
        files = Files(tree.names())
        if not isinstance(step.spec.publisher, FromYamlPublisher | ManualPublisher):
            self._expansion.publish(step.id, publishers.publish(step, files), files)

    def _finished(self, step: Step, key: str, *, cacheable: bool) -> tuple[Prospect, store.Tree] | None:
        with contextlib.suppress(*DAMAGED):
            if self._rundir and (kept := self._rundir.kept(step.id, key)):
                return "kept", kept.tree
        entry = self._cache.peek(key) if self._cache and cacheable else None
        return ("cached", entry) if entry else None
