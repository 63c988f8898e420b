"""Docker: argv for starting containers, the SDK for looking at images and removing what is left.

The command line streams output and forwards the exit code without a thread of ours; the SDK gives typed answers.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from typing import Any

from recast_dm.errors import ToolMissing
from recast_dm.images import engine
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome, runner_lives
from recast_dm.runtimes.command_line import CLOSED, RUN_LABEL, RUNNER_LABEL, cidfile, run_words
from recast_dm.runtimes.marks import end_orphans
from recast_dm.runtimes.watching import attached, ended, last_line

ENGINE_FAILED = 125
"""docker's own exit code when it could not start a container."""

ISOLATION = (*CLOSED, "pids, memory and cpu limits")

_MEND = (
    "install and start it: as root on Debian or Ubuntu `apt-get install -y docker.io`, then `dockerd &`;"
    "\nor give your account access to a running one: `sudo usermod -aG docker $USER`, then log in again"
)


def argv(job: Job) -> tuple[str, ...]:
    """The `docker run` command line of a job."""
    gpus = ("--gpus", "all") if job.gpus else ()
    return ("docker", *run_words(job, ("--init", "--log-driver", "none", *gpus)))


class Docker:
    """The docker engine that `docker` talks to (DOCKER_HOST is honoured)."""

    def __init__(self) -> None:
        self._client: Any = None
        self._about: About | None = None

    def _engine(self) -> Any:
        if self._client is None:
            import docker  # 0.1 s, only when a container is wanted

            try:
                self._client = docker.from_env(version="auto", timeout=60)
            except docker.errors.DockerException as error:
                raise ToolMissing(f"docker does not answer: {_short(error)}", hint=_MEND) from None
        return self._client

    def about(self) -> About:
        if self._about is None:
            self._about = self._asked()
        return self._about

    def _asked(self) -> About:
        import docker
        import requests

        try:
            subprocess.run(["docker", "--version"], capture_output=True, check=True, timeout=20)
            server = self._engine().version()
        except FileNotFoundError:
            raise ToolMissing("the command `docker` is not installed", hint=_MEND) from None
        except (
            subprocess.SubprocessError,
            docker.errors.DockerException,
            requests.RequestException,
        ) as error:
            raise ToolMissing(f"docker does not answer: {_short(error)}", hint=_MEND) from None
        return About("docker", server["Version"], ISOLATION, f"{server['Os']}/{server['Arch']}")

    def image(self, reference: str) -> Image | None:
        import docker

        try:
            found = self._engine().images.get(reference)
        except (docker.errors.ImageNotFound, docker.errors.NullResource):
            return None
        except docker.errors.APIError as error:
            raise ToolMissing(f"docker cannot look up {reference!r}: {_short(error)}") from None
        return engine.image_of(reference, found.attrs)

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        code, late = attached(argv(job), job, line, lambda _: self._kill(job.name))
        return self._outcome(job, code, late)

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

        container_id = cidfile(job).read_text().strip() if cidfile(job).exists() else ""
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
        return ended(int(state["ExitCode"]), container_id, late=late, out_of_memory=bool(state.get("OOMKilled")))

    def sweep(self, run: str) -> int:
        import docker
        import requests

        count = 0
        end_orphans(run)
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


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
