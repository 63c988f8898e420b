"""The one loop that executes a workflow: expand, start what is ready, sleep until something ends.

A step that is ready goes to a worker thread (`perform`), together with others of its stage where recast.yml says so
(`together`); one whose twin is being done waits for its files (`twins`). What a step published may make more ready.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

from recast_dm.engine import batches, events, expand
from recast_dm.engine.beginning import begin
from recast_dm.engine.journal import Journal
from recast_dm.engine.perform import Worker, now
from recast_dm.engine.publishers import Files
from recast_dm.engine.request import Request
from recast_dm.engine.rundir import Record, RunDirectory
from recast_dm.engine.starting import Prepared, Tools
from recast_dm.engine.together import Alone, Ending, Together
from recast_dm.engine.twins import Twins, failed_as
from recast_dm.errors import Failure, Interrupted, RecastError, StepFailed
from recast_dm.model import Image, Step, StepId
from recast_dm.runtimes import About


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that succeeded: where it lies, every step's record in the order of the workflow, its steps and images."""

    directory: Path
    records: tuple[Record, ...]
    steps: tuple[Step, ...] = ()
    images: tuple[Image, ...] = ()
    _by_step: dict[StepId, Record] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_step", {record.step: record for record in self.records})

    def record(self, step: StepId) -> Record:
        return self._by_step[step]


def execute(request: Request, *, directory: Path, tools: Tools, jobs: int, keep_going: bool = False) -> Finished:
    """Executes a workflow in a run directory, resuming what it holds. At most `jobs` steps at once.

    Raises StepFailed when a step fails (steps that run are awaited, finished ones are kept; with `keep_going` also
    everything that does not need the failed one is done first), Interrupted on a KeyboardInterrupt (containers are
    ended), LockedError when another runner works in the directory.
    """
    with RunDirectory(directory) as rundir:
        return _Loop(request, rundir, tools, jobs, keep_going).run()


Share: TypeAlias = "tuple[Prepared, ...]"
"""The steps that one free place takes."""
Endings: TypeAlias = "tuple[Ending, ...]"
Running: TypeAlias = "Future[Endings]"


