"""How a step is started: the job of a runtime, who waits for it, and what a record says of it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import config
from recast_dm.engine import command, events
from recast_dm.engine.cache import StepCache
from recast_dm.engine.granting import CREDENTIALS, granted
from recast_dm.engine.outcome import failure, is_full
from recast_dm.engine.request import Ask, Request, limits
from recast_dm.engine.rundir import RunDirectory
from recast_dm.errors import Interrupted, ToolMissing, UsageError, storage_error
from recast_dm.model import INIT, DockerEnvironment, HostEnvironment, Image, Policy, Step, StepId
from recast_dm.runtimes import NETWORK, About, Job, Outcome, Runtime, runner_id

_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What steps are performed with. `containers` and `host` are None where the workflow needs or may use none.

    `afresh` tells the steps that are not to be taken from the cache, though what they make goes into it.
    """

    containers: Runtime | None
    host: Runtime | None
    cache: StepCache | None
    observer: events.Observer
    ask: Ask | None = None
    verify: bool = False
    afresh: Callable[[StepId], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step with its key."""

    step: Step
    image: Image | None
    parts: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a step as it is, or would be: the job, the command, and where the step's directories lie in it."""

    job: Job
    call: command.Invocation
    places: Mapping[StepId, str]


class Starter:
    """Starts steps of one run, from any thread, until `stop` is set."""

    def __init__(
        self, request: Request, rundir: RunDirectory, tools: Tools, run_id: str, about: Mapping[str, About]
    ) -> None:
        self._request = request
        self._rundir = rundir
        self._tools = tools
        self._about = about
        self._runner = runner_id()
        self._cpu = config.cpu_features()
        self._user = config.container_user()
        self.run_id = run_id
        self.stop = threading.Event()

    def start(self, prepared: Prepared, attempt: Path, policy: Policy) -> Start:
        """What starts a step in an attempt of its own. Its warnings are told."""
        step = prepared.step
        inputs = tuple(self._place(source) for source in step.input_dirs())
        places = self._places(step, attempt / "work", inputs)
        call = command.invocation(step, places)
        given = granted(step, attempt, self._user)
        for warning in (*call.warnings, *given.warnings, *self._unprovided(step)):
            self._tools.observer(events.Warned(warning))
        job = Job(
            name=self.name(attempt.name),
            run=self.run_id,
            runner=self._runner,
            image=prepared.image,
            argv=call.argv,
            workdir=attempt / "work",
            inputs=inputs,
            user=self._user,
            log=attempt / "log",
            stdin=call.stdin,
            env={**call.env, **given.env},
            limits=limits(policy),
            cwd=call.cwd,
            scratch=attempt / "scratch" if call.scratch else None,
            files=(*_written(call.files or {}, attempt), *given.files),
            timeout=policy.timeout,
            network=given.network,
            gpus=given.gpus,
        )
        return Start(job, call, places)

    def name(self, what: str) -> str:
        """A container's name, which no other has."""
        return f"recast-dm-{self.run_id}-{_NAME.sub('-', what)}-{uuid.uuid4().hex[:6]}"

    def run(self, runtime: Runtime, job: Job, started: Callable[[], None], said: Callable[[str], None]) -> Outcome:
        """Starts a job and waits for it; its scratch directory is there only meanwhile."""
        if job.scratch is not None:
            job.scratch.mkdir(mode=0o755, exist_ok=True)
            self.give(job.scratch)
        if self.stop.is_set():
            raise Interrupted(f"{job.name} was not started")
        started()
        try:
            outcome = runtime.run(job, said)
        finally:
            shutil.rmtree(job.log.with_name(CREDENTIALS), ignore_errors=True)
        if job.scratch is not None:
            shutil.rmtree(job.scratch, ignore_errors=True)
        return outcome

    def execution(self, prepared: Prepared, start: Start, outcome: Outcome) -> dict[str, Any]:
        """What a record says of how a step was started."""
        job = start.job
        about = self._about["host" if isinstance(prepared.step.spec.environment, HostEnvironment) else "containers"]
        return {
            "runtime": {"name": about.name, "version": about.version, "isolation": _isolation(job, about)},
            "image": prepared.image.document() if prepared.image else None,
            "container_id": outcome.container_id,
            "argv": list(job.argv),
            "stdin": job.stdin,
            "env": dict(job.env),
            "cwd": job.cwd,
            "places": {str(source): place for source, place in start.places.items()},
            "files": dict(start.call.files or {}),
            "user": list(job.user) if prepared.image else None,
            "limits": {"cpus": job.limits.cpus, "memory": job.limits.memory, "pids": job.limits.pids}
            if prepared.image
            else None,
            "exit_code": outcome.exit_code,
            "cpu": self._cpu,
            **outcome.elsewhere,
        }

    def runtime(self, step: Step) -> Runtime:
        """What starts a step's kind of job. Raises UsageError and ToolMissing where nothing may or can."""
        if isinstance(step.spec.environment, HostEnvironment):
            if self._tools.host is None:
                raise UsageError(
                    f"the step {step.id} starts a process of this machine (localproc-env)",
                    hint="--allow-host lets it; it may then do whatever you may do",
                )
            return self._tools.host
        if self._tools.containers is None:
            raise ToolMissing(f"the step {step.id} needs a container runtime")
        return self._tools.containers

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

    def demand_success(self, step: Step, job: Job, outcome: Outcome) -> None:
        """Raises what says how a job ended badly. What it wrote goes, and its log stays."""
        if outcome.exit_code == 0 and not outcome.reason:
            return
        if self.stop.is_set():
            raise Interrupted(f"{step.id} was interrupted")
        no_space = is_full(job.workdir)
        shutil.rmtree(job.workdir, ignore_errors=True)
        if no_space:
            raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), job.workdir), f"finish {step.id}")
        raise failure(step, job, outcome)

    def give(self, directory: Path) -> tuple[int, int] | None:
        """Gives a directory to the container's user; gives the owner that it had, if that was another."""
        status = directory.stat()
        owner = (status.st_uid, status.st_gid)
        if owner == self._user:
            return None
        os.chown(directory, *self._user)
        return owner


def _written(files: Mapping[str, str], attempt: Path) -> tuple[tuple[Path, str], ...]:
    """Files to be mounted, written beside the work directory: they are no outputs."""
    found = []
    for n, (mountpath, content) in enumerate(sorted(files.items())):
        path = attempt / f"mount.{n}"
        path.write_text(content)
        path.chmod(0o444)
        found.append((path, mountpath))
    return tuple(found)


def _isolation(job: Job, about: About) -> list[str]:
    """What a runtime gave, but for what the step declared that it needs."""
    given = {"no network": NETWORK} if job.network else {}
    more = ["graphics processors, as declared"] if job.gpus else []
    return [*(given.get(each, each) for each in about.isolation), *more]
