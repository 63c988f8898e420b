"""Docker: argv for starting containers, the SDK for looking at images and removing what is left.

The command line streams output and forwards the exit code without a thread of ours; the SDK gives typed answers.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recast_dm import config
from recast_dm.errors import ToolMissing, storage_error
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome, Reason, runner_id, runner_lives
from recast_dm.runtimes.marks import marked, marks
from recast_dm.runtimes.watching import KILLED, Deadline, copy, feed, last_line

RUN_LABEL = "org.recast-dm.run"
RUNNER_LABEL = "org.recast-dm.runner"
ENGINE_FAILED = 125
"""docker's own exit code when it could not start a container."""

BASE_ENV = {
    "HOME": "/tmp",  # noqa: S108  # the container's
    "TMPDIR": "/tmp",  # noqa: S108
    "USER": "recast",  # the uid has no name in the image, and some programs ask for one
    "LOGNAME": "recast",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
}
"""What every container sees. Part of the key's version: raise `engine.key.VERSION` when this changes."""

ISOLATION = (
    "no network",
    "no capabilities",
    "no new privileges",
    "read-only root",
    "unprivileged user",
    "inputs read-only",
    "pids, memory and cpu limits",
)

_MEND = (
    "install and start it: as root on Debian or Ubuntu `apt-get install -y docker.io`, then `dockerd &`;"
    "\nor give your account access to a running one: `sudo usermod -aG docker $USER`, then log in again"
)


