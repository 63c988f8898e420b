"""Bytes to be sent: of memory or of a file, opened anew for each attempt, and never more or fewer than was said."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from recast_dm.errors import IntegrityError, storage_error

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """So many bytes, and where they are. Raises StorageError for a file that cannot be read."""

    size: int
    source: Path | bytes = field(repr=False)

    @classmethod
    def of(cls, source: Path | bytes) -> Content:
        """
        >>> Content.of(b"abc").size
        3
        """
        if isinstance(source, bytes):
            return cls(size=len(source), source=source)
        try:
            return cls(size=source.stat().st_size, source=source)
        except OSError as error:
            raise storage_error(error, f"read {source}") from None

    def open(self) -> bytes | Exactly:
        """What requests sends with a Content-Length: bytes as they are (it would send an empty file in chunks)."""
        if isinstance(self.source, bytes):
            return self.source
        return Exactly(self.source, self.size) if self.size else b""


class Exactly:
    """A file as it was measured: one that changes meanwhile is an IntegrityError, and never half a file there."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = self._left = size
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise storage_error(error, f"read {path}") from None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE):
            yield piece

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises IntegrityError where the file is shorter or longer than it was."""
        wanted = self._left if size < 0 else min(size, self._left)
        try:
            piece = self._file.read(wanted)
            longer = wanted == self._left and len(piece) == wanted and self._file.read(1)
        except OSError as error:
            raise storage_error(error, f"read {self._path}") from None
        if len(piece) < wanted or longer:
            raise IntegrityError(f"{self._path} changed while it was sent", hint="send it when nobody writes to it")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def opened(source: Path | bytes) -> BinaryIO:
    """A file that lies here, or bytes, to read. Raises StorageError."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise storage_error(error, f"read {source}") from None
