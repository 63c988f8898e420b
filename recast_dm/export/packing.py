"""Files put together as a directory, a zip file or a compressed tar file, which appears whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from recast_dm import store
from recast_dm.errors import UsageError, storage_error
from recast_dm.export import Exported

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every member of a zip file: the same files give the same bytes. Those of a tar file are of 1970."""
TAR = (".tar.gz", ".tgz")


def write(members: Mapping[str, Path | bytes], output: Path) -> Exported:
    """Writes files by their paths: into the `.zip` or `.tar.gz` file `output`, where it ends so, else a directory.

    Into a directory, sealed files are linked where the filesystem can; what may still change is copied. Raises
    UsageError where something is already.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output} exists", hint="name another place with -o, or remove it first")
    put = _way(output)
    store.make_directory(output.absolute().parent)
    try:
        with store.unfinished(output, Path.mkdir if put is _directory else Path.touch) as temporary:
            put(members, temporary)
            if output.is_dir() and put is not _directory:
                output.rmdir()
            temporary.rename(output)
            store.fsync_directory(output.absolute().parent)
    except OSError as error:
        raise storage_error(error, f"write {output}") from None
    size = sum(len(member) if isinstance(member, bytes) else member.stat().st_size for member in members.values())
    return Exported(output, len(members), size)


def _way(output: Path) -> Callable[[Mapping[str, Path | bytes], Path], None]:
    if output.suffix == ".zip":
        return _zip
    return _tar if output.name.endswith(TAR) else _directory


def tarball(members: Mapping[str, Path | bytes], target: BinaryIO) -> None:
    """Writes a compressed tar file: sorted names, no times and no owners, so the same files give the same bytes."""
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, member in sorted(members.items()):
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            with io.BytesIO(member) if isinstance(member, bytes) else member.open("rb") as source:
                entry.size = len(member) if isinstance(member, bytes) else member.stat().st_size
                archive.addfile(entry, source)


def _tar(members: Mapping[str, Path | bytes], file: Path) -> None:
    with file.open("wb") as target:
        tarball(members, target)
        target.flush()
        os.fsync(target.fileno())


def _directory(members: Mapping[str, Path | bytes], root: Path) -> None:
    for name, member in sorted(members.items()):
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(member, Path) and not member.stat().st_mode & 0o222:
            store.link_or_copy(member, place)
            continue
        place.write_bytes(member) if isinstance(member, bytes) else shutil.copy(member, place)
        store.fsync(place)
    for directory, _, _ in os.walk(root, topdown=False):
        store.fsync_directory(Path(directory))


def _zip(members: Mapping[str, Path | bytes], file: Path) -> None:
    with file.open("wb") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, member in sorted(members.items()):
                _put(archive, name, member)
        target.flush()
        os.fsync(target.fileno())


def _put(archive: zipfile.ZipFile, name: str, member: Path | bytes) -> None:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    if isinstance(member, bytes):
        archive.writestr(entry, member)
        return
    status = member.stat()
    entry.file_size = status.st_size
    if status.st_mode & 0o100:
        entry.external_attr = 0o100755 << 16
    with member.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, store.CHUNK)