def argv(job: Job) -> tuple[str, ...]:
    """The `docker run` command line of a job: closed by default, nothing mounted but its work directory and inputs."""
    uid, gid = job.user
    limits = job.limits
    words = ["docker", "run", "--name", job.name, "--cidfile", str(_cidfile(job))]
    words += ["--label", f"{RUN_LABEL}={job.run}", "--label", f"{RUNNER_LABEL}={job.runner}"]
    words += ["--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += ["--read-only", "--tmpfs", f"/tmp:rw,nosuid,nodev,mode=1777,size={limits.tmp}"]  # noqa: S108  # inside
    words += ["--user", f"{uid}:{gid}", "--init", "--pull", "never", "--log-driver", "none"]
    words += ["--pids-limit", str(limits.pids), "--memory", str(limits.memory), "--cpus", f"{limits.cpus:g}"]
    words += ["--mount", _mount(str(job.workdir), "/workdir", read_only=False)]
    for n, place in enumerate(job.inputs):
        words += ["--mount", _mount(str(place), f"/inputs/{n}", read_only=True)]
    for key, value in sorted({**BASE_ENV, **job.env}.items()):
        words += ["--env", f"{key}={value}"]
    if job.scratch is not None:
        words += ["--mount", _mount(str(job.scratch), "/scratch", read_only=False)]
    for path, target in job.files:
        words += ["--mount", _mount(str(path), target, read_only=True)]
    if job.cwd is not None:
        words += ["--workdir", job.cwd]
    if job.stdin is not None:
        words.append("--interactive")
    assert job.image is not None  # noqa: S101  # a container has one
    words += ["--entrypoint", job.argv[0], job.image.image_id, *job.argv[1:]]
    return tuple(words)


def _mount(source: str, target: str, *, read_only: bool) -> str:
    """docker's --mount value is a line of CSV, so any path can be written in it.

    >>> _mount("/data/a,b", "/workdir", read_only=False)
    'type=bind,"src=/data/a,b",dst=/workdir'
    """
    line = io.StringIO()
    fields = ["type=bind", f"src={source}", f"dst={target}"] + (["readonly"] if read_only else [])
    csv.writer(line, lineterminator="\r\n").writerow(fields)  # without one, a newline in a path is not quoted
    return line.getvalue().removesuffix("\r\n")


class Docker:
    """The docker engine that `docker` talks to (DOCKER_HOST is honoured)."""

    def __init__(self) -> None:
        self._client: Any = None

    def _engine(self) -> Any:
        if self._client is None:
            import docker  # 0.1 s, only when a container is wanted

            try:
                self._client = docker.from_env(version="auto", timeout=60)
            except docker.errors.DockerException as error:
                raise ToolMissing(f"docker does not answer: {_short(error)}", hint=_MEND) from None
        return self._client

    def about(self) -> About:
        import docker
        import requests

        try:
            subprocess.run(["docker", "--version"], capture_output=True, check=True, timeout=20)
            version = self._engine().version()["Version"]
        except FileNotFoundError:
            raise ToolMissing("the command `docker` is not installed", hint=_MEND) from None
        except (
            subprocess.SubprocessError,
            docker.errors.DockerException,
            requests.RequestException,
        ) as error:
            raise ToolMissing(f"docker does not answer: {_short(error)}", hint=_MEND) from None
        return About("docker", version, ISOLATION)

    def image(self, reference: str) -> Image | None:
        import docker

        try:
            found = self._engine().images.get(reference)
        except (docker.errors.ImageNotFound, docker.errors.NullResource):
            return None
        except docker.errors.APIError as error:
            raise ToolMissing(f"docker cannot look up {reference!r}: {_short(error)}") from None
        attributes = found.attrs
        digests = attributes.get("RepoDigests") or [None]
        variant = f"/{attributes['Variant']}" if attributes.get("Variant") else ""
        return Image(
            reference=reference,
            image_id=found.id,
            diff_ids=tuple(attributes["RootFS"]["Layers"]),
            platform=f"{attributes['Os']}/{attributes['Architecture']}{variant}",
            registry_digest=digests[0],
            config=_config(attributes.get("Config") or {}),
        )

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        try:
            with (
                job.log.open("wb") as log,
                subprocess.Popen(
                    argv(job),
                    stdin=subprocess.PIPE if job.stdin is not None else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={**config.environment(), **marks(job.run, job.runner)},
                    start_new_session=True,  # Ctrl-C reaches us, and we end the container
                ) as process,
                Deadline(job, lambda: self._kill(job.name)) as deadline,
            ):
                feed(process, job.stdin)
                assert process.stdout is not None  # noqa: S101  # it was asked for
                copy(process.stdout, log, line)
                code = process.wait()
        except OSError as error:
            raise storage_error(error, f"run {job.name}") from None
        return self._outcome(job, code, deadline.passed)

    def _kill(self, name: str) -> None:
        """Ends a container for good; one that is not there yet, or no more, needs nothing."""
        import docker
        import requests

        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
            self._engine().containers.get(name).kill()

    def _outcome(self, job: Job, code: int, late: bool) -> Outcome:
        """What the engine itself says about how the container ended; then the container is removed."""
        import docker
        import requests

        container_id = _cidfile(job).read_text().strip() if _cidfile(job).exists() else ""
        if not container_id:
            raise ToolMissing(f"docker could not start a container: {last_line(job)}")
        try:
            container = self._engine().containers.get(container_id)
            state = container.attrs["State"]
            with contextlib.suppress(docker.errors.APIError):  # whoever sweeps this run may be removing it already
                container.remove(force=True, v=True)
        except docker.errors.NotFound:
            return Outcome(code or ENGINE_FAILED, container_id, "removed while it ran")
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise ToolMissing(
                f"docker stopped answering while {job.name} ran: {_short(error)}",
                hint="start it again and repeat the command: finished steps are kept",
            ) from None
        if state["Status"] == "created":
            raise ToolMissing(f"docker could not start a container: {state.get('Error') or last_line(job)}")
        exit_code = int(state["ExitCode"])
        reason: Reason = "killed" if exit_code == KILLED else ""
        reason = "timeout" if late else "out of memory" if state.get("OOMKilled") else reason
        return Outcome(exit_code, container_id, reason)

    def sweep(self, run: str) -> int:
        import docker
        import requests

        count = 0
        _end_orphans(run)
        try:
            for container in self._engine().containers.list(all=True, filters={"label": RUN_LABEL}):
                labels = container.labels
                if labels.get(RUN_LABEL) != run and runner_lives(labels.get(RUNNER_LABEL, "")):
                    continue
                try:
                    container.remove(force=True, v=True)
                    count += 1
                except (docker.errors.NotFound, docker.errors.APIError):
                    continue  # it ended by itself meanwhile
        except (docker.errors.DockerException, requests.RequestException, ToolMissing):
            return count  # an engine that is gone has no containers to leave behind
        return count


def _config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"env": sorted(config.get("Env") or []), "workdir": config.get("WorkingDir") or ""}


def _end_orphans(run: str) -> None:
    """Ends what a dead runner left of `docker run` itself: it may still be about to make its container."""
    for pid, runner in marked(run):
        if runner != runner_id():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _cidfile(job: Job) -> Path:
    """Where docker writes the container's id once it has made it."""
    return job.log.with_name(f"{job.log.name}.cid")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
