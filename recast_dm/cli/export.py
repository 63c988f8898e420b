"""`recast-dm export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.capsule import Capsule
    from recast_dm.export import Exporter
    from recast_dm.export.scans import Scan

SCANS = "hepdata"
"""The format that takes results, where the others take files."""
Source = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|SCAN|CAPSULE", help="A run directory, a name below build/runs, a scan.json, or a capsule."
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="ro-crate|hepdata|reana", help="Whose format.")]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="DIR|FILE", help="Where it goes: a directory, or one .zip or .tar.gz file."),
]


def export(
    source: Source,
    output: Output,
    format: Format = "ro-crate",  # noqa: A002  # the option's name
    registry: options.RegistryName = None,
    json: options.Json = False,
) -> None:
    """Write a run, a scan or a capsule in another format: an RO-Crate, a submission to HEPData, a REANA workflow.

    \b
    Examples:
      recast-dm export build/runs/latest --format hepdata -o my-scan.tar.gz --json
      recast-dm export my-search.capsule --format reana --registry registry.example.org/group -o my-search
    """
    from recast_dm import export as exporters

    exporter = exporters.find(format)
    if registry is not None:
        exporter = _with_registry(exporter, registry)
    what = _scan(source) if format == SCANS else chosen.capsule(source) or chosen.directory(source)
    done = exporter.export(what, output)
    place = _place(what, source)
    if json:
        view.document(
            {
                "schema": "recast-dm/export/1",
                "format": format,
                "source": str(place),
                "output": str(done.output),
                "files": done.files,
                "size": done.size,
            }
        )
        return
    rows = [("export", str(done.output)), ("of", str(place)), ("files", str(done.files)), ("bytes", str(done.size))]
    view.out(view.table(rows))


def _with_registry(exporter: Exporter, registry: str) -> Exporter:
    from recast_dm.export.reana import ReanaDirectory

    if not isinstance(exporter, ReanaDirectory):
        raise UsageError("--registry is for --format reana", hint="leave it out")
    return replace(exporter, registry=registry)


def _scan(word: Path) -> Scan:
    """The scan that a word names, with its figure: a document, or a run directory that holds one."""
    from recast_dm.api import reading, writing
    from recast_dm.api.results import Run
    from recast_dm.export import scans

    place = word if scans.holds(word) or word.is_file() else chosen.directory(word)
    found = reading.read(place)
    if isinstance(found, Run):
        raise UsageError(
            f"{place} holds no limit", hint="`recast-dm rerun` and `scan` set limits; --format ro-crate takes any run"
        )
    return replace(writing.submitted(found), place=place)


def _place(what: Path | Capsule | Scan, word: Path) -> Path:
    from recast_dm.export.scans import Scan

    if isinstance(what, Scan):
        return what.place
    return what if isinstance(what, Path) else word
