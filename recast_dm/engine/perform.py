"""One step, from its key to its record: kept, taken from the cache, or made now.

Success is a checked statement: exit code 0, every declared output there, files sealed and hashed, the record written.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.engine import command, events, publishers
from recast_dm.engine import key as keys
from recast_dm.engine.outcome import published
from recast_dm.engine.publishers import Files
from recast_dm.engine.request import Request, stopping
from recast_dm.engine.rundir import DAMAGED, Record, RunDirectory
from recast_dm.engine.starting import Prepared, Starter, Tools
from recast_dm.errors import IntegrityError, Interrupted, RecastError, StepFailed, StorageError, storage_error
from recast_dm.model import DockerEnvironment, Instructions, ManualPublisher, Policy, Step, StepId
from recast_dm.runtimes import About
from recast_dm.spec.relaxations import leaves_the_container


class Worker:
    """Performs one step in whatever thread it is called from."""

    def __init__(
        self, request: Request, rundir: RunDirectory, tools: Tools, run_id: str, about: Mapping[str, About]
    ) -> None:
        self._request = request
        self._rundir = rundir
        self._tools = tools
        self._observer = tools.observer
        self._asking = threading.Lock()
        self.starter = Starter(request, rundir, tools, run_id, about)

    def prepare(self, step: Step, trees: Mapping[StepId, str]) -> Prepared:
        """A step with its key. `trees` are the hashes of the directories it can see."""
        environment = step.spec.environment
        image = self._request.images[environment.reference] if isinstance(environment, DockerEnvironment) else None
        parts = keys.parts(step, image, trees)
        return Prepared(step, image, parts, keys.of(parts))

    def kept(self, prepared: Prepared) -> Record | None:
        """The record that an earlier start of this run directory left, if its files are still what it says."""
        step = prepared.step
        try:
            found = self._rundir.kept(step.id, prepared.key, verify=self._tools.verify)
            if found is None:
                return None
            record = self._record(prepared, found.tree, found.execution, found.reused)
        except DAMAGED:
            self._observer(events.Warned(f"{step.id}: its files have changed since they were recorded; it runs again"))
            return None
        self._observer(events.StepFinished(step.id, "kept", 0.0))
        return record

    def found(self, prepared: Prepared, twin: Record | None = None) -> Record | None:
        """The record of a step whose files there are: those of its twin in this run, or of equal work in the cache."""
        began = time.monotonic()
        with self.keeping(prepared.step):
            self._rundir.clear(prepared.step.id)
            record = (self._twins(prepared, twin) if twin else None) or self._cached(prepared)
        if record is not None:
            self._observer(events.StepFinished(prepared.step.id, "cached", time.monotonic() - began))
        return record

    def made(self, prepared: Prepared, failures: Sequence[Mapping[str, Any]] = ()) -> Record:
        """The record of a step that is made now; it has failed so often already."""
        began = time.monotonic()
        with self.keeping(prepared.step):
            record = self._made(prepared, [*failures])
        self._observer(events.StepFinished(prepared.step.id, "ran", time.monotonic() - began))
        return record

    @contextlib.contextmanager
    def keeping(self, step: Step) -> Iterator[None]:
        """What a disk refuses meanwhile is an error of ours."""
        try:
            yield
        except OSError as error:
            raise storage_error(error, f"keep the outputs of {step.id}") from None

    def _twins(self, prepared: Prepared, twin: Record) -> Record | None:
        """The files of another step of this run that did the same work, hashed again."""
        place = self._rundir.place(prepared.step.id)
        try:
            store.link_tree(self._rundir.place(twin.step), place)
            tree = store.tree_of(place)
        except IntegrityError:
            return None  # somebody has changed them
        if tree.sha256 != twin.tree.sha256:
            store.remove(place)
            return None
        return self._recorded(prepared, tree, _as_seen_by(prepared.step, twin.execution), "run")

    def _cached(self, prepared: Prepared) -> Record | None:
        if self._tools.cache is None or not _for_other_runs(prepared) or self._tools.afresh(prepared.step.id):
            return None
        entry = self._tools.cache.get(prepared.key)
        if entry is None:
            return None
        try:
            store.link_tree(entry.place, self._rundir.place(prepared.step.id))
        except RecastError:
            if entry.place.is_dir():
                raise
            return None  # somebody has just removed it
        return self._recorded(prepared, entry.tree, _as_seen_by(prepared.step, entry.execution), "cache")

    # --- making ------------------------------------------------------------------------------------------------------

    def _made(self, prepared: Prepared, failures: list[Mapping[str, Any]]) -> Record:
        """Tries a step as often as its policy says."""
        policy = self._request.policy_of(prepared.step)
        while True:
            attempt = self._rundir.attempt(prepared.step.id)
            began = time.monotonic()
            try:
                return self._tried(prepared, attempt, policy, failures)
            except StepFailed as error:
                failures.append(self.forgiven(prepared, error, len(failures), time.monotonic() - began))

    def forgiven(self, prepared: Prepared, error: StepFailed, before: int, seconds: float) -> dict[str, Any]:
        """What is remembered of a failure after which a step is tried again. Raises it where that is not so."""
        allowed = self._request.policy_of(prepared.step).retries or 0
        if error.status is None or before >= allowed or self.starter.stop.is_set():
            raise error
        self._observer(events.StepRetried(prepared.step.id, error.reason, before + 1, allowed))
        return {"reason": error.reason, "seconds": round(seconds, 3)}

    def _tried(self, prepared: Prepared, attempt: Path, policy: Policy, failures: list[Mapping[str, Any]]) -> Record:
        work = attempt / "work"
        work.mkdir(mode=0o755)
        owner = self.starter.give(work) if isinstance(prepared.step.spec.environment, DockerEnvironment) else None
        execution = self._executed(prepared, attempt, policy)
        if failures:
            execution["failed_attempts"] = failures
        return self.finished(prepared, work, owner, execution)

    def finished(
        self,
        prepared: Prepared,
        work: Path,
        owner: tuple[int, int] | None,
        execution: Mapping[str, Any],
        seen_as: str = command.WORKDIR,
    ) -> Record:
        """The record of a step that ended well: its files checked, in their place, and in the cache.

        `owner` had the work directory before it was given to the container, where it was `seen_as`.
        """
        step = prepared.step
        tree = self._checked(step, work, owner, execution, seen_as)
        place = self._rundir.place(step.id)
        work.rename(place)
        store.fsync_directory(place.parent)
        record = self._recorded(prepared, tree, execution, None)
        if self._tools.cache and _for_other_runs(prepared):
            try:
                self._tools.cache.put(prepared.key, tree, place, execution)
            except StorageError as error:  # the run does not need it
                self._observer(events.Warned(f"{step.id} is not cached: {error.message}"))
        return record

    def _executed(self, prepared: Prepared, attempt: Path, policy: Policy) -> dict[str, Any]:
        """Does what a step does, and demands exit code 0. Gives the execution part of the record."""
        step, spec = prepared.step, prepared.step.spec
        started, began = now(), time.monotonic()
        execution: dict[str, Any] = {"started": started}
        if spec.starts_something:
            execution |= self._started(prepared, attempt, policy)
        instructions = spec.instructions
        if isinstance(spec.publisher, ManualPublisher):
            execution["said"] = self._asked(step, str(instructions), attempt / "work", True)
        elif isinstance(spec.process, Instructions) and self._tools.ask:
            self._asked(step, str(instructions), attempt / "work", False)
        elif instructions is not None:  # nobody asks, which would tell them
            self._observer(events.Instructed(step.id, instructions, attempt / "work"))
        return {"seconds": round(time.monotonic() - began, 3), **execution}

    def _started(self, prepared: Prepared, attempt: Path, policy: Policy) -> dict[str, Any]:
        step = prepared.step
        runtime = self.starter.runtime(step)
        start = self.starter.start(prepared, attempt, policy)
        image = prepared.image.reference if prepared.image else None
        outcome = self.starter.run(
            runtime,
            start.job,
            lambda: self._observer(events.StepStarted(step.id, image, start.job.log)),
            lambda line: self._observer(events.StepSaid(step.id, line)),
        )
        self.starter.demand_success(step, start.job, outcome)
        return self.starter.execution(prepared, start, outcome)

    def _asked(self, step: Step, instructions: str, place: Path, wants_value: bool) -> Any:
        if self._tools.ask is None:
            raise StepFailed(
                f"the step {step.id} needs a person, and there is no terminal to ask one",
                hint=f"its instructions:\n{instructions}\nrun this on a terminal; finished steps are kept",
            )
        with self._asking:
            if self.starter.stop.is_set():
                raise Interrupted(f"{step.id} was not asked for")
            before = stopping.set(self.starter.stop.is_set)
            try:
                return self._tools.ask(step.id, instructions, place, wants_value)
            finally:
                stopping.reset(before)

    def _checked(
        self, step: Step, work: Path, owner: tuple[int, int] | None, execution: Mapping[str, Any], seen_as: str
    ) -> store.Tree:
        """The sealed tree of a work directory that holds every declared output."""
        inside = isinstance(step.spec.environment, DockerEnvironment)
        for name in store.materialise(work, seen_as if inside else None):
            self._observer(events.Warned(f"{step.id}: the link {name} leads out of the step's directory: left out"))
        try:
            files = Files(frozenset(name for name, _ in store.walk(work)))
        except IntegrityError as error:
            raise StepFailed(
                f"the step {step.id} ended well, but {error.message}", hint=error.hint, step=str(step.id)
            ) from None
        publishers.check_published(step, published(step, files, work, execution), files)
        store.seal(work, owner)
        return store.tree_of(work)

    # --- recording ---------------------------------------------------------------------------------------------------

    def _recorded(
        self, prepared: Prepared, tree: store.Tree, execution: Mapping[str, Any], reused: str | None
    ) -> Record:
        record = self._record(prepared, tree, execution, reused)
        self._rundir.write(record)
        return record

    def _record(self, prepared: Prepared, tree: store.Tree, execution: Mapping[str, Any], reused: str | None) -> Record:
        """What is known of a finished step; what it published follows from its files."""
        step = prepared.step
        files = Files(tree.names())
        return Record(
            step=step.id,
            key=prepared.key,
            key_parts=prepared.parts,
            tree=tree,
            published=published(step, files, self._rundir.place(step.id), execution),
            depends_on=step.depends_on,
            execution=execution,
            reused=reused,
        )


def _as_seen_by(step: Step, execution: Mapping[str, Any]) -> dict[str, Any]:
    """How equal work was done elsewhere, where the directories had the names of other steps, but the same places."""
    places = {str(source): place for source, place in command.in_container(step).items()}
    return {**execution, **({"places": places} if "places" in execution else {})}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _for_other_runs(prepared: Prepared) -> bool:
    """Whether outputs depend on nothing but the key: not of what the host did, or what saw a network or the host."""
    return prepared.image is not None and not leaves_the_container(prepared.step.relaxations)
