"""A capsule that is one file, read in place: every member's name, place and size, checked before any of it is used."""

from __future__ import annotations

import contextlib
import io
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from recast_dm import store
from recast_dm.capsule.bag import Progress
from recast_dm.capsule.onefile import as_tar, as_zip
from recast_dm.capsule.onefile.members import Bytes, Member, Names, Refused
from recast_dm.errors import IntegrityError, UsageError, storage_error

SUFFIXES = {".zip": as_zip, ".tar": as_tar}
INCOMPLETE = "the capsule is incomplete: copy it again"
NO_CAPSULE = "`recast-dm capture ANALYSIS -o X.capsule` makes one"


class Form(Protocol):
    """How a kind of archive is laid out: what stands before a member, after it, and at the end."""

    MAGIC: bytes
    MAGIC_AT: int

    def head(self, member: Member) -> bytes: ...
    def gap(self, size: int, /) -> int: ...
    def ending(self, members: Sequence[Member], start: int, /) -> Iterator[bytes]: ...
    def member_at(self, file: Bytes, at: int) -> Member | None: ...
    def close(self, file: Bytes, at: int, members: Sequence[Member]) -> Sequence[Member]: ...


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

    @property
    def top(self) -> str:
        """The one directory in which they lie."""
        return next(iter(self.members.values())).name.partition("/")[0]

    def open(self, name: str) -> BinaryIO:
        """The bytes of a member, as long as the archive is open. Raises IntegrityError."""
        if name not in self.members:
            raise IntegrityError(f"{self.path} lacks {name}", hint=INCOMPLETE)
        return io.BufferedReader(_Stream(self.path, self._file, self.members[name]), store.CHUNK)

    def unpack(self, target: Path, progress: Progress = lambda _: None) -> None:
        """Writes the files into a new directory, which appears whole or not at all.

        Nothing is written before every name, place and size has been checked: this archive could not be opened else.
        Raises UsageError, IntegrityError and StorageError.
        """
        if target.is_symlink() or target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise UsageError(f"{target} exists", hint="choose another name with -o")
        target = target.absolute()
        try:
            with store.unfinished(target) as temporary:
                for name in self.members:
                    self._unpack(name, temporary / name, progress)
                store.seal(temporary)
                temporary.rename(target)
                store.fsync_directory(target.parent)
        except OSError as error:
            raise storage_error(error, f"unpack {self.path} to {target}") from None

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


def _opened(path: Path) -> tuple[Bytes, Form]:
    try:
        form = form_of(path)
        if form is not None:
            return Bytes(path), form
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist", hint=NO_CAPSULE) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint=NO_CAPSULE) from None
    kind = "is a directory" if path.is_dir() else "is neither a zip nor a tar file"
    raise UsageError(f"{path} {kind}: not a capsule in one file", hint=NO_CAPSULE)


def form_of(path: Path) -> Form | None:
    """The form of an archive, by its first bytes; None for anything else."""
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


def is_archive(path: Path) -> bool:
    """Whether a file begins as one of our archives does."""
    with contextlib.suppress(OSError, ValueError):  # a name that is too long, a NUL byte
        return form_of(path) is not None
    return False


def find(path: Path, wanted: str, limit: int) -> bytes | None:
    """The beginning of one member, without a look at what comes after it; None where there is none."""
    file, form = _opened(path)
    try:
        with _refusing(path):
            for name, member in _walk(file, form):
                if name == wanted:
                    return file.at(member.offset, min(member.size, limit + 1))
    finally:
        file.close()
    return None
