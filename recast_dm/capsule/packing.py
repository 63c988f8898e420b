"""A capsule as one file, `X.capsule.zip` or `X.capsule.tar`: written, read in place, and unpacked.

The files of the capsule lie in one directory, `<name>.capsule`, sorted by the bytes of their names, with fixed times,
owners and modes: the same capsule gives the same bytes. An archive that differs from that form in one byte, outside of
the contents, is refused before any of it is used; contents are the business of the manifests in it.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import stat
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from recast_dm import schemas, store
from recast_dm.capsule import as_tar, as_zip, layout
from recast_dm.capsule.members import Bytes, Member, Names, Refused
from recast_dm.errors import IntegrityError, UsageError, storage_error

SUFFIXES = {".zip": as_zip, ".tar": as_tar}
MAX_MANIFEST = 64 * 1024 * 1024
_NO_CAPSULE = "`recast-dm capture ANALYSIS -o X.capsule` makes one"
_SCHEMA = re.compile(r"recast-dm/capsule/([1-9][0-9]{0,3})")


class Form(Protocol):
    """How a kind of archive is laid out: what stands before a member, after it, and at the end."""

    MAGIC: bytes
    MAGIC_AT: int

    def head(self, member: Member) -> bytes: ...
    def gap(self, size: int, /) -> int: ...
    def ending(self, members: Sequence[Member], start: int, /) -> Iterator[bytes]: ...
    def member_at(self, file: Bytes, at: int) -> Member | None: ...
    def close(self, file: Bytes, at: int, members: Sequence[Member]) -> Sequence[Member]: ...


Progress = Callable[[int], object]
"""Told how many bytes have been done since it was told before."""


# --- reading ----------------------------------------------------------------------------------------------------------


class Archive:
    """The files of a capsule that is one file, in the order in which they lie there; nothing is unpacked.

    Raises UsageError for what is no archive, IntegrityError for one that cannot be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file, form = _opened(path)
        try:
            with _refusing(path):
                self.members: Mapping[str, Member] = _index(self._file, form)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    def open(self, name: str) -> BinaryIO:
        """The bytes of a member, as long as the archive is open. Raises IntegrityError."""
        if name not in self.members:
            raise IntegrityError(f"{self.path} lacks {name}", hint="the capsule is incomplete: copy it again")
        return io.BufferedReader(_Stream(self.path, self._file, self.members[name]), store.CHUNK)

    def unpack(self, target: Path, progress: Progress = lambda _: None) -> None:
        """Writes the files into a new directory, which appears whole or not at all.

        Nothing is written before every name, place and size has been checked: this archive could not be opened else.
        Raises UsageError, IntegrityError and StorageError.
        """
        if target.is_symlink() or target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise UsageError(f"{target} exists", hint="choose another name with -o")
        target = target.absolute()
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            for name in self.members:
                self._unpack(name, temporary / name, progress)
            store.seal(temporary)
            temporary.rename(target)
            store.fsync_directory(target.parent)
        except OSError as error:
            raise storage_error(error, f"unpack {self.path} to {target}") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _unpack(self, name: str, place: Path, progress: Progress) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with self.open(name) as source, place.open("xb") as out:
            while piece := source.read(store.CHUNK):
                out.write(piece)
                progress(len(piece))
        if self.members[name].executable:
            place.chmod(0o755)


class _Stream(io.RawIOBase):
    """The bytes of one member, once, from the first to the last; a zip file's checksum is checked at the end."""

    def __init__(self, path: Path, file: Bytes, member: Member) -> None:
        self._path = path
        self._file = file
        self._member = member
        self._done = 0
        self._crc = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """At the end this gives 0, as every stream does."""
        member = self._member
        length = min(len(buffer), member.size - self._done)
        with _refusing(self._path):
            piece = self._file.at(member.offset + self._done, length)
            self._done += length
            if member.crc is not None:
                self._crc = zlib.crc32(piece, self._crc)
                if self._done == member.size and self._crc != member.crc:
                    raise Refused(f"the member {member.name[:100]!r} has changed: its checksum is not the one it had")
        buffer[:length] = piece
        return length


def is_archive(path: Path) -> bool:
    """Whether a file begins as one of our archives does."""
    return _form_of(path) is not None


def is_capsule(path: Path) -> bool:
    """Whether something looks like a capsule: a directory with a capsule.json, or an archive."""
    with contextlib.suppress(OSError, ValueError):  # a name that is too long, a NUL byte
        return (path / layout.MANIFEST).is_file() or is_archive(path)
    return False


