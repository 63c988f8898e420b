"""`recast-dm export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import chosen, options, view

Run = Annotated[
    Path, typer.Argument(metavar="RUN|CAPSULE", help="A run directory, a name below build/runs, or a capsule.")
]
Format = Annotated[str, typer.Option("--format", metavar="ro-crate", help="Whose format.")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR|FILE.zip", help="Where it goes: a directory, or one zip file.")
]


def export(run: Run, output: Output, format: Format = "ro-crate", json: options.Json = False) -> None:  # noqa: A002  # the option's name
    """Write a run or a capsule in another format: as an RO-Crate, with outputs, records and logs.

    \b
    Examples:
      recast-dm export build/runs/latest -o my-run.zip
      recast-dm export my-search.capsule --format ro-crate -o my-search-crate --json
    """
    from recast_dm import export as exporters

    exporter = exporters.find(format)
    capsule = chosen.capsule(run)
    source = run if capsule else chosen.directory(run)
    done = exporter.export(capsule or source, output)
    if json:
        view.document(
            {
                "schema": "recast-dm/export/1",
                "format": format,
                "source": str(source),
                "output": str(done.output),
                "files": done.files,
                "size": done.size,
            }
        )
        return
    rows = [("export", str(done.output)), ("of", str(source)), ("files", str(done.files)), ("bytes", str(done.size))]
    view.out(view.table(rows))
