"""Runs, scans and capsules in other people's formats. A module a format; the seam is `Exporter`, found by its name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from recast_dm.capsule import Capsule
from recast_dm.errors import UsageError
from recast_dm.export.scans import Scan

GROUP = "recast_dm.exporters"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: where, how many files, and their bytes before any compression."""

    output: Path
    files: int
    size: int


@runtime_checkable
class Exporter(Protocol):
    """Writes a run directory, a capsule or a scan in one format. What it writes appears whole or not at all.

    Raises UsageError for what it does not take.
    """

    def export(self, source: Path | Capsule | Scan, output: Path) -> Exported: ...


def find(name: str) -> Exporter:
    """The exporter of that name. Raises UsageError that names those there are.

    >>> find("ro-crat")
    Traceback (most recent call last):
    recast_dm.errors.UsageError: there is no export format 'ro-crat'
      known here: hepdata, reana, ro-crate
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise UsageError(f"there is no export format {name!r}", hint=f"known here: {', '.join(sorted(known))}")
    exporter: Exporter = known[name].load()()
    return exporter
