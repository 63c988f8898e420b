"""Files put together as a directory or as a zip file, which appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from recast_dm import store
from recast_dm.errors import UsageError, storage_error
from recast_dm.export import Exported

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every member of a zip file: the same files give the same bytes."""


def write(members: Mapping[str, Path | bytes], output: Path) -> Exported:
    """Writes files by their paths: into the zip file `output`, where it ends so, else below the directory.

    Into a directory, sealed files are linked where the filesystem can; what may still change is copied. Raises
    UsageError where something is already.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output} exists", hint="name another place with -o, or remove it first")
    as_zip = output.suffix == ".zip"
    store.make_directory(output.absolute().parent)
    try:
        with store.unfinished(output, Path.touch if as_zip else Path.mkdir) as temporary:
            (_zip if as_zip else _directory)(members, temporary)
            if output.is_dir() and as_zip:
                output.rmdir()
            temporary.rename(output)
            store.fsync_directory(output.absolute().parent)
    except OSError as error:
        raise storage_error(error, f"write {output}") from None
    size = sum(len(member) if isinstance(member, bytes) else member.stat().st_size for member in members.values())
    return Exported(output, len(members), size)


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
