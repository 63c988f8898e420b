"""Containers without an engine: unpacked images, started by bubblewrap. No daemon, no root, no registry.

Where the caller is root, what a job needs is bound in a mount namespace of its own, where the unprivileged user
reaches it; then root becomes that user, and only then bubblewrap starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recast_dm import config
from recast_dm.errors import ToolMissing, storage_error
from recast_dm.images.blobs import Blobs
from recast_dm.images.rootfs import Rootfs
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome, Reason
from recast_dm.runtimes.marks import marked, marks
from recast_dm.runtimes.sandbox import bubblewrap
from recast_dm.runtimes.watching import KILLED, Deadline, copy, feed, last_line

ISOLATION = (
    "no network",
    "no capabilities",
    "no new privileges",
    "read-only root",
    "unprivileged user",
    "inputs read-only",
    "memory limit of each process, by rlimit: no cgroup",
    "limit of the user's processes, by rlimit",
    "no limit of cpus",
    "no filter of system calls",
)
_MEND = "as root on Debian or Ubuntu `apt-get install -y bubblewrap`"


class Sandbox:
    """Bubblewrap over the images that are unpacked below the cache directory."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache or config.Config.from_environment().cache_dir
        self.images = Rootfs(self._cache / "rootfs")

    def about(self) -> About:
        uid, gid = config.container_user()
        words = ["bwrap", "--unshare-user", "--unshare-net", "--disable-userns", "--ro-bind", "/", "/", "true"]
        if os.geteuid() == 0:
            words = ["setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups", *words]
        try:
            version = subprocess.run(["bwrap", "--version"], capture_output=True, check=True, timeout=20, text=True)
            subprocess.run(words, capture_output=True, check=True, timeout=20, text=True, cwd="/")
        except FileNotFoundError as error:
            raise ToolMissing(f"the command `{error.filename}` is not installed", hint=_MEND) from None
        except subprocess.CalledProcessError as error:
            raise ToolMissing(f"bubblewrap cannot start a container: {error.stderr.strip()[-300:]}") from None
        except subprocess.SubprocessError as error:
            raise ToolMissing(f"bubblewrap does not answer: {error}") from None
        return About("sandbox", f"bubblewrap {version.stdout.split()[-1]}", ISOLATION)

    def image(self, reference: str) -> Image | None:
        """An unpacked image; one that docker has here by that name is unpacked first."""
        if reference.startswith(("sha256:", "recast-dm/preserved:")):
            return self.images.find(reference)
        with contextlib.suppress(ToolMissing):
            if found := self._from_docker(reference):
                return found
        return self.images.find(reference)

    def _from_docker(self, reference: str) -> Image | None:
        from recast_dm.images import sources

        known = sources.inspected("docker", reference)
        if known is None:
            return None
        here, named = self.images.find(known.id), self.images.find(reference)
        if here is not None and named == replace(here, reference=reference):
            return named
        shared = Blobs(self._cache / "images")
        stored = sources.FromEngine("docker").take([reference], shared)[reference]
        content = shared.path(stored.image.image_id).read_bytes()
        return self.images.add(shared.root, stored, content, [reference])

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        read, write = os.pipe()
        try:
            with (
                job.log.open("wb") as log,
                subprocess.Popen(
                    self._argv(job, write),
                    stdin=subprocess.PIPE if job.stdin is not None else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={"PATH": bubblewrap.PATH, **marks(job.run, job.runner)},
                    cwd="/",
                    pass_fds=(write,),
                    start_new_session=True,
                ) as process,
                Deadline(job, process.kill) as deadline,
            ):
                os.close(write)
                write = -1
                feed(process, job.stdin)
                assert process.stdout is not None  # noqa: S101  # it was asked for
                copy(process.stdout, log, line)
                code = process.wait()
            with open(read, "rb", closefd=False) as status:
                said = status.read(64 * 1024)
        except OSError as error:
            raise storage_error(error, f"run {job.name}") from None
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)
        return _outcome(job, code if code >= 0 else 128 - code, said, deadline.passed)

    def _argv(self, job: Job, status: int) -> tuple[str, ...]:
        assert job.image is not None  # noqa: S101  # a container has one
        tree = self.images.tree(job.image)
        limits = bubblewrap.limited(job, _running(job.user[0]))
        if os.geteuid() != 0:
            return (*limits, *bubblewrap.argv(job, tree, status, bubblewrap.mounts(job, tree)))
        seen = tuple(Path(bubblewrap.STAGED, str(n)) for n, _ in enumerate(bubblewrap.mounts(job, tree)))
        return bubblewrap.staged(job, tree, (*limits, *bubblewrap.argv(job, tree, status, seen)))

    def sweep(self, run: str) -> int:
        """Ends what is left of a run. What a runner that died had started has died with it."""
        ended = set()
        for pid, _ in marked(run):
            with contextlib.suppress(OSError):
                ended.add(os.getsid(pid))
                os.kill(pid, signal.SIGKILL)
        return len(ended)


def _outcome(job: Job, code: int, said: bytes, late: bool) -> Outcome:
    """How a container ended, by what bubblewrap said of it."""
    documents = [json.loads(each) for each in said.splitlines() if each.strip()]
    told = {key: value for document in documents for key, value in document.items()}
    if "child-pid" not in told and not late and code != KILLED:
        raise ToolMissing(f"the sandbox could not start a container: {last_line(job)}")
    reason: Reason = "timeout" if late else "killed" if code == KILLED else ""
    return Outcome(code, f"pid {told.get('child-pid', 0)}", reason)


def _running(uid: int) -> int:
    """The tasks of a user on this machine."""
    count = 0
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with contextlib.suppress(OSError):
                count += sum(1 for _ in (place / "task").iterdir()) if place.stat().st_uid == uid else 0
    return count


__all__ = ["ISOLATION", "Sandbox"]
