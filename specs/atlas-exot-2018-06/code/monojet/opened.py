"""Event files as numbered lines: plain or gzip, found from the bytes; each error says its place."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from monojet.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
BEGINNING = 4096
"""Bytes that are looked at to tell what a file is: a file that is no text is never read as one line."""


class Lines:
    """The lines of an open event file, without their ends; `number` is that of the line last given, from 1.

    >>> lines = Lines(io.BytesIO(b"one\\ntwo\\n"), "x.lhe")
    >>> next(iter(lines)), lines.number, lines.place
    (b'one', 1, 'x.lhe:1')
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.name = name
        self.number = 0
        self._lines = self._walk(stream)

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def _walk(self, stream: IO[bytes]) -> Iterator[bytes]:
        try:
            for line in stream:
                self.number += 1
                yield line.rstrip(b"\r\n")
        except EOFError:
            raise InputError(f"{self.place}: the file is truncated: its gzip stream has no end") from None
        except (OSError, zlib.error) as error:
            raise InputError(f"{self.place}: the file is damaged: {error}") from None

    @property
    def place(self) -> str:
        """`file:line`, for errors."""
        return f"{self.name}:{self.number}"


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if not packed:
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield io.BufferedReader(cast(io.RawIOBase, unpacked))
    except OSError as error:
        raise InputError(f"cannot read {path.name}: {error.strerror or error}") from None


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """The lines of a file; raises InputError where there is none."""
    with _stream(path) as stream:
        yield Lines(stream, path.name)


def is_hepmc(path: Path) -> bool:
    """True for HepMC, False for LHE, by how the text begins; raises InputError for neither."""
    with _stream(path) as stream:
        try:
            first = stream.read(BEGINNING).lstrip()
        except (EOFError, zlib.error) as error:
            raise InputError(f"{path.name}:0: the file is damaged: {error}") from None
    if first.startswith(b"HepMC::"):
        return True
    if first.startswith((b"<LesHouchesEvents", b"<?xml")):
        return False
    said = f"begins with {first[:40].decode('ascii', 'replace')!r}" if first else "is empty"
    raise InputError(f"{path.name} {said}: it is neither a Les Houches event file nor HepMC text (2 or 3)")
