"""Several steps in one start of a program: each with a work directory, a log, a status and a record of its own.

The container sees the batch's directory as `/workdir`, and in it `<i>/` as each step's own. When it has ended, the
directory of each step goes to that step's attempt, and is looked at as that of any step; what ended well long before is
kept meanwhile. A step without a status, or with more tries, is for the loop to do again by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from recast_dm import batch, store
from recast_dm.engine import batches, command, events
from recast_dm.engine.outcome import last_lines
from recast_dm.engine.perform import Worker
from recast_dm.engine.request import Request
from recast_dm.engine.rundir import Record, RunDirectory
from recast_dm.engine.snapshot import snapshot
from recast_dm.engine.starting import Prepared, Start
from recast_dm.errors import Interrupted, RecastError, StepFailed
from recast_dm.runtimes import Job, Outcome

EVERY = 5.0
"""Seconds after which what has ended is kept while the rest goes on: so much work is lost when a runner is killed."""
WRITERS = 4
"""Steps of a batch that are kept at once: most of that is waiting for the disk."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A step is to be done by itself, after these failures."""

    failures: tuple[Mapping[str, Any], ...] = ()


Ending: TypeAlias = "Record | RecastError | Alone"
"""How a step of a batch ended."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One step of a batch: its place in it, and its attempt with the start that it would have by itself."""

    n: int
    prepared: Prepared
    attempt: Path
    start: Start
    owner: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Status:
    """The exit status of a step that ended; when it began and ended, in seconds since 1970."""

    code: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return max(0.0, self.ended - self.began)


