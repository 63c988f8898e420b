"""rpm's database where it is SQLite: one table of header blobs.

A blob is two big-endian numbers (entries, bytes of data), the entries (tag, type, offset, count), then the data.
Berkeley DB and ndb are not read.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCH = 1000, 1001, 1002, 1003, 1014, 1022
_DIRINDEXES, _BASENAMES, _DIRNAMES = 1116, 1117, 1118
_WANTED = (_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCH, _DIRINDEXES, _BASENAMES, _DIRNAMES)
_INT32, _STRING, _STRINGS, _TRANSLATED = 4, 6, 8, 9
_MOST_ENTRIES, _MOST_ITEMS = 10_000, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a package's header says."""

    name: str
    version: str
    release: str
    epoch: int
    arch: str
    licence: str


def read(database: bytes) -> tuple[list[Header], list[str]]:
    """The packages of a database file, and the files that they own. Raises ValueError."""
    headers, files = [], []
    for blob in _blobs(database):
        tags = _tags(blob)
        if _text(tags, _NAME) == "gpg-pubkey":
            continue  # rpm keeps keys as if they were packages
        headers.append(
            Header(
                name=_text(tags, _NAME),
                version=_text(tags, _VERSION),
                release=_text(tags, _RELEASE),
                epoch=int((tags.get(_EPOCH) or [0])[0]),
                arch=_text(tags, _ARCH),
                licence=_text(tags, _LICENCE),
            )
        )
        files += _files(tags)
    return headers, files


def _blobs(database: bytes) -> Iterator[bytes]:
    """The blobs, by SQLite itself, in memory. What says that there is a write-ahead log beside it is taken out."""
    if database[:16] != b"SQLite format 3\0":
        raise ValueError("not an SQLite database")
    plain = database[:18] + b"\x01\x01" + database[20:]
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.deserialize(plain)
            for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum"):
                yield bytes(blob)
        except sqlite3.Error as error:
            raise ValueError(str(error)) from None


def _tags(blob: bytes) -> dict[int, list[str] | list[int]]:
    try:
        count, size = struct.unpack_from(">II", blob)
        if count > _MOST_ENTRIES:
            raise ValueError("too many entries")
        data = blob[8 + 16 * count : 8 + 16 * count + size]
        found: dict[int, list[str] | list[int]] = {}
        for number in range(count):
            tag, kind, offset, items = struct.unpack_from(">IIiI", blob, 8 + 16 * number)
            if tag not in _WANTED:
                continue
            if items > _MOST_ITEMS or offset < 0:
                raise ValueError("too many items")
            if kind == _INT32:
                found[tag] = list(struct.unpack_from(f">{items}i", data, offset))
            elif kind in (_STRING, _STRINGS, _TRANSLATED):
                found[tag] = [each.decode("utf-8", "replace") for each in data[offset:].split(b"\0", items)[:items]]
    except struct.error as error:
        raise ValueError(str(error)) from None
    return found


def _text(tags: dict[int, list[str] | list[int]], tag: int) -> str:
    return str((tags.get(tag) or [""])[0])


def _files(tags: dict[int, list[str] | list[int]]) -> list[str]:
    directories = [str(each) for each in tags.get(_DIRNAMES, [])]
    indexes = [int(each) for each in tags.get(_DIRINDEXES, [])]
    names = tags.get(_BASENAMES, [])
    places = zip(indexes, names, strict=False)
    return [f"{directories[place]}{name}" for place, name in places if 0 <= place < len(directories)]
