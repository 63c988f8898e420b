"""A copy of a directory that somebody may still be changing: no link is followed, whatever is swapped meanwhile."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

MOST = 64 * 1024 * 1024
"""Bytes of a directory that is worth a copy."""


class _OddError(Exception):
    """Something that is no file, directory or link; or too much of it."""


def snapshot(source: Path, target: Path) -> bool:
    """Copies the files, directories and links below a directory, as they are now, to a new one.

    False, and no copy, where there is something else, or more than `MOST`.
    """
    try:
        size = 0
        for place, names, files, descriptor in os.fwalk(source, follow_symlinks=False):
            here = target / Path(place).relative_to(source)
            here.mkdir(mode=0o755)
            links = [name for name in (*names, *files) if _is_link(name, descriptor)]
            for name in links:
                (here / name).symlink_to(os.readlink(name, dir_fd=descriptor))
            for name in set(files).difference(links):
                size += _file(name, here / name, descriptor)
                if size > MOST:
                    raise _OddError
    except (OSError, _OddError):
        shutil.rmtree(target, ignore_errors=True)
        return False
    return target.is_dir()


def _is_link(name: str, directory: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)


def _file(name: str, place: Path, directory: int) -> int:
    """Copies a file; gives its size."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST:
            raise _OddError
        with place.open("xb") as copy:
            shutil.copyfileobj(file, copy)
    place.chmod(0o755 if status.st_mode & 0o100 else 0o644)
    return status.st_size
