"""Containers without an engine: unpacked images, started by bubblewrap or `unshare`. No daemon, no root, no registry.

Where the caller is root, root becomes the job's unprivileged user before anything of the job is started.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast_dm import config
from recast_dm.errors import ToolMissing, storage_error
from recast_dm.images.blobs import Blobs
from recast_dm.images.rootfs import ROOTFS, Rootfs
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome
from recast_dm.runtimes.command_line import CLOSED
from recast_dm.runtimes.marks import marked
from recast_dm.runtimes.sandbox import starting
from recast_dm.runtimes.watching import KILLED, Deadline, ended, feed, in_a_shell, last_line, listen

ISOLATION = (
    *CLOSED,
    "memory limit of each process, by rlimit: no cgroup",
    "limit of the user's processes, by rlimit",
    "no limit of cpus",
    "no filter of system calls",
)
_MEND = (
    "as root on Debian or Ubuntu `apt-get install -y bubblewrap`;"
    "\nwhere user namespaces are switched off, root switches them on: `sysctl -w user.max_user_namespaces=15000`"
)
_GPUS = "--runtime docker, podman or apptainer gives them, with the toolkit of their maker"
STARTERS = ("bubblewrap", "unshare")
"""What starts a container, in the order of preference."""


class Sandbox:
    """Containers over the images that are unpacked below the cache directory, started by the first that works."""

    def __init__(self, cache: Path | None = None, starters: Sequence[str] = STARTERS) -> None:
        self._cache = cache or config.Config.from_environment().cache_dir
        self._starters = starters
        self._found: tuple[str, str] | None = None
        self.images = Rootfs(self._cache / ROOTFS)

    def about(self) -> About:
        return About("sandbox", " ".join(self._starter()), ISOLATION)

    def _starter(self) -> tuple[str, str]:
        """What starts containers here, and its version: proved by starting one."""
        failed: list[ToolMissing] = []
        for name in () if self._found else self._starters:
            try:
                self._found = (name, starting.tried(name))
                break
            except ToolMissing as error:
                failed.append(error)
        if self._found is None:
            raise ToolMissing("; ".join(each.message for each in failed), hint=_MEND)
        return self._found

    def image(self, reference: str) -> Image | None:
        """An unpacked image. One whose name was docker's follows what docker means by it; one that docker has comes."""
        found = self.images.named(reference)
        image = None if found is None else found.image
        by_content = reference.startswith(("sha256:", "recast-dm/preserved:"))
        if by_content or (found is not None and found.origin is None):
            return image
        with contextlib.suppress(ToolMissing):
            return self._from_docker(reference, image) or image
        return image

    def _from_docker(self, reference: str, named: Image | None) -> Image | None:
        from recast_dm.images import engine, sources

        known = engine.looked_up("docker", reference)
        if known is None or (named is not None and named.image_id == known["Id"]):
            return named
        shared = Blobs(self._cache / "images")
        stored = sources.FromEngine("docker").take([reference], shared)[reference]
        content = shared.path(stored.image.image_id).read_bytes()
        return self.images.add(shared.root, stored, content, [reference], origin="docker")

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        if job.gpus:
            raise ToolMissing(f"{job.name} needs graphics processors, which the sandbox does not give", hint=_GPUS)
        job = replace(job, files=(*job.files, *_names())) if job.network else job
        assert job.image is not None  # noqa: S101  # a container has one
        start = starting.Start(self._starter()[0], job, self.images.tree(job.image))
        try:
            with start as process, Deadline(job, process.kill) as late:
                feed(process, job.stdin)
                listen(process, job.log, line)
                code = process.wait()
        except OSError as error:
            raise storage_error(error, f"run {job.name}") from None
        return _outcome(job, in_a_shell(code), start.told(), late.passed)

    def sweep(self, run: str) -> int:
        """Ends what is left of a run. What a runner that died had started has died with it."""
        sessions = set()
        for pid, _ in marked(run):
            with contextlib.suppress(OSError):
                sessions.add(os.getsid(pid))
                os.kill(pid, signal.SIGKILL)
        return len(sessions)


def _names() -> tuple[tuple[Path, str], ...]:
    """How names of the network become addresses here: the container's network is this machine's."""
    return tuple((Path(each).resolve(), each) for each in ("/etc/resolv.conf", "/etc/hosts") if Path(each).exists())


def _outcome(job: Job, code: int, told: Mapping[str, Any], late: bool) -> Outcome:
    """How a container ended, by what was told of it: only one that was made has an exit code."""
    if "exit-code" not in told and not late and code != KILLED:
        code = _unstarted(last_line(job))
    return ended(code, f"pid {told.get('child-pid', 0)}", late=late, out_of_memory=False)


def _unstarted(said: str) -> int:
    """The exit code of a command that is none, as a shell gives it. Raises ToolMissing where no container was made."""
    if not said.startswith("bwrap: execvp "):
        raise ToolMissing(f"the sandbox could not start a container: {said}")
    return 127 if said.endswith("No such file or directory") else 126


__all__ = ["ISOLATION", "Sandbox"]
