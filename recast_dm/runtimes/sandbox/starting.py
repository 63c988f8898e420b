"""Starts a container of the sandbox: by bubblewrap or `unshare`, as root or as anybody."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from recast_dm.errors import ToolMissing, last_words
from recast_dm.runtimes import Job
from recast_dm.runtimes.marks import marks
from recast_dm.runtimes.proving import job_of_this_machine
from recast_dm.runtimes.sandbox import bubblewrap, inside, unprivileged, unshared

PROGRAMS = {"bubblewrap": "bwrap", "unshare": "unshare"}

COUNTED_APART = (5, 14)
"""The Linux that counts the tasks of a user in each user namespace apart."""


class Start:
    """A container that is started when this is entered; its process ends when it is left."""

    def __init__(self, starter: str, job: Job, tree: Path) -> None:
        self._starter, self._job, self._tree = starter, job, tree
        self._open = contextlib.ExitStack()
        self._said = b""

    def __enter__(self) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as undo:
            undo.push(self._open)
            read, write = os.pipe()
            status = self._open.enter_context(os.fdopen(read, "rb"))
            self._open.callback(self._read, status)
            with os.fdopen(write, "wb") as told:
                process = self._open.enter_context(self._started(told, status))
            undo.pop_all()
        return process

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(None, None, None)

    def told(self) -> Mapping[str, Any]:
        """What was told of the container when it had been made; nothing of one that was not."""
        documents = [json.loads(each) for each in self._said.splitlines() if each.strip()]
        return {key: value for document in documents for key, value in document.items()}

    def _read(self, status: IO[bytes]) -> None:
        self._said += status.read(64 * 1024)

    def _started(
        self, told: IO[bytes], status: IO[bytes]
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        job, tree, privileged = self._job, self._tree, os.geteuid() == 0
        if self._starter == "unshare":
            asked = unshared.request(job, tree, told.fileno(), _counted(job.user[0]), privileged=privileged)
            request = unshared.written(asked)
            self._open.callback(os.close, request)
            return self._process(
                unshared.argv(request, privileged=privileged, network=job.network), (told.fileno(), request)
            )
        shown = inside.mounts(job, tree)
        places = tuple(unprivileged.seen(n) for n, _ in enumerate(shown)) if privileged else shown
        blocked, going = os.pipe()
        block, go = self._open.enter_context(os.fdopen(blocked, "rb")), self._open.enter_context(os.fdopen(going, "wb"))
        words = bubblewrap.argv(job, tree, places, told.fileno(), block.fileno())
        start = partial(self._limited, words, (told, block, go), status)
        return unprivileged.Started(job.user, shown, start) if privileged else start()

    def _limited(
        self, words: tuple[str, ...], ends: tuple[IO[bytes], IO[bytes], IO[bytes]], status: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Bubblewrap, whose command waits until it has its limits: within its namespace they count nothing else."""
        told, block, go = ends
        process = self._process(words, (told.fileno(), block.fileno()))
        try:
            told.close()
            self._said = status.readline()
            running = _counted(self._job.user[0])
            for name, most in inside.limits(self._job, running).items() if self._said else ():
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(self.told()["child-pid"], getattr(resource, f"RLIMIT_{name}"), (most, most))
        except BaseException:
            process.kill()
            raise
        finally:
            go.close()
        return process

    def _process(self, words: tuple[str, ...], kept: tuple[int, ...]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE if self._job.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": inside.PATH, **marks(self._job.run, self._job.runner)},
            cwd="/",
            pass_fds=kept,
            start_new_session=True,
            umask=0o022,  # as with docker: the modes of outputs are not for the caller to set
        )


def tried(starter: str) -> str:
    """The version of what starts containers, which has just started one over this machine's own files.

    Raises ToolMissing where it is not there, or cannot.
    """
    program = PROGRAMS[starter]
    try:
        version = subprocess.run([program, "--version"], capture_output=True, check=True, timeout=20, text=True)
        with job_of_this_machine(("true",)) as (job, root), Start(starter, job, root) as process:
            _, said = process.communicate(timeout=20)
    except FileNotFoundError as error:
        raise ToolMissing(f"the command `{error.filename}` is not installed") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"{starter} does not start a container: {error}") from None
    if process.returncode != 0:
        raise ToolMissing(f"{starter} cannot start a container: {last_words(said)}")
    return version.stdout.split()[-1]


def _counted(uid: int) -> int:
    """The tasks that count beside a container's own: before Linux 5.14, all that its user runs."""
    return 0 if _kernel() >= COUNTED_APART else tasks_of(uid)


def _kernel() -> tuple[int, ...]:
    """The version of Linux that runs here."""
    return tuple(int(word) for word in re.findall(r"\d+", os.uname().release)[:2])


def tasks_of(uid: int) -> int:
    """The tasks of a user on this machine."""
    count = 0
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    count += len(os.listdir(f"{entry.path}/task")) if entry.stat().st_uid == uid else 0  # noqa: PTH208
    return count
