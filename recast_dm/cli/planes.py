"""`recast-dm planes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import chosen, options, plot, view
from recast_dm.errors import UsageError

FORMATS = ("png", "svg", "pdf")
Subject = Annotated[
    str,
    typer.Argument(
        metavar="SCAN",
        help="A scan.json, or the run directory of a scan, or a name below build/runs.",
        show_default=str(chosen.LATEST),
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where they go.", show_default="<analysis>-planes")
]
Quantities = Annotated[
    list[str] | None,
    typer.Option("--plane", metavar="SI|SD-p|SD-n|sigmav", help="Only this plane; repeat.", show_default="all"),
]
Format = Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="How figures are written.")]


def planes(
    subject: Subject = str(chosen.LATEST),
    output: Output = None,
    quantities: Quantities = None,
    form: Format = "png",
    json: options.Json = False,
) -> None:
    """Draw a scan's exclusion where direct and indirect detection stand: SI, SD-p, SD-n and <sigma v>.

    \b
    Examples:
      recast-dm planes build/runs/latest -o planes
      recast-dm planes scan.json --plane SI --format pdf
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form!r} is not known", hint=f"formats: {', '.join(FORMATS)}")
    found = plot.scan_of(subject)
    if found is None:
        raise UsageError(f"{subject} is no scan", hint="`recast-dm scan` makes one; its run directory holds scan.json")
    from recast_dm.curves import own
    from recast_dm.report.planes import files, mapping

    drawn, absent = mapping.prepare(found, own.known(options.DEFAULTS.curves), quantities)
    analysis = str(found.document["analysis"])
    place = output or Path(f"{plot.file_name(analysis)}-planes")
    common = {"source": subject, "analysis": analysis, "model": found.model}
    documents = files.save(drawn, place, f".{form}", common) if drawn else []
    if json:
        missing = [each.document() for each in absent]
        view.document({"schema": "recast-dm/planes/1", **common, "planes": documents, "absent": missing})
        return
    rows = [("plane", file) for each in documents for file in each["files"][:1]]
    rows += [("no plane", f"{each.quantity}: {each.why}") for each in absent]
    rows += [("note", note) for note in dict.fromkeys(note for each in drawn for note in each.notes)]
    view.out(view.table(rows))
