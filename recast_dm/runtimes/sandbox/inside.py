"""What a container of the sandbox sees: files, variables, limits. The words for files are bubblewrap's.

Pure, save that it asks what a root directory holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from recast_dm.images.rootfs import MOUNT_POINTS
from recast_dm.runtimes import Job
from recast_dm.runtimes.command_line import BASE_ENV

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mounts(job: Job, tree: Path) -> tuple[Path, ...]:
    """What of the host a container gets to see: the image's files first, then what it works on."""
    scratch = () if job.scratch is None else (job.scratch,)
    return (tree, job.workdir, *job.inputs, *scratch, *(path for path, _ in job.files))


def files(job: Job, tree: Path, seen: tuple[Path, ...]) -> tuple[str, ...]:
    """The container's files. `seen` are the `mounts`, by the names that they have when it starts."""
    places = iter(map(str, seen))
    root = Path(next(places))
    words = _shown(tree, root, [PurePosixPath(target) for _, target in job.files])
    if job.inputs:
        words += ["--tmpfs", "/inputs"]
    words += ["--perms", "1777", "--size", str(job.limits.tmp), "--tmpfs", "/tmp"]  # noqa: S108
    words += ["--proc", "/proc", "--dev", "/dev", "--bind", next(places), "/workdir"]
    for n, _ in enumerate(job.inputs):
        words += ["--ro-bind", next(places), f"/inputs/{n}"]
    if job.scratch is not None:
        words += ["--bind", next(places), "/scratch"]
    for _, target in job.files:
        words += ["--ro-bind", next(places), target]
    if job.inputs:
        words += ["--remount-ro", "/inputs"]
    return (*words, "--remount-ro", "/")


def environment(job: Job) -> dict[str, str]:
    """What the command sees: the image's own variables, ours, and the job's, in that order."""
    own = dict(each.partition("=")[::2] for each in (f"PATH={PATH}", *(_own(job).get("env") or ())))
    return {**own, **BASE_ENV, **job.env}


def cwd(job: Job) -> str:
    """Where the command starts."""
    return job.cwd or _own(job).get("workdir") or "/"


def limits(job: Job, running: int) -> dict[str, int]:
    """The limits that need no cgroup, by rlimit. `running` are the user's tasks already: the kernel counts them too."""
    return {"NPROC": job.limits.pids + running, "DATA": job.limits.memory, "CORE": 0}


def _own(job: Job) -> Mapping[str, Any]:
    return (job.image.config if job.image is not None else None) or {}


def _shown(tree: Path, root: Path, targets: list[PurePosixPath]) -> list[str]:
    """An image's files read-only: at once where it has all places that something is mounted at, else one by one."""
    places = [tree / each.removeprefix("/") for each in MOUNT_POINTS]
    if not targets and all(each.is_dir() and not each.is_symlink() for each in places):
        return ["--ro-bind", str(root), "/"]
    return covered(tree, root, targets)


def covered(tree: Path, root: Path, targets: Iterable[PurePosixPath]) -> list[str]:
    """Shows an image's files read-only, and lets places that it lacks be made in it without touching it."""
    return list(_covered(tree, root, PurePosixPath("/"), [*targets]))


def _covered(tree: Path, root: Path, at: PurePosixPath, targets: list[PurePosixPath]) -> Iterator[str]:
    inside = at.relative_to("/")
    for entry in sorted(os.scandir(tree / inside), key=lambda each: each.name):
        path = at / entry.name
        below = [each for each in targets if path in each.parents and not (tree / each.relative_to("/")).exists()]
        if str(path) in MOUNT_POINTS:
            continue
        if entry.is_symlink():
            yield from ("--symlink", str(Path(entry.path).readlink()), str(path))
        elif entry.is_dir() and below:
            yield from ("--dir", str(path))
            yield from _covered(tree, root, path, below)
        else:
            yield from ("--ro-bind", str(root / path.relative_to("/")), str(path))
