"""One step, from its key to its record: kept, taken from the cache, or made now.

Success is a checked statement: exit code 0, every declared output there, files sealed and hashed, the record written.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast_dm import config, store
from recast_dm.engine import command, events, publishers
from recast_dm.engine import key as keys
from recast_dm.engine.cache import StepCache
from recast_dm.engine.outcome import failure, is_full, published
from recast_dm.engine.publishers import Files
from recast_dm.engine.request import Ask, Request, limits, stopping
from recast_dm.engine.rundir import DAMAGED, Record, RunDirectory
from recast_dm.errors import (
    IntegrityError,
    Interrupted,
    RecastError,
    StepFailed,
    StorageError,
    ToolMissing,
    UsageError,
    storage_error,
)
from recast_dm.model import (
    INIT,
    DockerEnvironment,
    HostEnvironment,
    Image,
    Instructions,
    ManualPublisher,
    Policy,
    Step,
    StepId,
)
from recast_dm.runtimes import About, Job, Outcome, Runtime, runner_id

_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What steps are performed with. `containers` and `host` are None where the workflow needs or may use none."""

    containers: Runtime | None
    host: Runtime | None
    cache: StepCache | None
    observer: events.Observer
    ask: Ask | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A step with its key."""

    step: Step
    image: Image | None
    parts: Mapping[str, Any]
    key: str


class Worker:
    """Performs one step in whatever thread it is called from."""

    def __init__(
        self, request: Request, rundir: RunDirectory, tools: Tools, run_id: str, about: Mapping[str, About]
    ) -> None:
        self._request = request
        self._rundir = rundir
        self._tools = tools
        self._observer = tools.observer
        self._about = about
        self._runner = runner_id()
        self._cpu = config.cpu_features()
        self._user = config.container_user()
        self._asking = threading.Lock()
        self.run_id = run_id
        self.stop = threading.Event()

    def prepare(self, step: Step, trees: Mapping[StepId, str]) -> _Prepared:
        """A step with its key. `trees` are the hashes of the directories it can see."""
        environment = step.spec.environment
        image = self._request.images[environment.reference] if isinstance(environment, DockerEnvironment) else None
        parts = keys.parts(step, image, trees)
        return _Prepared(step, image, parts, keys.of(parts))

    def kept(self, prepared: _Prepared) -> Record | None:
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

    def perform(self, prepared: _Prepared) -> Record:
        """The record of a step that is not kept: taken from the cache, or made now."""
        step = prepared.step
        began = time.monotonic()
        try:
            self._rundir.clear(step.id)
            how: events.How = "cached"
            record = self._cached(prepared)
            if record is None:
                how, record = "ran", self._made(prepared)
        except OSError as error:
            raise storage_error(error, f"keep the outputs of {step.id}") from None
        self._observer(events.StepFinished(step.id, how, time.monotonic() - began))
        return record

    def _cached(self, prepared: _Prepared) -> Record | None:
        if prepared.image is None or self._tools.cache is None:
            return None  # what the host did is good for this run only
        entry = self._tools.cache.get(prepared.key)
        if entry is None:
            return None
        try:
            store.link_tree(entry.place, self._rundir.place(prepared.step.id))
        except RecastError:
            if entry.place.is_dir():
                raise
            return None  # somebody has just removed it
        return self._recorded(prepared, entry.tree, entry.execution, "cache")

    # --- making ------------------------------------------------------------------------------------------------------

    def _made(self, prepared: _Prepared) -> Record:
        """Tries a step as often as its policy says."""
        policy = self._request.policy_of(prepared.step)
        failures: list[dict[str, Any]] = []
        while True:
            attempt = self._rundir.attempt(prepared.step.id)
            began = time.monotonic()
            try:
                return self._tried(prepared, attempt, policy, failures)
            except StepFailed as error:
                if error.status is None or len(failures) >= (policy.retries or 0) or self.stop.is_set():
                    raise
                failures.append({"reason": error.reason, "seconds": round(time.monotonic() - began, 3)})
                self._observer(events.StepRetried(prepared.step.id, error.reason, len(failures), policy.retries or 0))

    def _tried(self, prepared: _Prepared, attempt: Path, policy: Policy, failures: list[dict[str, Any]]) -> Record:
        step = prepared.step
        work = attempt / "work"
        work.mkdir(mode=0o755)
        owner = self._give(work) if isinstance(step.spec.environment, DockerEnvironment) else None
        execution = self._executed(prepared, attempt, policy)
        if failures:
            execution["failed_attempts"] = failures
        tree = self._checked(step, work, owner, execution)
        place = self._rundir.place(step.id)
        work.rename(place)
        store.fsync_directory(place.parent)
        record = self._recorded(prepared, tree, execution, None)
        if self._tools.cache and prepared.image is not None:
            try:
                self._tools.cache.put(prepared.key, tree, place, execution)
            except StorageError as error:  # the run does not need it
                self._observer(events.Warned(f"{step.id} is not cached: {error.message}"))
        return record

    def _give(self, directory: Path) -> tuple[int, int] | None:
        """Gives a directory to the container's user; gives the owner that it had, if that was another."""
        status = directory.stat()
        owner = (status.st_uid, status.st_gid)
        if owner == self._user:
            return None
        os.chown(directory, *self._user)
        return owner

    def _executed(self, prepared: _Prepared, attempt: Path, policy: Policy) -> dict[str, Any]:
        """Does what a step does, and demands exit code 0. Gives the execution part of the record."""
        step, spec = prepared.step, prepared.step.spec
        started, began = now(), time.monotonic()
        execution: dict[str, Any] = {"started": started}
        if spec.starts_something:
            execution |= self._run(prepared, attempt, policy)
        instructions = spec.instructions
        if isinstance(spec.publisher, ManualPublisher):
            execution["said"] = self._asked(step, str(instructions), attempt / "work", True)
        elif isinstance(spec.process, Instructions) and self._tools.ask:
            self._asked(step, str(instructions), attempt / "work", False)
        elif instructions is not None:  # nobody asks, which would tell them
            self._observer(events.Instructed(step.id, instructions, attempt / "work"))
        return {**execution, "seconds": round(time.monotonic() - began, 3)}

    def _asked(self, step: Step, instructions: str, place: Path, wants_value: bool) -> Any:
        if self._tools.ask is None:
            raise StepFailed(
                f"the step {step.id} needs a person, and there is no terminal to ask one",
                hint=f"its instructions:\n{instructions}\nrun this on a terminal; finished steps are kept",
            )
        with self._asking:
            if self.stop.is_set():
                raise Interrupted(f"{step.id} was not asked for")
            before = stopping.set(self.stop.is_set)
            try:
                return self._tools.ask(step.id, instructions, place, wants_value)
            finally:
                stopping.reset(before)

    def _run(self, prepared: _Prepared, attempt: Path, policy: Policy) -> dict[str, Any]:
        step = prepared.step
        runtime, about = self._runtime(step)
        inputs = tuple(self._place(source) for source in step.input_dirs())
        places = self._places(step, attempt / "work", inputs)
        call = command.invocation(step, places)
        for warning in (*call.warnings, *self._unprovided(step)):
            self._observer(events.Warned(warning))
        scratch = attempt / "scratch" if call.scratch else None
        if scratch is not None:
            scratch.mkdir(mode=0o755)
            self._give(scratch)
        job = Job(
            name=f"recast-dm-{self.run_id}-{_NAME.sub('-', attempt.name)}-{uuid.uuid4().hex[:6]}",
            run=self.run_id,
            runner=self._runner,
            image=prepared.image,
            argv=call.argv,
            workdir=attempt / "work",
            inputs=inputs,
            user=self._user,
            log=attempt / "log",
            stdin=call.stdin,
            env=call.env,
            limits=limits(policy),
            cwd=call.cwd,
            scratch=scratch,
            files=_written(call.files or {}, attempt),
            timeout=policy.timeout,
        )
        if self.stop.is_set():
            raise Interrupted(f"{step.id} was not started")
        self._observer(events.StepStarted(step.id, prepared.image.reference if prepared.image else None, job.log))
        outcome = runtime.run(job, lambda line: self._observer(events.StepSaid(step.id, line)))
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        self._demand_success(step, job, outcome)
        return {
            "runtime": {"name": about.name, "version": about.version, "isolation": list(about.isolation)},
            "image": prepared.image.document() if prepared.image else None,
            "container_id": outcome.container_id,
            "argv": list(job.argv),
            "stdin": job.stdin,
            "env": dict(job.env),
            "cwd": job.cwd,
            "places": {str(source): place for source, place in places.items()},
            "files": dict(call.files or {}),
            "user": list(job.user) if prepared.image else None,
            "limits": {"cpus": job.limits.cpus, "memory": job.limits.memory, "pids": job.limits.pids}
            if prepared.image
            else None,
            "exit_code": outcome.exit_code,
            "cpu": self._cpu,
        }

    def _runtime(self, step: Step) -> tuple[Runtime, About]:
        if isinstance(step.spec.environment, HostEnvironment):
            if self._tools.host is None:
                raise UsageError(
                    f"the step {step.id} starts a process of this machine (localproc-env)",
                    hint="--allow-host lets it; it may then do whatever you may do",
                )
            return self._tools.host, self._about["host"]
        if self._tools.containers is None:
            raise ToolMissing(f"the step {step.id} needs a container runtime")
        return self._tools.containers, self._about["containers"]

    def _places(self, step: Step, work: Path, inputs: tuple[Path, ...]) -> dict[StepId, str]:
        if isinstance(step.spec.environment, DockerEnvironment):
            return command.in_container(step)
        return command.on_host(step, work, inputs)

    def _unprovided(self, step: Step) -> tuple[str, ...]:
        environment = step.spec.environment
        if not isinstance(environment, DockerEnvironment):
            return ()
        return tuple(f"{step.id}: the resource {name!r} is not provided here" for name in environment.unprovided)

    def _place(self, source: StepId) -> Path:
        if source != INIT:
            return self._rundir.place(source)
        assert self._request.initdir is not None  # noqa: S101  # only an initdir publishes paths of init
        return self._request.initdir.absolute()

    def _demand_success(self, step: Step, job: Job, outcome: Outcome) -> None:
        if outcome.exit_code == 0 and not outcome.reason:
            return
        if self.stop.is_set():
            raise Interrupted(f"{step.id} was interrupted")
        no_space = is_full(job.workdir)
        shutil.rmtree(job.workdir, ignore_errors=True)
        if no_space:
            raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), job.workdir), f"finish {step.id}")
        raise failure(step, job, outcome)

    def _checked(
        self, step: Step, work: Path, owner: tuple[int, int] | None, execution: Mapping[str, Any]
    ) -> store.Tree:
        """The sealed tree of a work directory that holds every declared output."""
        seen_as = command.WORKDIR if isinstance(step.spec.environment, DockerEnvironment) else None
        for name in store.materialise(work, seen_as):
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
        self, prepared: _Prepared, tree: store.Tree, execution: Mapping[str, Any], reused: str | None
    ) -> Record:
        record = self._record(prepared, tree, execution, reused)
        self._rundir.write(record)
        return record

    def _record(
        self, prepared: _Prepared, tree: store.Tree, execution: Mapping[str, Any], reused: str | None
    ) -> Record:
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


def _written(files: Mapping[str, str], attempt: Path) -> tuple[tuple[Path, str], ...]:
    """Files to be mounted, written beside the work directory: they are no outputs."""
    found = []
    for n, (mountpath, content) in enumerate(sorted(files.items())):
        path = attempt / f"mount.{n}"
        path.write_text(content)
        path.chmod(0o444)
        found.append((path, mountpath))
    return tuple(found)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
