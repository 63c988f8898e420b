"""The one loop that executes a workflow: expand, start what is ready, sleep until something ends.

A step that is ready goes to a worker thread (`perform`); what it published may make more stages ready.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from recast_dm import store
from recast_dm.engine import events, expand, publishers
from recast_dm.engine.cache import StepCache
from recast_dm.engine.perform import Request, Worker, now
from recast_dm.engine.rundir import Record, RunDirectory
from recast_dm.errors import Interrupted, RecastError, StepFailed
from recast_dm.model import INIT, Step, StepId
from recast_dm.runtimes import Runtime


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that succeeded: where it lies and every step's record, in the order of the workflow."""

    directory: Path
    records: tuple[Record, ...]

    def record(self, step: StepId) -> Record:
        return next(record for record in self.records if record.step == step)


def execute(
    request: Request,
    *,
    directory: Path,
    runtime: Runtime,
    jobs: int,
    cache: StepCache | None,
    observer: events.Observer,
) -> Finished:
    """Executes a workflow in a run directory, resuming what it holds. At most `jobs` containers at once.

    Raises StepFailed when a step fails (steps that run are awaited, finished ones are kept), Interrupted on a
    KeyboardInterrupt (containers are ended), LockedError when another runner works in the directory.
    """
    with RunDirectory(directory) as rundir:
        return _Loop(request, rundir, runtime, jobs, cache, observer).run()


class _Loop:
    def __init__(
        self,
        request: Request,
        rundir: RunDirectory,
        runtime: Runtime,
        jobs: int,
        cache: StepCache | None,
        observer: events.Observer,
    ) -> None:
        self._request = request
        self._rundir = rundir
        self._observer = observer
        self._runtime = runtime
        self._jobs = max(1, jobs)
        init_tree = store.tree_of(request.initdir) if request.initdir else store.Tree(())
        init = publishers.publish_init(request.initdata, init_tree.names() if request.initdir else None)
        self._expansion = expand.Expansion(request.workflow, init, request.relaxations)
        self._trees: dict[StepId, str] = {INIT: init_tree.sha256}
        self._records: dict[StepId, Record] = {}
        self._order: list[StepId] = []
        self._ready: deque[Step] = deque()
        self._blocked: dict[StepId, list[Step]] = {}
        self._missing: dict[StepId, int] = {}
        self._about = runtime.about()
        run_id = rundir.identify({**request.about, "runtime": self._about.name, "started": now()})
        self._worker = Worker(request, rundir, runtime, self._about, cache, observer, run_id)

    def run(self) -> Finished:
        began = time.monotonic()
        self._observer(events.RunStarted(self._rundir.root, f"{self._about.name} {self._about.version}"))
        self._runtime.sweep(self._worker.run_id)
        self._expand()
        running: dict[Future[Record], Step] = {}
        failure: RecastError | None = None
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="step") as pool:
            try:
                while True:
                    if failure is None:
                        self._submit(pool, running)
                    if not running:
                        break
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        ended = self._settle(running.pop(future), future)
                        failure = failure or ended
            except KeyboardInterrupt as error:
                self._stop(running)
                raise Interrupted(
                    f"interrupted; {len(self._records)} finished steps are kept in {self._rundir.root}",
                    signal_number=getattr(error, "signal_number", 2),
                    hint="the same command with --workdir goes on from here",
                ) from None
        if failure is not None:
            raise failure
        self._complete()
        self._observer(events.RunFinished(self._rundir.root, time.monotonic() - began))
        return Finished(self._rundir.root, tuple(self._records[step] for step in self._order))

    def _expand(self) -> None:
        """Takes in the steps of every stage that has become ready; each step counts the inputs it still waits for."""
        new = self._expansion.advance()
        for step in new:
            self._order.append(step.id)
            missing = {source for source in _sources(step) if source not in self._trees}
            self._missing[step.id] = len(missing)
            for source in missing:
                self._blocked.setdefault(source, []).append(step)
            if not missing:
                self._ready.append(step)
        if new:
            self._observer(events.StepsPlanned(tuple(s.id for s in new), not self._expansion.waiting))

    def _submit(self, pool: ThreadPoolExecutor, running: dict[Future[Record], Step]) -> None:
        """Starts steps whose inputs are there, as far as there are free places."""
        while self._ready and len(running) < self._jobs:
            step = self._ready.popleft()
            trees = {source: self._trees[source] for source in _sources(step)}
            running[pool.submit(self._worker.perform, step, trees)] = step

    def _settle(self, step: Step, future: Future[Record]) -> RecastError | None:
        """Takes in a step that ended. An error that is not ours is a defect and ends the run as it is."""
        try:
            record = future.result()
        except RecastError as error:
            self._observer(events.StepEnded(step.id, error.message))
            return error
        self._records[step.id] = record
        self._trees[step.id] = record.tree.sha256
        for waiting in self._blocked.pop(step.id, ()):
            self._missing[waiting.id] -= 1
            if self._missing[waiting.id] == 0:
                self._ready.append(waiting)
        self._expansion.publish(step.id, record.published)
        self._expand()
        return None

    def _stop(self, running: Mapping[Future[Record], Step]) -> None:
        """Ends every container; one that is just being started is caught by looking again."""
        self._worker.stop.set()
        waiting = set(running)
        while waiting:
            try:
                self._runtime.sweep(self._worker.run_id)
                _, waiting = wait(waiting, timeout=1)
            except KeyboardInterrupt:
                continue  # once is enough

    def _complete(self) -> None:
        """A workflow in which something never ran has not succeeded."""
        if never := self._expansion.waiting:
            raise StepFailed(
                f"these stages never became ready: {', '.join(never)}",
                hint="look at their dependencies: a stage they wait for made no step, or published nothing",
            )
        if not self._records:
            raise StepFailed("the workflow made no step at all", hint="is a scattered list empty?")


def _sources(step: Step) -> tuple[StepId, ...]:
    """The steps that must have finished before this one starts."""
    return tuple(dict.fromkeys(s for s in (*step.depends_on, *step.input_dirs()) if s != step.id))