@dataclass(slots=True)
class _Batch:
    """Steps that are being done together, or have been, below a directory: in `work` is what the container sees."""

    place: Path
    members: Sequence[_Member] = ()
    began: float = field(default_factory=time.time)
    ended: int = 0
    statuses: Sequence[_Status | None] = ()
    early: dict[int, Record] = field(default_factory=dict)
    looked: float = field(default_factory=time.monotonic)

    @property
    def work(self) -> Path:
        return self.place / "work"

    @property
    def stage(self) -> str:
        return self.members[0].prepared.step.id.names

    def settle(self) -> None:
        """Takes in which steps have ended; each began when the one before it ended."""
        statuses, began = [], self.began
        for n in range(len(self.members)):
            found = self._status(n)
            statuses.append(_Status(found[0], began, found[1]) if found else None)
            began = max(began, found[1]) if found else began
        self.statuses = statuses

    def _status(self, n: int) -> tuple[int, float] | None:
        """With which exit status a step ended, and when; None for one that did not."""
        try:
            descriptor = os.open(self.work / f"{n}.status", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            said = os.read(descriptor, 8).strip() if stat.S_ISREG(found.st_mode) else b""
        finally:
            os.close(descriptor)
        return (int(said), found.st_mtime) if said.isdigit() else None

    def advanced(self) -> bool:
        """Whether more steps have ended than when this was asked last."""
        before = self.ended
        while self.ended < len(self.members) and (self.work / f"{self.ended}.status").exists():
            self.ended += 1
        return self.ended > before


class Together:
    """Does steps of one kind together, in whatever thread it is called from."""

    def __init__(self, request: Request, rundir: RunDirectory, worker: Worker, observer: events.Observer) -> None:
        self._request = request
        self._rundir = rundir
        self._worker = worker
        self._starter = worker.starter
        self._observer = observer

    def perform(self, share: Sequence[Prepared]) -> tuple[Ending, ...]:
        """How each of some steps ended that have not been kept."""
        found = [self._found(prepared) for prepared in share]
        made = iter(self._made([prepared for prepared, ending in zip(share, found, strict=True) if ending is None]))
        return tuple(next(made) if ending is None else ending for ending in found)

    def _found(self, prepared: Prepared) -> Ending | None:
        try:
            return self._worker.found(prepared)
        except RecastError as error:
            return error

    def _made(self, share: Sequence[Prepared]) -> Sequence[Ending]:
        if len(share) < 2:
            return [Alone()] * len(share)
        try:
            with self._worker.keeping(share[0].step), self._rundir.batch() as place:
                return self._together(_Batch(place), share)
        except RecastError as error:
            return [error, *[Alone()] * (len(share) - 1)]  # one is enough to say it

    def _together(self, done: _Batch, share: Sequence[Prepared]) -> list[Ending]:
        done.work.mkdir(mode=0o755)
        done.members = [self._member(done, n, prepared) for n, prepared in enumerate(share)]
        try:
            job = self._job(done)
            self._starter.give(done.work)
            runtime = self._starter.runtime(share[0].step)
            outcome = self._starter.run(runtime, job, lambda: self._begun(done), lambda _: self._said(done, job))
            done.settle()
            self._warn(done, job, outcome)
            with ThreadPoolExecutor(WRITERS, thread_name_prefix="batch") as pool:
                return list(pool.map(lambda member: self._ended(done, member, outcome), done.members))
        finally:
            for member in done.members:
                _forget(done, member)

    # --- before ------------------------------------------------------------------------------------------------------

    def _member(self, done: _Batch, n: int, prepared: Prepared) -> _Member:
        own, log = done.work / str(n), done.work / f"{n}.log"
        own.mkdir(mode=0o755)
        log.write_bytes(b"")
        attempt = self._rundir.attempt(prepared.step.id)
        with contextlib.suppress(OSError):  # then it is copied at the end
            os.link(log, attempt / "log")
        start = self._starter.start(prepared, attempt, self._request.policy_of(prepared.step))
        self._starter.give(log)
        return _Member(n, prepared, attempt, start, self._starter.give(own))

    def _job(self, done: _Batch) -> Job:
        """The start of all of them: as that of one of them, but for what it sees and for how long it may take."""
        first = done.members[0]
        program = self._request.policy_of(first.prepared.step).batch or ()
        layout = batches.layout(
            program,
            [member.prepared.step for member in done.members],
            [member.start.job.inputs for member in done.members],
            [member.start.call for member in done.members],
        )
        (done.work / PurePath(batches.FILE).name).write_text(batch.text(layout.jobs))
        single, scratch = first.start.job, None
        if single.scratch is not None:
            scratch = done.place / "scratch"
            for member in done.members:
                own = scratch / PurePath(batches.SCRATCH).name / str(member.n)
                own.mkdir(parents=True, mode=0o755)
                self._starter.give(own)
        return replace(
            single,
            name=self._starter.name(f"batch-{done.stage}"),
            argv=batches.argv(program, first.start.call),
            workdir=done.work,
            inputs=(),
            files=layout.mounts,
            log=done.place / "log",
            cwd=batches.cwd(first.start.call),
            scratch=scratch,
            timeout=single.timeout and single.timeout * len(done.members),
        )

    # --- meanwhile ---------------------------------------------------------------------------------------------------

    def _begun(self, done: _Batch) -> None:
        done.began = time.time()
        for member in done.members:
            image = member.prepared.image
            self._observer(
                events.StepStarted(
                    member.prepared.step.id,
                    image.reference if image else None,
                    member.start.job.log,
                    (member.n, len(done.members)),
                )
            )

    def _said(self, done: _Batch, job: Job) -> None:
        """The program says when a job has ended; what is believed is its status."""
        if not done.advanced():
            return
        last = done.members[done.ended - 1].prepared.step.id
        self._observer(events.StepSaid(last, f"{done.ended} of {len(done.members)} done together"))
        if time.monotonic() - done.looked >= EVERY and done.ended < len(done.members):
            done.settle()
            new = [member for member in done.members[: done.ended] if member.n not in done.early]
            with ThreadPoolExecutor(WRITERS, thread_name_prefix="batch") as pool:
                list(pool.map(lambda member: self._early(done, member, job), new))
            done.looked = time.monotonic()

    def _early(self, done: _Batch, member: _Member, job: Job) -> None:
        """Keeps a step that ended well while others go on: a copy, because the container still sees its directory.

        Whatever is not quite so is for the end.
        """
        status, work = done.statuses[member.n], member.attempt / "work"
        if status is None or status.code or not snapshot(done.work / str(member.n), work):
            return
        try:
            with self._worker.keeping(member.prepared.step):
                done.early[member.n] = self._kept(done, member, status, job.name)
        except RecastError:
            store.remove(work)

    # --- afterwards --------------------------------------------------------------------------------------------------

    def _warn(self, done: _Batch, job: Job, outcome: Outcome) -> None:
        """A batch that leaves steps undone says why: the program may not know batches, or have been killed."""
        lost = done.statuses.count(None)
        if lost and not self._starter.stop.is_set():
            why = outcome.reason or f"exit code {outcome.exit_code}"
            said = "".join(f": {line}" for line in last_lines(job.log)[-1:])
            self._observer(
                events.Warned(
                    f"{done.stage}: a batch did {len(done.members) - lost} of {len(done.members)} steps ({why}{said})"
                )
            )

    def _ended(self, done: _Batch, member: _Member, outcome: Outcome) -> Ending:
        if member.n in done.early:
            return done.early[member.n]
        step = member.prepared.step
        status = done.statuses[member.n]
        if status is None or not _is(done.work / str(member.n), stat.S_ISDIR):
            stopped = self._starter.stop.is_set()
            return Interrupted(f"{step.id} was interrupted") if stopped else Alone()
        try:
            with self._worker.keeping(step):
                (done.work / str(member.n)).rename(member.attempt / "work")
                return self._kept(done, member, status, outcome.container_id)
        except StepFailed as error:
            return self._failed(member, error, status.seconds)
        except RecastError as error:
            return error

    def _failed(self, member: _Member, error: StepFailed, seconds: float) -> Ending:
        try:
            return Alone((self._worker.forgiven(member.prepared, error, 0, seconds),))
        except StepFailed:
            return error

    def _kept(self, done: _Batch, member: _Member, status: _Status, container: str) -> Record:
        """The record of a step that ended: as that of a start of its own, and that it was none."""
        work, log, said = member.attempt / "work", member.attempt / "log", done.work / f"{member.n}.log"
        if not log.exists() and _is(said, stat.S_ISREG):
            shutil.copyfile(said, log)
        if member.owner and log.exists():
            os.chown(log, *member.owner, follow_symlinks=False)
        outcome = Outcome(status.code, container)
        self._starter.demand_success(member.prepared.step, member.start.job, outcome)
        execution = {
            "started": datetime.fromtimestamp(status.began, UTC).isoformat(timespec="seconds"),
            **self._starter.execution(member.prepared, member.start, outcome),
            "batch": {"size": len(done.members), "container_id": container},
            "seconds": round(status.seconds, 3),
        }
        record = self._worker.finished(
            member.prepared, work, member.owner, execution, seen_as=f"{command.WORKDIR}/{member.n}"
        )
        self._observer(events.StepFinished(member.prepared.step.id, "ran", status.seconds))
        return record


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether there is something of a kind; a program might have put a link there."""
    try:
        return kind(path.lstat().st_mode)
    except OSError:
        return False


def _forget(done: _Batch, member: _Member) -> None:
    """The attempt at a step that did not come to anything, not even to a word, was none."""
    log = member.attempt / "log"
    ended = bool(done.statuses) and done.statuses[member.n] is not None
    if not ended and not (log.exists() and log.stat().st_size):
        shutil.rmtree(member.attempt, ignore_errors=True)
