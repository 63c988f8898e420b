"""One step, from its key to its record: kept, taken from the cache, or made in a container.

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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast_dm import config, store
from recast_dm.engine import command, events, publishers
from recast_dm.engine import key as keys
from recast_dm.engine.cache import StepCache
from recast_dm.engine.rundir import Record, RunDirectory
from recast_dm.errors import IntegrityError, Interrupted, StepFailed, storage_error
from recast_dm.model import INIT, Image, Step, StepId, Workflow
from recast_dm.runtimes import About, Job, Limits, Runtime, runner_id

_NAME = re.compile(r"[^A-Za-z0-9_.-]")
LAST_LINES = 15
FULL = 64 * 1024
"""A filesystem with less free space than this, in bytes, is why a step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to execute: a workflow, its init parameters and files, its images, and the relaxations by stage."""

    workflow: Workflow
    initdata: Mapping[str, Any]
    initdir: Path | None
    images: Mapping[str, Image]
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


class Worker:
    """Performs one step in whatever thread it is called from."""

    def __init__(
        self,
        request: Request,
        rundir: RunDirectory,
        runtime: Runtime,
        about: About,
        cache: StepCache | None,
        observer: events.Observer,
        run_id: str,
    ) -> None:
        self._request = request
        self._rundir = rundir
        self._runtime = runtime
        self._cache = cache
        self._observer = observer
        self._about = about
        self._cpu = config.cpu_features()
        self.run_id = run_id
        self.stop = threading.Event()

    def perform(self, step: Step, trees: Mapping[StepId, str]) -> Record:
        """The record of a step: kept, cached, or made now. `trees` are the hashes of the directories it can see."""
        began = time.monotonic()
        image = self._request.images[step.spec.environment.reference]
        parts = keys.parts(step, image, trees)
        key = keys.of(parts)
        how: events.How = "kept"
        record = self._kept(step, key, parts)
        if record is None:
            try:
                self._rundir.clear(step.id)
                how, record = "cached", self._cached(step, key, parts)
                if record is None:
                    how, record = "ran", self._made(step, key, parts, image)
            except OSError as error:
                raise storage_error(error, f"keep the outputs of {step.id}") from None
        self._observer(events.StepFinished(step.id, how, time.monotonic() - began))
        return record

    def _kept(self, step: Step, key: str, parts: Mapping[str, Any]) -> Record | None:
        """The record that an earlier start of this run directory left, if its files are still what it says."""
        try:
            document = self._rundir.read(step.id)
            if document is None or document["key"] != key:
                return None
            tree = store.tree_of(self._rundir.place(step.id))
            intact = tree.sha256 == document["tree"]
            execution, reused = document["execution"], document["reused"]
        except (IntegrityError, KeyError):
            intact = False
        if not intact:
            self._observer(events.Warned(f"{step.id}: its files have changed since they were recorded; it runs again"))
            return None
        return _record(step, key, parts, tree, execution, reused)

    def _cached(self, step: Step, key: str, parts: Mapping[str, Any]) -> Record | None:
        entry = self._cache.get(key) if self._cache else None
        if entry is None:
            return None
        store.link_tree(entry.place, self._rundir.place(step.id))
        return self._recorded(step, key, parts, entry.tree, entry.execution, "cache")

    def _made(self, step: Step, key: str, parts: Mapping[str, Any], image: Image) -> Record:
        attempt = self._rundir.attempt(step.id)
        work = attempt / "work"
        work.mkdir(mode=0o755)
        user = config.container_user()
        owner = (work.stat().st_uid, work.stat().st_gid)
        if user != owner:
            os.chown(work, *user)
        call = command.invocation(step)
        for warning in call.warnings:
            self._observer(events.Warned(warning))
        job = Job(
            name=f"recast-dm-{self.run_id}-{_NAME.sub('-', attempt.name)}-{uuid.uuid4().hex[:6]}",
            run=self.run_id,
            runner=runner_id(),
            image=image,
            argv=call.argv,
            workdir=work,
            inputs=tuple(self._place(source) for source in step.input_dirs() if source != step.id),
            user=user,
            log=attempt / "log",
            stdin=call.stdin,
            env=call.env,
            limits=Limits(),
        )
        execution = self._run(step, job)
        tree = self._checked(step, work, owner if user != owner else None)
        work.rename(self._rundir.place(step.id))
        store.fsync_directory(self._rundir.place(step.id).parent)
        record = self._recorded(step, key, parts, tree, execution, None)
        if self._cache:
            self._cache.put(key, tree, self._rundir.place(step.id), execution)
        return record

    def _place(self, source: StepId) -> Path:
        if source != INIT:
            return self._rundir.place(source)
        assert self._request.initdir is not None  # noqa: S101  # only an initdir publishes paths of init
        return self._request.initdir.absolute()

    def _run(self, step: Step, job: Job) -> dict[str, Any]:
        """Starts the container and demands exit code 0. Gives the execution part of the record."""
        if self.stop.is_set():
            raise Interrupted(f"{step.id} was not started")
        self._observer(events.StepStarted(step.id, job.image.reference, job.log))
        started, began = now(), time.monotonic()
        outcome = self._runtime.run(job, lambda line: self._observer(events.StepSaid(step.id, line)))
        seconds = time.monotonic() - began
        if outcome.exit_code != 0:
            no_space = shutil.disk_usage(job.workdir).free < FULL
            shutil.rmtree(job.workdir, ignore_errors=True)
            if no_space:
                raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), job.workdir), f"finish {step.id}")
            raise _failure(step, job, outcome.exit_code, outcome.reason)
        return {
            "runtime": {
                "name": self._about.name,
                "version": self._about.version,
                "isolation": list(self._about.isolation),
            },
            "image": job.image.document(),
            "container_id": outcome.container_id,
            "argv": list(job.argv),
            "stdin": job.stdin,
            "env": dict(job.env),
            "user": list(job.user),
            "limits": {"cpus": job.limits.cpus, "memory": job.limits.memory, "pids": job.limits.pids},
            "exit_code": outcome.exit_code,
            "started": started,
            "seconds": round(seconds, 3),
            "cpu": self._cpu,
        }

    def _checked(self, step: Step, work: Path, owner: tuple[int, int] | None) -> store.Tree:
        """The sealed tree of a work directory that holds every declared output."""
        try:
            names = {name for name, _ in store.walk(work)}
        except IntegrityError as error:
            raise StepFailed(f"the step {step.id} ended well, but {error.message}", hint=error.hint) from None
        directories = {"/".join(name.split("/")[:n]) for name in names for n in range(1, name.count("/") + 1)}
        publishers.check_published(step, publishers.publish(step, names), names | directories)
        store.seal(work, owner)
        return store.tree_of(work)

    def _recorded(
        self,
        step: Step,
        key: str,
        parts: Mapping[str, Any],
        tree: store.Tree,
        execution: Mapping[str, Any],
        reused: str | None,
    ) -> Record:
        record = _record(step, key, parts, tree, execution, reused)
        self._rundir.write(record)
        return record


def _record(
    step: Step,
    key: str,
    parts: Mapping[str, Any],
    tree: store.Tree,
    execution: Mapping[str, Any],
    reused: str | None,
) -> Record:
    """What is known of a finished step; what it published follows from its files."""
    return Record(
        step=step.id,
        key=key,
        key_parts=parts,
        tree=tree,
        published=publishers.publish(step, tree.names()),
        execution=execution,
        reused=reused,
    )


def _failure(step: Step, job: Job, exit_code: int, reason: str) -> StepFailed:
    lines = store.tail(job.log).decode("utf-8", "replace").splitlines()[-LAST_LINES:]
    ended = f"exit code {exit_code}" + (f", {reason}" if reason else "")
    said = "".join(f"\n| {line}" for line in lines)
    return StepFailed(
        f"the step {step.id} failed ({ended})",
        hint=f"its last lines:{said}\nthe whole log: {job.log}\nfinished steps are kept",
        step=str(step.id),
        status=exit_code,
    )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
