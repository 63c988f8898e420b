"""`recast-dm report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import chosen, options, plot, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.report.html.material import Material

Subject = Annotated[
    str,
    typer.Argument(
        metavar="RUN|SCAN|CAPSULE",
        help="A run directory, or a name below build/runs; a scan.json; a capsule.",
        show_default=str(chosen.LATEST),
    ),
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="Where it goes.")]
Capsule = Annotated[
    Path | None,
    typer.Option(
        "--capsule",
        metavar="X.capsule",
        help="What the run was made of, to compare with.",
        show_default="the one of that digest in build or the catalogue",
    ),
]


def report(
    subject: Subject = str(chosen.LATEST),
    output: Output = Path("report.html"),
    capsule: Capsule = None,
    relic: plot.Relic = True,
    json: options.Json = False,
) -> None:
    """Write one HTML file that says all of a run, a scan or a capsule; it needs no network and no JavaScript.

    \b
    Examples:
      recast-dm report build/runs/latest -o report.html
      recast-dm report scan.json -o scan.html --capsule my-search.capsule
    """
    if output.suffix not in (".html", ".htm"):
        raise UsageError(f"-o {output}: a report is written as .html", hint=f"-o {output.stem or 'report'}.html")
    if output.is_dir():
        raise UsageError(f"-o {output} is a directory", hint="name a file")
    from recast_dm import store
    from recast_dm.report.html import report as reports

    material = replace(_material(subject, capsule), relic=relic)
    written = reports.write(material)
    data = written.html.encode()
    store.write_atomic(output, data)
    if json:
        view.document(
            {
                "schema": "recast-dm/report/1",
                "source": material.source,
                "of": material.kind,
                "analysis": material.name,
                "output": str(output),
                "size": len(data),
                "sections": list(written.sections),
            }
        )
        return
    rows = [("report", str(output)), ("of", f"{material.kind} {material.source}"), ("size", view.size(len(data)))]
    view.out(view.table(rows))


def _material(subject: str, capsule: Path | None) -> Material:
    from recast_dm.report.html import material as materials

    found = _found(subject)
    if capsule is None:
        return found
    if found.kind == "capsule":
        raise UsageError("--capsule says what a run was made of; this is a capsule", hint="leave it out")
    from recast_dm.report import originals

    original = originals.read(Path(chosen.subject(str(capsule))))
    wanted = materials.digest(found)
    if wanted is not None and wanted != original.digest:
        hint = f"the digest of {capsule} is {original.digest[:12]}…"
        raise UsageError(f"{subject} was made of another capsule, {wanted[:12]}…", hint=hint)
    return replace(found, original=original)


def _found(subject: str) -> Material:
    from recast_dm.engine import history
    from recast_dm.report.html import material as materials

    if (scan := plot.scan_of(subject)) is not None:
        place = next(place for place in (Path(subject), options.RUNS / subject) if place.exists())
        from recast_dm.curves import own

        return materials.of_scan(scan, place, chosen.known, own.known(options.DEFAULTS.curves))
    if subject == str(chosen.LATEST) or any(history.is_run(p) for p in (Path(subject), options.RUNS / subject)):
        return materials.of_run(chosen.run(None if subject == str(chosen.LATEST) else Path(subject)), chosen.known)
    if (capsule := chosen.capsule(subject)) is not None:
        return materials.of_capsule(capsule)
    raise UsageError(f"{subject!r} is no run, no scan and no capsule", hint="`recast-dm ls` lists runs")