def read_manifest(path: Path) -> dict[str, Any]:
    """The capsule.json of a capsule in any form, valid as such; nothing else in the capsule is looked at.

    Raises UsageError where there is no capsule, IntegrityError for a capsule.json that cannot be trusted.
    """
    data = _manifest_in(path) if path.is_dir() else _manifest_packed(path)
    where = f"{path / layout.MANIFEST}"
    try:
        if len(data) > MAX_MANIFEST:
            raise ValueError(f"it has more than {MAX_MANIFEST} bytes")
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where} is not JSON: {error}") from None
    _check_manifest(document, where)
    return document  # type: ignore[no-any-return]  # checked to be a dict by its schema


def _check_manifest(document: Any, where: str) -> None:
    said = document.get("schema") if isinstance(document, dict) else None
    found = _SCHEMA.fullmatch(said) if isinstance(said, str) else None
    if not found:
        raise IntegrityError(f"{where} is no manifest of a capsule: its schema is {said!r}")
    try:
        problem = schemas.problem(f"capsule-{found[1]}", document)
    except FileNotFoundError:
        raise IntegrityError(
            f"{where} has the schema {said!r}, which this version does not know", hint="update recast-dm"
        ) from None
    if problem:
        raise IntegrityError(f"{where} is damaged: {problem[1]}")


def _manifest_in(directory: Path) -> bytes:
    path = directory / layout.MANIFEST
    if not path.is_file():
        raise UsageError(f"{directory} is not a capsule", hint=_NO_CAPSULE)
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from None


def _manifest_packed(path: Path) -> bytes:
    file, form = _opened(path)
    try:
        with _refusing(path):
            for name, member in _walk(file, form):
                if name == layout.MANIFEST:
                    return file.at(member.offset, min(member.size, MAX_MANIFEST + 1))
    finally:
        file.close()
    raise IntegrityError(f"{path} lacks {layout.MANIFEST}", hint=_NO_CAPSULE)


def _opened(path: Path) -> tuple[Bytes, Form]:
    try:
        form = _form_of(path)
        if form is not None:
            return Bytes(path), form
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint=_NO_CAPSULE) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=_NO_CAPSULE) from None
    kind = "is a directory" if path.is_dir() else "is neither a zip nor a tar file"
    raise UsageError(f"{path} {kind}: not a capsule in one file", hint=_NO_CAPSULE)


def _form_of(path: Path) -> Form | None:
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for somebody to write
        return None
    with path.open("rb") as file:
        start = file.read(as_tar.BLOCK)
    forms: tuple[Form, ...] = (as_zip, as_tar)
    return next((form for form in forms if start.startswith(form.MAGIC, form.MAGIC_AT)), None)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What is wrong with an archive, as the error of its file."""
    try:
        yield
    except Refused as refused:
        raise IntegrityError(
            f"{path}: {refused}",
            hint="copy it again; what another program packed has to be unpacked by it, and the directory named",
        ) from None
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from None


def _index(file: Bytes, form: Form) -> dict[str, Member]:
    """Every member by its name in the capsule, all of them checked."""
    found = dict(_walk(file, form))
    if not found:
        raise Refused("it is empty")
    last = next(reversed(found.values()))
    closed = form.close(file, last.offset + last.size + form.gap(last.size), list(found.values()))
    return dict(zip(found, closed, strict=True))


def _walk(file: Bytes, form: Form) -> Iterator[tuple[str, Member]]:
    """The members from the first on: each begins where the one before it ends. Raises Refused."""
    names = Names()
    at = 0
    while (member := form.member_at(file, at)) is not None:
        name = names.add(member.name)
        end = member.offset + member.size
        gap = form.gap(member.size)
        if end + gap > file.size:
            raise Refused(f"it ends early, within {member.name[:100]!r}")
        if any(file.at(end, gap)):
            raise Refused(f"something hides behind the member {member.name[:100]!r}, at byte {end}")
        yield name, member
        at = end + gap


# --- writing ----------------------------------------------------------------------------------------------------------


def pack(directory: Path, file: Path, progress: Progress = lambda _: None) -> None:
    """Writes a capsule's directory as one file, whose suffix says its form; replaces a capsule that is there.

    The file appears whole or not at all. Raises UsageError, IntegrityError and StorageError.
    """
    form: Form | None = SUFFIXES.get(file.suffix)
    if form is None:
        raise UsageError(f"{file} says no form", hint=f"its name must end with {' or '.join(SUFFIXES)}")
    top = f"{read_manifest(directory)['name'].replace('/', '-')}.capsule"
    if file.resolve().is_relative_to(directory.resolve()):
        raise UsageError(f"{file} lies in the capsule that it would hold", hint="choose another place")
    refuse_foreign(file)
    members = _members(directory, top)
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    store.make_directory(file.parent)
    try:
        with temporary.open("xb") as out:
            _write(out, form, members, progress)
        store.fsync(temporary)
        temporary.replace(file)
        store.fsync_directory(file.parent)
    except OSError as error:
        raise storage_error(error, f"write the capsule {file}") from None
    finally:
        store.remove(temporary)


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
