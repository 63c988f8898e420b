"""The REANA backend: translate, submit, follow, fetch; what comes back is a run directory as any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm import store
from recast_dm.backends import Work
from recast_dm.backends.reana import judge, names, note, places, preflight, submission
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Clock, SystemClock
from recast_dm.backends.reana.earlier import Earlier
from recast_dm.backends.reana.fetched import Fetched, Left
from recast_dm.backends.reana.following import Following
from recast_dm.backends.reana.known import Known
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
from recast_dm.model import Image, StepId

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

        Repeated, it goes on where it was; what is fetched and whole is not asked for again. Raises StepFailed,
        RemoteError, SpecError (REANA cannot run it so), Interrupted on a KeyboardInterrupt: the workflow goes on there.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._tried(work, directory, observer, again=self.again and not attempt)
            except StepFailed as error:
                self._forget(directory)
                if attempt == self.retries:
                    raise
                observer(events.Noted(f"{error.message}; it is begun again"))
            except KeyboardInterrupt as error:
                sent = submission.read(directory)
                w = sent.workflow if sent is not None else ""
                raise Interrupted(
                    f"interrupted; {w or 'what was sent'} stays at {self.reana.url}, and goes on if it was started",
                    signal_number=getattr(error, "signal_number", 2),
                    hint=f"the same command with --workdir {directory} goes on from here"
                    + (f"; `recast-dm status {w}` looks at it" if w else ""),
                ) from None
        raise AssertionError  # pragma: no cover  # the last attempt returns or raises

    def _tried(self, work: Work, directory: Path, observer: events.Observer, *, again: bool) -> Finished:
        sent = self.submit(work, directory, observer, again=again)
        if sent.state == "fetched" and (finished := self._kept_here(work, directory, observer, sent)):
            return finished
        return self.fetch(work, directory, observer, sent, self._waited(sent, work, observer))

    def _forget(self, directory: Path) -> None:
        """What ended badly: the next submission is a new run. What it finished is in the cache."""
        sent = submission.read(directory)
        if sent is not None and sent.id:
            sent.failed(directory)
            if self._known is not None:
                self._known.drop(self.reana.url, sent.id)

    def submit(self, work: Work, directory: Path, observer: events.Observer, *, again: bool = False) -> Submission:
        """Sends the work, and does not wait. Repeated from the same directory, it finds what was sent."""
        placed = self.placed({name: work.pinned[name] for name in work.workflow.images() if name in work.pinned})
        digest = note.digest(work, note.images(work, placed))
        with RunDirectory(directory) as rundir:
            rundir.identify({**work.about, "runtime": "reana", "started": now()})
            rundir.keep_workflow(work.workflow, work.relaxations)
            earlier = submission.mine(self.reana, directory, digest)
            if earlier is not None and earlier.state == "fetched" and not again:
                return earlier
            translated = translate(work, images=placed, results=work.results, kept=self._kept(work))
            if earlier is None or earlier.state == "failed" or again:
                self._demand(translated)
                for text in translated.notes:
                    observer(events.Warned(text))
            sent = submission.submit(
                self.reana,
                self.name or _name(work, digest),
                translated,
                note.note(work, translated, placed),
                directory,
                lambda text: observer(events.Noted(text)),
                again=again,
            )
            if self._known is not None:
                self._known.add(sent, work.about)
            return sent

    def fetch(
        self, work: Work, directory: Path, observer: events.Observer, sent: Submission, status: Status
    ) -> Finished:
        """Takes what an ended workflow left into the run directory. Raises StepFailed where it did not succeed."""
        if status.state == "deleted":
            raise StepFailed(
                f"{sent.workflow} was deleted at {self.reana.url}, and its files with it",
                hint="the same command begins a new run",
            )
        left = Left.of(self.reana, status, map(StepId.parse, sent.reused))
        along = [places.directory(work.workflow, step) for step in left.reused]
        outputs = [path for path in work.results.values() if not path.startswith(tuple(f"{each}/" for each in along))]
        verdict = judge.judge(status, outputs, {file.path for file in left.files})
        if verdict.why and verdict.success:
            observer(events.Warned(f"{sent.workflow}: {verdict.why}"))
        finished = self._taken(left, work, directory, observer)
        if not verdict.success:
            raise StepFailed(
                f"{sent.workflow} did not succeed: {verdict.why or verdict.outcome}",
                hint=f"`recast-dm logs {sent.workflow}` shows what it said",
            )
        sent.fetched(directory)
        if self._known is not None:  # what it made is in the cache now
            self._known.drop(self.reana.url, sent.id)
        return finished

    def _kept_here(self, work: Work, directory: Path, observer: events.Observer, sent: Submission) -> Finished | None:
        """The run that was fetched before, if all of it is still here; the server is not asked."""
        left = Left(w=sent.workflow, id=sent.id, version="", jobs=(), files=())
        try:
            return self._taken(left, work, directory, observer)
        except StepFailed:
            observer(events.Noted(f"what was fetched of {sent.workflow} is not whole any more: it is fetched again"))
            return None

    def _taken(self, left: Left, work: Work, directory: Path, observer: events.Observer) -> Finished:
        """A run directory of ours: each step with its record. What REANA made is fetched, also where the cache has it:
        the records and `diff` are to speak of that.
        """
        fetched = Fetched(
            reana=self.reana,
            left=left,
            workflow=work.workflow,
            into=directory / ".attempts" / "reana" / left.id,
            then=observer,
        )
        request = Request(
            workflow=work.workflow,
            initdata=work.initdata,
            initdir=work.initdir,
            images=note.images(work, {}),
            relaxations=work.relaxations,
            about=work.about,
        )
        tools = Tools(
            containers=fetched,
            host=None,
            cache=self.cache,
            observer=fetched,
            afresh=lambda step: step not in left.reused,
        )
        return execute(request, directory=directory, tools=tools, jobs=self.jobs, keep_going=True)

    def _waited(self, sent: Submission, work: Work, observer: events.Observer) -> Status:
        """The status of the workflow once it has ended."""
        following = Following(sent.workflow, work, observer)
        while True:
            status = self.reana.status(sent.workflow)
            following.take(status)
            if status.ended:
                return status
            self.clock.sleep(self.poll)

    @property
    def _known(self) -> Known | None:
        return Known(self.cache.root / "reana") if self.cache else None

    def _kept(self, work: Work) -> Callable[[str], Entry | None]:
        """What is here already, or was made by earlier workflows there."""
        if self.cache is None or self._known is None:
            return lambda _: None
        return Earlier(self.reana, self.cache, self._known, work.about)

    def _demand(self, translated: Translated) -> None:
        references = (translated.images or {}).values()
        preflight.demand(self.reana, translated.specification, translated.files, references, self.reachable)


def _name(work: Work, digest: str) -> str:
    """What the work is called there, wherever it is submitted from."""
    subject = str(work.about.get("capsule") or store.digest(work.workflow.source))
    return names.workflow_name(str(work.about.get("analysis") or "workflow"), subject, digest)
