"""Results and capsules in the formats of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recast_dm import export as exporters
from recast_dm import store
from recast_dm.api import drawing
from recast_dm.api.opening import Preserved, catalogue
from recast_dm.api.results import Document, Limit, Scan
from recast_dm.api.standing import curves
from recast_dm.capsule import Capsule
from recast_dm.engine import history
from recast_dm.errors import UsageError
from recast_dm.export import Exported, scans
from recast_dm.report import scan as reported
from recast_dm.report.html import material as materials
from recast_dm.report.html import report as pages


def export(what: Document | Preserved, output: str | Path, *, format: str = "ro-crate") -> Exported:  # noqa: A002  # the option's name
    """Writes a result or a capsule as `ro-crate` or `hepdata`, into a directory or one `.zip` or `.tar.gz` file.

    It appears whole or not at all. Raises UsageError for what that format does not take, or where something is already.
    """
    return exporters.find(format).export(source(what, format), Path(output))


def source(what: Document | Preserved, format: str) -> Path | Capsule | scans.Scan:  # noqa: A002  # the option's name
    """What an exporter takes of a value: of a scan for HEPData, its document with its figure."""
    if isinstance(what, Preserved):
        if what.subject.capsule is None:
            raise UsageError(f"{what.name} is no capsule", hint="`recast_dm.capture` makes one")
        return what.subject.capsule
    if format == "hepdata" and isinstance(what, Limit | Scan):
        return submitted(what)
    if what.directory is None:
        raise UsageError("the run directory of this result is not here", hint="`recast_dm.read` takes a run directory")
    return what.directory


def submitted(what: Limit | Scan) -> scans.Scan:
    """A result as what a submission is made of."""
    held = scans.of_document(what.document, what.directory)
    return replace(held, pictures=drawing.pictures(what)) if isinstance(what, Scan) else held


def report(what: Document | Preserved, output: str | Path) -> Path:
    """Writes one self-contained HTML file about a result or a capsule: no network, no script, under 5 MB."""
    store.write_atomic(Path(output), pages.write(_material(what)).html.encode())
    return Path(output)


def _material(what: Document | Preserved) -> materials.Material:
    if isinstance(what, Preserved):
        if what.subject.capsule is None:
            raise UsageError(f"{what.name} is no capsule", hint="`recast_dm.capture` makes one")
        return materials.of_capsule(what.subject.capsule)
    if isinstance(what, Scan):
        place = what.directory or Path(scans.FILE)
        return materials.of_scan(reported.of_document(what.document), place, catalogue, curves().values())
    if what.directory is None:
        raise UsageError("the run directory of this result is not here", hint="`recast_dm.read` takes a run directory")
    return materials.of_run(history.read(what.directory), catalogue)
