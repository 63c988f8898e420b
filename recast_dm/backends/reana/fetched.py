"""What a workflow left in its workspace at REANA, as a runtime: a step's files are fetched where others would be made.

So our engine expands the workflow, checks outputs, writes records and fills the cache as it does for any run. REANA's
yadage lays a step's files below a directory of its stage: `limit/`, or `generate_3/` where the stage is scattered.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm.backends.reana import workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.values import Job as Distant
from recast_dm.engine import events
from recast_dm.model import Image, StepId, SubWorkflow, Workflow
from recast_dm.runtimes import About, Job, Outcome

_WORDS = ("finished", "succeeded")
NOT_DONE = 1
"""The exit code of a step that REANA did not finish; which one its command had, REANA does not say."""


def directory(workflow: Workflow, step: StepId) -> str:
    """Where REANA keeps a step's files, below the workspace.

    >>> from recast_dm.model import Location
    >>> stage = Stage(name="fit", dependencies=(), parameters={}, body=SubWorkflow(Workflow(()), Location("", 1)),
    ...               where=Location("", 1))
    >>> directory(Workflow((stage,)), StepId("fit", 0))
    'fit'
    """
    parts = [*step.stage.split("/"), str(step.index)]
    found = []
    for name, index in zip(parts[::2], parts[1::2], strict=True):
        stage = workflow.stage(name)
        single = stage.scatter is None and stage.jq is None
        found.append(name if single else f"{name}_{index}")
        if isinstance(stage.body, SubWorkflow):
            workflow = stage.body.workflow
    return "/".join(found)


@dataclass(slots=True)
class Fetched:
    """A runtime that starts nothing. `jobs` are what REANA says of the steps; `into` is a copy of the workspace.

    `server` and `name` say in records who did the work. As an observer it learns which step a job is, and passes on.
    """

    reana: Reana
    w: str
    version: str
    workflow: Workflow
    jobs: Sequence[Distant]
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
        return About("reana", self.version, (f"REANA's own containers at {self.reana.url}, with a network",))

    def image(self, reference: str) -> Image | None:  # noqa: ARG002  # the seam's signature: nothing is started here
        return None

    def sweep(self, run: str) -> int:  # noqa: ARG002  # as above
        return 0

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        """Fetches the files of a step that REANA finished; else gives what REANA says of it as its failure."""
        with self._lock:
            step = self._steps[job.log]
        place = directory(self.workflow, step)
        done = job_of(self.jobs, place)
        said = done.log if done else ""
        job.log.write_text(said or f"{self.w}: REANA keeps no log of {step}\n", encoding="utf-8", errors="replace")
        for text in said.splitlines()[-1:]:
            line(text)
        if done is not None and done.status not in _WORDS:
            return Outcome(NOT_DONE, done.id, seconds=done.seconds)
        workspace.fetch(self.reana, self.w, self.into, lambda path: path.startswith(f"{place}/"))
        moved = _moved(self.into / place, job.workdir)
        if done is None and not moved:
            return Outcome(NOT_DONE, self.w)
        return Outcome(0, done.id if done else self.w, seconds=done.seconds if done else None)


def job_of(jobs: Sequence[Distant], place: str) -> Distant | None:
    """The job of the step whose files lie at a place: by its name, and where several have it, by its command."""
    name = place.rpartition("/")[2]
    named = [job for job in jobs if job.step == name]
    if len(named) > 1:
        named = [job for job in named if f"/{place}/" in job.command] or named
    return named[-1] if named else None


def _moved(source: Path, target: Path) -> bool:
    """Moves everything below a directory; whether there was one."""
    if not source.is_dir():
        return False
    for path in source.iterdir():
        path.rename(target / path.name)
    shutil.rmtree(source, ignore_errors=True)
    return True