class _Loop:
    def __init__(self, request: Request, rundir: RunDirectory, tools: Tools, jobs: int, keep_going: bool) -> None:
        self._rundir = rundir
        self._runtimes = {name: r for name, r in (("containers", tools.containers), ("host", tools.host)) if r}
        about = {name: runtime.about() for name, runtime in self._runtimes.items()}
        shown = next(iter(about.values()), About("none", "", ()))
        run_id = rundir.identify({**request.about, "runtime": shown.name, "started": now()})
        rundir.keep_workflow(request.workflow, request.relaxations)
        self._journal = Journal(rundir.journal, tools.observer)
        self._observer = self._journal
        self._shown = f"{shown.name} {shown.version}".strip()
        self._images = tuple(request.images.values())
        self._jobs = max(1, jobs)
        self._keep_going = keep_going
        self._expansion, self._trees = begin(request.workflow, request.initdata, request.initdir, request.relaxations)
        self._records: dict[StepId, Record] = {}
        self._steps: list[Step] = []
        self._ready: deque[Step] = deque()
        self._alone: deque[tuple[Prepared, Sequence[Mapping[str, Any]]]] = deque()
        self._gathered: batches.Gathered[Prepared] = batches.Gathered()
        self._twins = Twins()
        self._copied: set[StepId] = set()
        self._blocked: dict[StepId, list[Step]] = {}
        self._missing: dict[StepId, int] = {}
        self._failures: list[RecastError] = []
        self._request = request
        self._worker = Worker(request, rundir, replace(tools, observer=self._observer), run_id, about)
        self._together = Together(request, rundir, self._worker, self._observer)

    def run(self) -> Finished:
        began = time.monotonic()
        with self._journal:
            self._observer(events.RunStarted(self._rundir.root, self._shown))
            for runtime in self._runtimes.values():
                runtime.sweep(self._worker.starter.run_id)
            self._expand()
            self._work()
            try:
                if self._failures:
                    raise self._failure()
                self._complete()
            except RecastError as error:
                self._observer(events.RunFailed(error.message))
                raise
            self._observer(events.RunFinished(self._rundir.root, time.monotonic() - began))
        made = [step for step in self._steps if not step.spec.init]
        records = tuple(self._records[step.id] for step in made)
        return Finished(self._rundir.root, records, tuple(self._steps), self._images)

    def _work(self) -> None:
        """Hands out ready steps and takes in what ends, until nothing runs and nothing is ready."""
        running: dict[Running, Share] = {}
        ended: SimpleQueue[Running] = SimpleQueue()
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="step") as pool:
            try:
                while True:
                    self._submit(pool, running, ended)
                    if not running:
                        return
                    future = ended.get()
                    self._settle(running.pop(future), future)
            except KeyboardInterrupt as error:
                self._stop(running)
                raise Interrupted(
                    f"interrupted; {len(self._records)} finished steps are kept in {self._rundir.root}",
                    signal_number=getattr(error, "signal_number", 2),
                    hint="the same command with --workdir goes on from here",
                ) from None

    def _expand(self) -> None:
        """Takes in the steps of every stage that has become ready; each step counts the inputs it still waits for."""
        new = self._expansion.advance()
        self._failures += self._expansion.errors  # values that no stage can take: what runs is awaited all the same
        self._expansion.errors.clear()
        for step in new:
            self._steps.append(step)
            missing = {source for source in step.sources() if source not in self._trees}
            self._missing[step.id] = len(missing)
            for source in missing:
                self._blocked.setdefault(source, []).append(step)
            if not missing:
                self._ready.append(step)
        if new:
            inits = tuple(step for step in new if step.spec.init)
            self._observer(events.StepsPlanned(expand.steps_of(new), self._expansion.complete, inits))

    def _submit(self, pool: ThreadPoolExecutor, running: dict[Running, Share], ended: SimpleQueue[Running]) -> None:
        """Starts steps whose inputs are there, as far as there are free places; what is kept needs none."""
        while len(running) < self._jobs and (self._keep_going or not self._failures):
            task = self._next(self._jobs - len(running))
            if task is None:
                return
            share, call = task
            future = pool.submit(call)
            running[future] = share
            future.add_done_callback(ended.put)

    def _next(self, free: int) -> tuple[Share, Callable[[], Endings]] | None:
        """What the next of so many free places does: a step that needs it alone, or its share of those that do not."""
        if self._alone:
            prepared, failures = self._alone.popleft()
            return (prepared,), partial(self._made, prepared, failures)
        while self._ready:
            step = self._ready.popleft()
            if step.spec.init:
                self._finish(step, "")
                continue
            try:
                prepared = self._worker.prepare(step, {source: self._trees[source] for source in step.sources()})
                record = self._worker.kept(prepared)
                if record is not None:
                    self._ready.extend(self._twins.ended(prepared, record))
                    self._take(step, record)
                    continue
            except RecastError as error:
                self._fail(step, error)
                continue
            twin = self._twins.of(prepared)
            if twin is not None:
                self._copied.add(step.id)
                return (prepared,), partial(self._performed, prepared, twin)
            if self._twins.waits(prepared):
                continue
            kind = batches.kind(step, self._request.policy_of(step).batch)
            if kind is None:
                return (prepared,), partial(self._performed, prepared)
            self._gathered.add(kind, prepared)
        if self._copied:
            return None  # that takes no time, and what it makes ready may join
        share = tuple(self._gathered.share(free))
        return (share, partial(self._together.perform, share)) if share else None

    def _performed(self, prepared: Prepared, twin: Record | None = None) -> Endings:
        """A step by itself: its files may be there already."""
        try:
            return (self._worker.found(prepared, twin) or self._worker.made(prepared),)
        except RecastError as error:
            return (error,)

    def _made(self, prepared: Prepared, failures: Sequence[Mapping[str, Any]]) -> Endings:
        """A step by itself, of which a batch did nothing, or nothing good."""
        try:
            return (self._worker.made(prepared, failures),)
        except RecastError as error:
            return (error,)

    def _settle(self, share: Share, future: Running) -> None:
        """Takes in steps that ended. An error that is not ours is a defect and ends the run as it is."""
        for prepared, ending in zip(share, future.result(), strict=True):
            self._copied.discard(prepared.step.id)
            if isinstance(ending, Alone):
                self._alone.append((prepared, ending.failures))
                continue
            waited = self._twins.ended(prepared, ending)
            if isinstance(ending, Record):
                self._ready.extend(waited)
                self._take(prepared.step, ending)
                continue
            self._fail(prepared.step, ending)
            if isinstance(ending, StepFailed) and ending.status is not None:
                for twin in waited:
                    self._fail(twin, failed_as(twin, prepared.step, ending))
            else:
                self._ready.extend(waited)

    def _fail(self, step: Step, error: RecastError) -> None:
        reason = getattr(error, "reason", "")
        self._observer(events.StepEnded(step.id, error.message, reason))
        log = self._rundir.log(step.id)
        error.failed = (Failure(str(step.id), reason or error.message, str(log) if log else None),)
        self._failures.append(error)

    def _take(self, step: Step, record: Record) -> None:
        self._records[step.id] = record
        self._expansion.publish(step.id, record.published, Files(record.tree.names()))
        self._finish(step, record.tree.sha256)
        self._expand()

    def _finish(self, step: Step, tree: str) -> None:
        """What waited for a step waits for one thing less."""
        self._trees[step.id] = tree
        for waiting in self._blocked.pop(step.id, ()):
            self._missing[waiting.id] -= 1
            if self._missing[waiting.id] == 0:
                self._ready.append(waiting)

    def _stop(self, running: Mapping[Running, Share]) -> None:
        """Ends every process; one that is just being started is caught by looking again. What had ended is kept."""
        self._worker.starter.stop.set()
        waiting = set(running)
        while waiting:
            try:
                for runtime in self._runtimes.values():
                    runtime.sweep(self._worker.starter.run_id)
                _, waiting = wait(waiting, timeout=1)
            except KeyboardInterrupt:
                continue  # once is enough
        for future in running:
            if not future.cancelled() and future.exception() is None:
                self._records |= {record.step: record for record in future.result() if isinstance(record, Record)}

    def _failure(self) -> RecastError:
        """The error of a run in which steps failed: it names them; the first failure says most."""
        first = self._failures[0]
        named = []
        for error in self._failures[:10]:
            name, reason = getattr(error, "step", None) or error.message[:100], getattr(error, "reason", "")
            named.append(f"{name} ({reason})" if reason else name)
        first.failed = tuple(failure for error in self._failures for failure in error.failed)
        first.run_dir = str(self._rundir.root)
        if len(self._failures) == 1:
            return first
        names = ", ".join(str(getattr(error, "step", None) or error.message) for error in self._failures[:10])
        hint = f"{len(self._failures)} steps failed: {names}" + (", ..." if len(self._failures) > 10 else "")
        first.hint = f"{first.message}\n{first.hint}\n{hint}" if first.hint else f"{first.message}\n{hint}"
        more = ", ..." if len(self._failures) > len(named) else ""
        first.message = f"{len(self._failures)} steps failed: {', '.join(named)}{more}"
        return first

    def _complete(self) -> None:
        """A workflow in which something never ran has not succeeded."""
        if never := self._expansion.waiting:
            reasons = "\n".join(f"{unready.stage}: {unready.why}" for unready in never[:10])
            raise StepFailed(
                f"these stages never became ready: {', '.join(unready.stage for unready in never)}",
                hint=f"{reasons}\nlook at their dependencies",
            )
        if undone := [step.id for step in self._steps if not step.spec.init and step.id not in self._records]:
            raise StepFailed(
                f"these steps never had what they need: {', '.join(map(str, undone[:10]))}",
                hint="they use files of steps that they do not depend on",
            )
        if not self._records:
            raise StepFailed("the workflow made no step at all", hint="is a scattered list empty?")
