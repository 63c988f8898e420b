"""Trees of files as layers: the same files become the same bytes, whoever owns them and whenever they were written."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from recast_dm.errors import SpecError, StorageError, storage_error

EPOCH = 1735689600
"""2025-01-01: the time of every file in a layer."""
LEFT_OUT = ("__pycache__",)
"""Of sources: what a program has left there, and its tests' caches (`.*_cache`)."""


@dataclass(frozen=True, slots=True)
class Directories:
    """The directories that a base has already, with what they are there."""

    known: Mapping[str, tarfile.TarInfo] = field(default_factory=dict)

    def info(self, path: str) -> tarfile.TarInfo:
        """A directory as a layer lists it: one of the base stays what it is there, else it is everybody's to read."""
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
        if there := self.known.get(path):
            info.mode, info.uid, info.gid, info.mtime = there.mode, there.uid, there.gid, int(there.mtime)
        return info


class Tree:
    """Files and symbolic links by their path in an image, each over what was there before."""

    def __init__(self) -> None:
        self._found: dict[str, Path] = {}

    def add(self, source: Path, place: str, *, compiled: bool = False) -> None:
        """A file, or what a directory holds, at a place. Raises SpecError for what must not lie in an image.

        `compiled` keeps Python's compiled modules.
        """
        place = place.lstrip("/")
        if not source.is_dir():
            self._found[place] = source
            return
        for path in _walk(source, compiled=compiled):
            self._found[f"{place}/{path.relative_to(source)}".lstrip("/")] = path

    @classmethod
    def of(cls, directory: Path) -> Tree:
        """All that a directory holds."""
        tree = cls()
        tree.add(directory, "")
        return tree

    def files(self) -> list[tuple[str, Path]]:
        """Every file by its path, sorted."""
        return sorted(self._found.items())

    def write(self, out: IO[bytes], directories: Directories) -> None:
        """The tree as a tar file. Raises StorageError."""
        entries: dict[tuple[str, ...], Path | None] = {PurePosixPath(name).parts: p for name, p in self._found.items()}
        for parts in list(entries):
            for n in range(1, len(parts)):
                entries.setdefault(parts[:n], None)
        try:
            with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for parts, path in sorted(entries.items(), key=lambda each: each[0]):
                    _put(tar, "/".join(parts), path, directories)
        except OSError as error:
            raise storage_error(error, "write a layer") from None


def _walk(top: Path, *, compiled: bool) -> Iterator[Path]:
    for directory, names, files in os.walk(top):
        place = Path(directory)
        links = [name for name in names if (place / name).is_symlink()]
        names[:] = sorted(n for n in names if n not in links and (compiled or not _left_out(n)))
        for name in sorted([*files, *links]):
            path = place / name
            if path.is_symlink():
                _demand_inside(path, top)
            elif not path.is_file():
                raise SpecError(f"{path} is neither a file, a directory nor a link", hint="remove it, then repeat")
            if compiled or path.suffix not in (".pyc", ".pyo"):
                yield path


def _left_out(name: str) -> bool:
    return name in LEFT_OUT or (name.startswith(".") and name.endswith("_cache"))


def _demand_inside(link: Path, top: Path) -> None:
    """A link must lead to what goes into the image with it: what it meant elsewhere is nothing there."""
    target = Path(os.path.normpath(link.parent / link.readlink()))
    if link.readlink().is_absolute() or not target.is_relative_to(os.path.normpath(top)):
        raise SpecError(
            f"{link} is a link that leads out of {top}: {link.readlink()}", hint="put the file itself there"
        )


def _put(tar: tarfile.TarFile, name: str, path: Path | None, directories: Directories) -> None:
    if path is None:
        tar.addfile(directories.info(name))
        return
    info = tarfile.TarInfo(name)
    info.mtime = EPOCH
    if path.is_symlink():
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
        return
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        info.size, info.mode = about.st_size, 0o755 if about.st_mode & 0o100 else 0o644
        tar.addfile(info, file)


def directories_of(tars: Iterator[IO[bytes]]) -> Directories:
    """The directories of layers, the lowest first. Raises StorageError."""
    known: dict[str, tarfile.TarInfo] = {}
    try:
        for file in tars:
            with file, tarfile.open(fileobj=file, mode="r|") as tar:
                for member in tar:
                    if member.isdir():
                        known[str(PurePosixPath("/", member.name)).lstrip("/")] = member
                    tar.members = []  # type: ignore[attr-defined]  # else each stays in memory
    except (OSError, tarfile.TarError) as error:
        raise StorageError(f"the base image cannot be read: {error}") from None
    return Directories(known)
