"""What one pass over a layer finds: its names, the packages it records, and the secrets in its small text files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from recast_dm.capsule.gates import packages
from recast_dm.capsule.gates.layers import Entry, Shape, entries, plain, shown
from recast_dm.capsule.gates.packages import Records
from recast_dm.capsule.gates.secrets import LARGEST, Search, Secret

SMALLEST = 8
"""Bytes that cannot hold a secret are fewer."""
MOST_FILES = 1000
"""Files with secrets, of one layer: where there are more, the first ones say enough."""
_OFTEN = 1.0


@dataclass(frozen=True, slots=True)
class Contents:
    """A layer's findings; they depend on its bytes alone."""

    shape: Shape
    records: Records
    secrets: tuple[Secret, ...]


def read(
    search: Search, place: str, diff_id: str, stream: BinaryIO, progress: Callable[[str], None] = lambda _: None
) -> Contents:
    """Reads a layer's tar to its end. `place` is what its secrets' places begin with. Raises IntegrityError."""
    shape, records = Shape(), Records()
    suspects: dict[str, tuple[Secret, ...]] = {}
    said = time.monotonic()
    for entry in entries(diff_id, stream):
        if shape.add(entry):
            if entry.kind == "hard link":
                _second_name(entry, records)
            elif entry.kind == "file" and (found := _file(search, place, entry, records)):
                _remember(suspects, entry.name, found, records)
        if time.monotonic() - said > _OFTEN:
            said = time.monotonic()
            progress(f"{place}: {shape.entries} files read")
    kept = [found for name, found in suspects.items() if name not in records.owned]
    return Contents(shape, records, tuple(secret for found in kept for secret in found))


def _remember(suspects: dict[str, tuple[Secret, ...]], name: str, found: tuple[Secret, ...], records: Records) -> None:
    """Who owns a file is often said only behind it: until then it is suspect."""
    if len(suspects) >= MOST_FILES:
        for owned in [each for each in suspects if each in records.owned]:
            del suspects[owned]
    if len(suspects) < 10 * MOST_FILES:
        suspects[name] = found


def _file(search: Search, place: str, entry: Entry, records: Records) -> tuple[Secret, ...]:
    """The secrets in a file that is no record of packages."""
    if packages.is_record(entry.name):
        records.add(entry.name, entry.read(packages.LARGEST))
    elif entry.size and (why := packages.unread(entry.name)):
        records.unread[entry.name] = why
    elif SMALLEST <= entry.size <= LARGEST:
        return search.text(f"{place}: /{shown(entry.name)}", entry.read(LARGEST), name=entry.name)
    return ()


def _second_name(entry: Entry, records: Records) -> None:
    """A record that is a hard link says what the other name of it says."""
    target = plain(entry.target)
    if target in records.packages and packages.is_record(entry.name):
        records.packages[entry.name] = records.packages[target]
