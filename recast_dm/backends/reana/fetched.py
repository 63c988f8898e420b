"""What a workflow left in its workspace at REANA, as a runtime: a step's files are fetched where others would be made.

So our engine expands the workflow, checks outputs, writes records and fills the cache as it does for any run.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.backends.reana import places, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.judge import all_done
from recast_dm.backends.reana.translate import INPUTS
from recast_dm.backends.reana.values import File, Status, moment
from recast_dm.backends.reana.values import Job as Distant
from recast_dm.engine import command, events
from recast_dm.engine.perform import now
from recast_dm.model import Image, Step, StepId, Workflow
from recast_dm.runtimes import About, Job, Outcome

DONE = ("finished", "succeeded")
NOT_DONE = 1
"""The exit code of a step that REANA did not finish; which one its command had, REANA does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is known of a run that has ended: `w` is its `name.run`, `id` its id; `files` are those of its workspace.

    `reused` are the steps whose files were sent along. `complete`: it says itself that every step was done, so that a
    step of which REANA has forgotten the job was done, too.
    """

    w: str
    id: str
    version: str
    jobs: Sequence[Distant]
    files: Sequence[File]
    reused: frozenset[StepId] = frozenset()
    complete: bool = False

    @classmethod
    def of(cls, reana: Reana, status: Status, reused: Iterable[StepId]) -> Left:
        """Asks the server what a run has left."""
        logs = {job.id: job for job in reana.logs(status.id).jobs}
        return cls(
            w=status.name,
            id=status.id,
            version=reana.you().version,
            jobs=[logs.get(job.id, job) for job in status.jobs] or list(logs.values()),
            files=tuple(reana.files(status.id)),
            reused=frozenset(reused),
            complete=status.state == "finished" or all_done(status.progress),
        )

    def about(self, url: str) -> About:
        return About("reana", self.version, (f"REANA's own containers at {url}, with a network",))


def who(url: str, left: Left, done: Distant | None) -> dict[str, Any]:
    """What a record says of who did the work: of its processor, its user and its limits REANA says nothing."""
    said: dict[str, Any] = {"server": url, "workflow": left.w, "id": left.id}
    found: dict[str, Any] = {"user": None, "limits": None, "cpu": {}, "seconds": 0.0}
    if done is not None:
        said |= {"job": done.id, "backend": done.backend, "backend_job": done.backend_id, "image": done.image}
        said |= {"command": done.command}
        begun = moment(done.started)
        found |= {"seconds": round(done.seconds, 3), **({"started": begun.isoformat()} if begun else {})}
    return {**found, "reana": said}


def execution(url: str, left: Left, step: Step, image: Image, done: Distant) -> dict[str, Any]:
    """The record of a job that nobody has asked for here: its command is in our words, as those of all records."""
    about, inside = left.about(url), command.in_container(step)
    call = command.invocation(step, inside)
    return {
        "started": now(),
        "runtime": {"name": about.name, "version": about.version, "isolation": list(about.isolation)},
        "image": image.document(),
        "container_id": done.id,
        "argv": list(call.argv),
        "stdin": call.stdin,
        "env": dict(call.env),
        "cwd": call.cwd,
        "places": {str(source): place for source, place in inside.items()},
        "exit_code": 0,
        **who(url, left, done),
    }


@dataclass(slots=True)
class Fetched:
    """A runtime that starts nothing: it fetches what is `left`. `into` is a copy of parts of the workspace.

    As an observer it learns which step a job is, and passes on.
    """

    reana: Reana
    left: Left
    workflow: Workflow
    into: Path
    then: events.Observer
    _steps: dict[Path, StepId] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.StepStarted):
            with self._lock:
                self._steps[event.log] = event.step
        self.then(event)

    def about(self) -> About:
        return self.left.about(self.reana.url)

    def image(self, reference: str) -> Image | None:  # noqa: ARG002  # the seam's signature: nothing is started here
        return None

    def sweep(self, run: str) -> int:  # noqa: ARG002  # as above
        return 0

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        """Fetches the files of a step that REANA finished; else gives what REANA says of it as its failure."""
        with self._lock:
            step = self._steps[job.log]
        along = step in self.left.reused
        place = places.sent(step) if along else places.directory(self.workflow, step)
        done = None if along else places.job_of(self.left.jobs, place)
        self._log(job, step, done, line)
        if not along and not self._was_done(done):
            return Outcome(NOT_DONE, done.id if done else self.left.w)
        self._fetch(place, job.workdir)
        return Outcome(0, done.id if done else self.left.w, elsewhere=self._record(job, place, done))

    def _was_done(self, done: Distant | None) -> bool:
        return done.status in DONE if done is not None else self.left.complete

    def _log(self, job: Job, step: StepId, done: Distant | None, line: Callable[[str], None]) -> None:
        said = done.log if done else ""
        none = f"{self.left.w}: REANA keeps no log of {step}\n"
        job.log.write_text(said or none, encoding="utf-8", errors="replace")
        for text in said.splitlines()[-1:]:
            line(text)

    def _fetch(self, place: str, target: Path) -> None:
        """Brings a step's files to its work directory; a step may have left none."""
        found = [file for file in self.left.files if places.output(file.path, place)]
        workspace.fetch(self.reana, self.left.id, self.into, listed=found)
        _move(self.into / place, target)

    def _record(self, job: Job, place: str, done: Distant | None) -> dict[str, Any]:
        """What the record says otherwise than that of a step which was done here."""
        found = who(self.reana.url, self.left, done)
        seen = self._seen(job, place)
        return {**found, "reana": {**found["reana"], **({"places": seen} if seen else {})}}

    def _seen(self, job: Job, place: str) -> dict[str, str]:
        """Where the command saw, there, what it sees here at `/workdir` and `/inputs/<n>`."""
        root = places.root(self.left.jobs, self.left.id)
        if root is None:
            return {}
        run = job.workdir.parents[2]  # DIR/.attempts/<attempt>/work
        found = {command.WORKDIR: f"{root}/{place}"}
        for n, source in enumerate(job.inputs):
            below = source.relative_to(run) if source.is_relative_to(run) else None
            step = below is not None and not below.parts[0].startswith(".")  # init files may lie in DIR/.init
            where = self._directory(StepId.parse(str(below))) if step else INPUTS
            found[f"/inputs/{n}"] = f"{root}/{where}"
        return found

    def _directory(self, step: StepId) -> str:
        return places.sent(step) if step in self.left.reused else places.directory(self.workflow, step)


def _move(source: Path, target: Path) -> None:
    """Moves everything below a directory, if there is one: a step may leave no file at all."""
    if source.is_dir():
        for path in source.iterdir():
            path.rename(target / path.name)
        shutil.rmtree(source, ignore_errors=True)
