"""A capsule as one file, `X.capsule.zip` or `X.capsule.tar`: written, read in place, and unpacked.

The files of the capsule lie in one directory, `<name>.capsule`, sorted by the bytes of their names, with fixed times,
owners and modes: the same capsule gives the same bytes. An archive that differs from that form in one byte, outside of
the contents, is refused before any of it is used; contents are the business of the manifests in it.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from recast_dm import schemas, store
from recast_dm.capsule import bag, layout
from recast_dm.capsule.bag import Progress
from recast_dm.capsule.onefile import archive
from recast_dm.capsule.onefile.archive import INCOMPLETE, NO_CAPSULE, SUFFIXES, Archive, Form, is_archive
from recast_dm.capsule.onefile.members import Member, Names, Refused
from recast_dm.errors import IntegrityError, UsageError, storage_error

__all__ = ["SUFFIXES", "Archive", "checked_manifest", "is_archive", "is_capsule", "pack", "read_file", "read_manifest"]

MAX_MANIFEST = 64 * 1024 * 1024

# --- reading ----------------------------------------------------------------------------------------------------------


def is_capsule(path: Path) -> bool:
    """Whether something looks like a capsule in any form: a directory with a capsule.json, or an archive."""
    with contextlib.suppress(OSError, ValueError):  # a name that is too long, a NUL byte
        return is_archive(path) or (path / layout.MANIFEST).is_file()
    return False


def read_manifest(path: Path) -> dict[str, Any]:
    """The capsule.json of a capsule in any form; nothing else in the capsule is looked at.

    Raises UsageError where there is no capsule, IntegrityError for a capsule.json that cannot be trusted.
    """
    data = read_file(path, layout.MANIFEST, MAX_MANIFEST)
    where = str(path / layout.MANIFEST)
    if data is None:
        if (path / bag.DECLARATION).is_file():
            raise IntegrityError(f"{path} lacks {layout.MANIFEST}", hint=INCOMPLETE)
        raise UsageError(f"{path} is not a capsule: it holds no {layout.MANIFEST}", hint=NO_CAPSULE)
    try:
        document = json.loads(data)
        store.canonical(document)  # no NaN, no number without end: they have no digest
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where} is not JSON: {error}") from None
    return checked_manifest(document, where)


def checked_manifest(document: Any, where: str) -> dict[str, Any]:
    """A manifest that is one of ours, and complete."""
    said = document.get("schema") if isinstance(document, dict) else None
    schema = {layout.SCHEMA: "capsule-2", layout.FIRST_SCHEMA: "capsule-1"}.get(str(said))
    if schema is None:
        raise IntegrityError(
            f"{where} has the schema {said!r}, not {layout.SCHEMA!r}",
            hint="was it written by a later version of recast-dm, or changed by hand?",
        )
    if problem := schemas.problem(schema, document):
        raise IntegrityError(f"{where} is damaged: {problem[1]}")
    return dict(document)


def read_file(path: Path, name: str, limit: int) -> bytes | None:
    """One file of a capsule in any form, unchecked; None where it is not there.

    Raises UsageError for what is neither a directory nor an archive, IntegrityError for what is broken or too large.
    """
    data = _in_directory(path / name, limit) if path.is_dir() else archive.find(path, name, limit)
    if data is not None and len(data) > limit:
        raise IntegrityError(f"{path / name} has more than {limit} bytes")
    return data


def _in_directory(path: Path, limit: int) -> bytes | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from None


# --- writing ----------------------------------------------------------------------------------------------------------


def pack(directory: Path, file: Path, progress: Progress = lambda _: None) -> None:
    """Writes a capsule's directory as one file, whose suffix says its form; replaces a capsule that is there.

    The file appears whole or not at all. Raises UsageError, IntegrityError and StorageError.
    """
    form: Form | None = SUFFIXES.get(file.suffix)
    if form is None:
        raise UsageError(f"{file} says no form", hint=f"its name must end with {' or '.join(SUFFIXES)}")
    manifest = read_manifest(directory)
    if manifest["schema"] == layout.FIRST_SCHEMA:
        raise UsageError(f"{directory} has format 1, which has no form as one file", hint="capture the analysis again")
    top = top_of(manifest)
    if file.resolve().is_relative_to(directory.resolve()):
        raise UsageError(f"{file} lies in the capsule that it would hold", hint="choose another place")
    refuse_foreign(file)
    members = _members(directory, top)
    store.make_directory(file.parent)
    try:
        with store.unfinished(file, Path.touch) as temporary:
            with temporary.open("wb") as out:
                _write(out, form, members, progress)
            store.fsync(temporary)
            temporary.replace(file)
            store.fsync_directory(file.parent)
    except OSError as error:
        raise storage_error(error, f"write the capsule {file}") from None


def top_of(manifest: Mapping[str, Any]) -> str:
    """The one directory of an archive, whatever the file is called."""
    return f"{manifest['name'].replace('/', '-')}.capsule"


def refuse_foreign(file: Path) -> None:
    """Only a capsule is overwritten."""
    try:
        if not file.is_symlink() and not file.exists():
            return
        if file.is_file():
            read_manifest(file)
            return
    except (UsageError, IntegrityError):
        pass
    raise UsageError(f"{file} exists and is not a capsule", hint="choose another name with -o")


def _members(directory: Path, top: str) -> list[tuple[str, Path]]:
    """The files of a directory by their names in an archive, in order. Raises UsageError for names that cannot be."""
    try:
        found = [(f"{top}/{relative}", path) for relative, path in store.walk(directory)]
        found.sort(key=lambda each: each[0].encode())
        names = Names()
        for name, _ in found:
            names.add(name)
    except UnicodeEncodeError as error:
        raise UsageError(f"the name {error.object[:100]!r} is not UTF-8", hint="give the file another name") from None
    except Refused as refused:
        raise UsageError(f"{directory} cannot be one file: {refused}", hint="give the file another name") from None
    return found


def _write(out: BinaryIO, form: Form, files: Sequence[tuple[str, Path]], progress: Progress) -> None:
    members = []
    for name, path in files:
        with path.open("rb") as source:
            members.append(_write_member(out, form, name, source, path, progress))
    out.writelines(form.ending(members, out.tell()))


def _write_member(out: BinaryIO, form: Form, name: str, source: BinaryIO, path: Path, progress: Progress) -> Member:
    """One member. A zip file's header holds a checksum, so it is written again when the bytes have been seen."""
    status = path.stat()
    start = out.tell()
    member = Member(name, 0, status.st_size, bool(status.st_mode & 0o100))
    offset = start + len(form.head(member))
    out.seek(offset)
    size = crc = 0
    while size <= status.st_size and (piece := source.read(store.CHUNK)):  # not for ever where somebody appends
        out.write(piece)
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        progress(len(piece))
    if size != status.st_size:
        raise IntegrityError(f"{path} changed while it was packed", hint="pack it again when nobody writes there")
    member = Member(name, offset, size, member.executable, crc)
    out.seek(start)
    out.write(form.head(member))
    out.seek(offset + size)
    out.write(bytes(form.gap(size)))
    return member
