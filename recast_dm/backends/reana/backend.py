"""The REANA backend: translate, submit, follow, fetch; what comes back is a run directory as any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm.backends import Work
from recast_dm.backends.reana import judge, names, note, preflight, submission
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Clock, SystemClock
from recast_dm.backends.reana.fetched import Fetched
from recast_dm.backends.reana.following import Following
from recast_dm.backends.reana.submission import Submission
from recast_dm.backends.reana.translate import Translated, translate
from recast_dm.backends.reana.values import Status
from recast_dm.engine import events
from recast_dm.engine.cache import Entry, StepCache
from recast_dm.engine.execute import Finished, execute
from recast_dm.engine.perform import now
from recast_dm.engine.request import Request
from recast_dm.engine.rundir import RunDirectory
from recast_dm.engine.starting import Tools
from recast_dm.errors import Interrupted, StepFailed
from recast_dm.images.placed import Placed
from recast_dm.model import Image, Policy

POLL = 15.0
"""Seconds between two looks: REANA's engine itself looks no more often."""
Places = Callable[[Mapping[str, Image]], Mapping[str, Placed]]
"""Where a registry holds images, by the names that the workflow has for them."""
Reachable = preflight.Reachable


def nowhere(_: Mapping[str, Image]) -> Mapping[str, Placed]:
    """Knows no registry: images are named as the workflow names them."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Executes at a REANA server. `placed` tells where its images are, `reachable` why one cannot be pulled.

    `cache` holds what is here already, and gets what comes back; `name` is that of the workflow, where the user chose
    one; a workflow that fails there is begun again `retries` times; `jobs` files are fetched at once.
    """

    reana: Reana
    placed: Places = nowhere
    reachable: Reachable = lambda _: None
    cache: StepCache | None = None
    name: str | None = None
    again: bool = False
    retries: int = 0
    jobs: int = 2
    poll: float = POLL
    clock: Clock = field(default_factory=SystemClock)
    points_at_once: int = 8

    def execute(self, work: Work, *, directory: Path, observer: events.Observer) -> Finished:
        """Submits the work, waits for it, and fetches it into `directory`.

        Repeated, it goes on where it was. Raises StepFailed, RemoteError, SpecError (REANA cannot run it so),
        Interrupted on a KeyboardInterrupt: the workflow goes on there.
        """
        for attempt in range(self.retries + 1):
            sent = self.submit(work, directory, observer, again=self.again and not attempt)
            try:
                status = self._waited(sent, work, observer)
                return self.fetch(work, directory, observer, sent, status)
            except StepFailed as error:
                sent.failed(directory)
                if attempt == self.retries:
                    raise
                observer(events.Noted(f"{sent.workflow} failed: {error.message}; it is begun again"))
            except KeyboardInterrupt as error:
                raise Interrupted(
                    f"interrupted; {sent.workflow} goes on at {self.reana.url}",
                    signal_number=getattr(error, "signal_number", 2),
                    hint=f"`recast-dm status {sent.workflow}` looks at it; the same command with --workdir {directory} "
                    "goes on from here",
                ) from None
        raise AssertionError  # pragma: no cover  # the last attempt returns or raises

    def submit(self, work: Work, directory: Path, observer: events.Observer, *, again: bool = False) -> Submission:
        """Sends the work, and does not wait. Repeated from the same directory, it finds what was sent."""
        placed = self.placed({name: work.pinned[name] for name in work.workflow.images() if name in work.pinned})
        translated = translate(work, images=placed, results=work.results, kept=self._kept)
        with RunDirectory(directory) as rundir:
            rundir.identify({**work.about, "runtime": "reana", "started": now()})
            rundir.keep_workflow(work.workflow, work.relaxations)
            earlier = submission.read(directory)
            if earlier is None or earlier.state == "failed" or again:
                self._demand(translated)
                for text in translated.notes:
                    observer(events.Warned(text))
            return submission.submit(
                self.reana,
                self.name or self._name(work, translated),
                translated,
                note.note(work, translated, placed),
                directory,
                lambda text: observer(events.Noted(text)),
                again=again,
            )

    def fetch(
        self, work: Work, directory: Path, observer: events.Observer, sent: Submission, status: Status
    ) -> Finished:
        """Takes what an ended workflow left into the run directory. Raises StepFailed where it did not succeed."""
        there = {file.path for file in self.reana.files(sent.workflow)}
        outputs = [path for path in work.results.values() if path.partition("/")[0] not in _stages(sent.reused)]
        verdict = judge.judge(status, outputs, there)
        if verdict.why and verdict.success:
            observer(events.Warned(f"{sent.workflow}: {verdict.why}"))
        finished = taken(self.reana, sent.workflow, work, directory, observer, status, cache=self.cache, jobs=self.jobs)
        if not verdict.success:
            raise StepFailed(
                f"{sent.workflow} did not succeed: {verdict.why or verdict.outcome}",
                hint=f"`recast-dm logs {sent.workflow}` shows what it said",
            )
        return finished

    def _waited(self, sent: Submission, work: Work, observer: events.Observer) -> Status:
        """The status of the workflow once it has ended."""
        following = Following(sent.workflow, work, observer)
        while True:
            status = self.reana.status(sent.workflow)
            following.take(status)
            if status.ended:
                return status
            self.clock.sleep(self.poll)

    def _kept(self, key: str) -> Entry | None:
        return self.cache.get(key) if self.cache else None

    def _demand(self, translated: Translated) -> None:
        references = (translated.images or {}).values()
        preflight.demand(self.reana, translated.specification, translated.files, references, self.reachable)

    def _name(self, work: Work, translated: Translated) -> str:
        capsule = str(work.about.get("capsule") or translated.digest)
        return names.workflow_name(str(work.about.get("analysis") or "workflow"), capsule, translated.digest)


def taken(
    reana: Reana,
    w: str,
    work: Work,
    directory: Path,
    observer: events.Observer,
    status: Status,
    *,
    cache: StepCache | None,
    jobs: int = 2,
) -> Finished:
    """The files of a workflow as a run directory of ours: each step with its record, made there or reused."""
    logs = {job.id: job for job in reana.logs(w).jobs}
    done = [logs.get(job.id, job) for job in status.jobs] or list(logs.values())
    fetched = Fetched(
        reana=reana,
        w=w,
        version=reana.you().version,
        workflow=work.workflow,
        jobs=done,
        into=directory / ".attempts" / "reana",
        then=observer,
    )
    request = Request(
        workflow=work.workflow,
        initdata=work.initdata,
        initdir=work.initdir,
        images=work.pinned,
        relaxations=work.relaxations,
        policies={},
        policy=Policy(),
        about=work.about,
    )
    tools = Tools(containers=fetched, host=None, cache=cache, observer=fetched)
    return execute(request, directory=directory, tools=tools, jobs=jobs, keep_going=True)


def _stages(steps: Sequence[str]) -> frozenset[str]:
    return frozenset(step.partition("/")[0] for step in steps)

