"""Processes of this machine, for yadage's `localproc-env`: no container, and everything the user may do.

Only with `--allow-host`. A process carries the id of its run in its environment, so that what a dead runner left can
be found and ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from functools import cache

from recast_dm.errors import RecastError, StepFailed, ToolMissing, storage_error
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome, Reason
from recast_dm.runtimes.marks import end_all, marks
from recast_dm.runtimes.watching import in_a_shell


class Host:
    """Starts processes with the caller's own environment, below a work directory."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def about(self) -> About:
        return About("host", os.uname().release, ("none: processes of this machine",))

    def image(self, reference: str) -> Image | None:  # noqa: ARG002  # the seam's; a host has no images
        return None

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:  # noqa: ARG002  # what it says is in the log
        env = {**self._environ, **job.env, **marks(job.run, job.runner)}
        try:
            with job.log.open("wb") as log:
                process = subprocess.Popen(
                    job.argv,
                    executable=_program(job.argv[0], env.get("PATH")),
                    cwd=job.cwd or job.workdir,
                    env=env,
                    stdin=subprocess.PIPE if job.stdin is not None else subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise ToolMissing(f"{error.filename} is not here, and {job.name} needs it") from None
        except (OSError, ValueError) as error:
            raise _unstarted(job, error) from None
        return self._wait(process, job)

    def _wait(self, process: subprocess.Popen[bytes], job: Job) -> Outcome:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _end(process.pid)

        timer = threading.Timer(job.timeout, expire) if job.timeout else None
        if timer:
            timer.start()
        try:
            if process.stdin is not None and job.stdin is not None:
                with contextlib.suppress(BrokenPipeError), process.stdin as script:
                    script.write(job.stdin.encode())  # one that ends without reading its script: its code tells
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its number is still its own
            _end(process.pid)  # what it left in the background ends with it, as in a container
            code = process.wait()
        finally:
            if timer:
                timer.cancel()
        reason: Reason = "timeout" if expired.is_set() else "killed" if code == -signal.SIGKILL else ""
        return Outcome(in_a_shell(code), f"pid {process.pid}", reason)

    def sweep(self, run: str) -> int:
        """Ends every process that carries the id of a run."""
        return end_all(run)


def _unstarted(job: Job, error: OSError | ValueError) -> RecastError:
    if isinstance(error, ValueError) or error.errno == errno.E2BIG:
        return StepFailed(
            f"{job.name} cannot be started: {error if isinstance(error, ValueError) else error.strerror}",
            hint="a command may hold no NUL, and about 100 kB: hand long values over in a file",
        )
    return storage_error(error, f"run {shlex.join(job.argv)[:200]}")


@cache
def _program(name: str, path: str | None) -> str:
    """Where a program is: looked up once, not by every start. What is not there is named when it is started."""
    return shutil.which(name, path=path) or name


def _end(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
