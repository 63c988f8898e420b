"""What an archive of a capsule may hold, whichever form it has, and the bytes that it is read from."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from recast_dm.spec.archive import name_problem

MAX_MEMBERS = 100_000
MAX_NAME = 4096
"""Bytes: no path on Linux may be longer."""


class Refused(Exception):
    """Why an archive is not read, as the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its whole name there, and where its bytes lie. `crc` is there in zip files only."""

    name: str
    offset: int
    size: int
    executable: bool = False
    crc: int | None = None


class Names:
    """The names of an archive as they come: every one allowed, below one directory, in order, and once."""

    def __init__(self) -> None:
        self.top = ""
        self._last = b""
        self._files: set[str] = set()
        self._directories: set[str] = set()

    def add(self, name: str) -> str:
        """The name below the one directory. Raises Refused.

        >>> names = Names()
        >>> names.add("x.capsule/a"), names.add("x.capsule/b/c")
        ('a', 'b/c')
        """
        raw = name.encode()
        problem = name_problem(name)
        if problem is None and (len(raw) > MAX_NAME or any(part in ("", ".") for part in name.split("/"))):
            problem = "has a name that no file here may have"
        if problem:
            raise Refused(f"the member {name[:100]!r} {problem}")
        top, _, inner = name.partition("/")
        self.top = self.top or top
        if not inner or top != self.top:
            raise Refused(f"the member {name[:100]!r} does not lie in the one directory of the archive")
        if raw <= self._last:
            raise Refused(f"the member {name[:100]!r} is in it twice, or not in its place")
        self._last = raw
        self._enter(unicodedata.normalize("NFC", inner))
        return inner

    def _enter(self, name: str) -> None:
        """Two names that differ only in how their accents are written are one name on some filesystems."""
        if name in self._files or name in self._directories:
            raise Refused(f"the member {name[:100]!r} is in it twice")
        if len(self._files) == MAX_MEMBERS:
            raise Refused(f"it has more than {MAX_MEMBERS} members")
        self._files.add(name)
        parent = name.rpartition("/")[0]
        while parent and parent not in self._directories:
            if parent in self._files:
                raise Refused(f"the member {parent[:100]!r} is a file, and a directory too")
            self._directories.add(parent)
            parent = parent.rpartition("/")[0]


class Bytes:
    """The bytes of a file by their place. Several may read at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        os.close(self._descriptor)

    def at(self, offset: int, length: int) -> bytes:
        """So many bytes from a place on. Raises Refused when the file ends before."""
        found = b""
        while len(found) < length:
            piece = os.pread(self._descriptor, length - len(found), offset + len(found))
            if not piece:
                raise Refused(f"it ends early, at byte {offset + len(found)}")
            found = found + piece if found else piece
        return found


def decoded(name: bytes, at: int) -> str:
    """A name as text. Raises Refused, saying where it stands."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise Refused(f"the name at byte {at} is not UTF-8") from None
