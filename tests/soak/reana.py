"""Submitting to REANA through faults: one run, no false success, and the token nowhere.

The server is the stand-in, in this process and without executing steps; time is a clock of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.reana.submitting import Trial

NAME = "reana"
TOTAL = 10_000
_place: list[Path] = []


@contextmanager
def setup() -> Iterator[None]:
    """A directory for the trials: in memory where there is one, for they write much and it is not about disks."""
    memory = Path("/dev/shm")  # it is what it is for
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        _place.append(Path(place))
        try:
            yield
        finally:
            _place.pop()


def one(seed: int) -> str | None:
    with tempfile.TemporaryDirectory(dir=_place[-1] if _place else None) as place:
        return Trial(seed, Path(place), both=seed % 4 == 0).run()
