"""The stand-in's token is a canary: it may be in nothing that is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.reana.standin import TOKEN

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that is looked into: larger ones are layers of images."""


def found(directory: Path) -> Iterator[Path]:
    """The files below a directory that hold the token, or are called by it."""
    for place, directories, names in os.walk(directory):
        yield from (Path(place, name) for name in directories if TOKEN in name)
        for name in names:
            path = Path(place, name)
            if TOKEN in name or _holds(path):
                yield path


def _holds(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= LARGEST and TOKEN.encode() in path.read_bytes()
    except OSError:
        return False  # a test has made it unreadable, or it is going away
