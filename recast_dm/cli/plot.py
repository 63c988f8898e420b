"""`recast-dm plot`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.report.scan import Scan

KINDS = ("limit", "plane", "spectrum", "coupling")
Subject = Annotated[
    str,
    typer.Argument(
        metavar="SCAN|RUN",
        help="A scan.json, or a run directory, or a name below build/runs.",
        show_default=str(chosen.LATEST),
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(metavar="|".join(KINDS), help="What to draw.", show_default="plane, limit or spectrum: what there is"),
]
At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="NAME=VALUE", help="A slice of the scan, as m_dm=1; repeat for each axis."),
]
Quantity = Annotated[
    str | None,
    typer.Option(metavar="mu|sigma", help="What the limit is on.", show_default="sigma where the scan has it"),
]
Relic = Annotated[
    bool,
    typer.Option(
        "--relic/--no-relic", help="Draw the line of the observed density into a plane: it takes some seconds."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE.png|FILE.svg|FILE.pdf", show_default="<analysis>-<kind>.png"),
]


def plot(
    subject: Subject = str(chosen.LATEST),
    kind: Kind = None,
    at: At = None,
    quantity: Quantity = None,
    relic: Relic = True,
    output: Output = None,
    json: options.Json = False,
) -> None:
    """Draw a limit with its bands, a plane with its contours, or a spectrum; the numbers lie beside it.

    \b
    Examples:
      recast-dm plot build/runs/latest -o plane.pdf
      recast-dm plot scan.json --kind limit --at m_dm=1 -o limit.png
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"there is no plot of kind {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
    if quantity not in (None, "mu", "sigma"):
        raise UsageError(f"--quantity {quantity!r} is neither mu nor sigma", hint="--quantity mu")
    if output is not None:
        from recast_dm.report.plots import files

        files.check_output(output)
    found = scan_of(subject)
    if found is None or kind == "spectrum":
        if kind not in (None, "spectrum") or at or quantity:
            raise UsageError(f"{subject} is no scan", hint="of a run there is only --kind spectrum")
        document = _spectrum(subject, output)
    else:
        document = _scan(found, subject, _Wanted(kind, values(at), quantity, relic), output)
    if json:
        view.document(document)
        return
    view.out(view.table([(name, str(value)) for name, value in _lines(document)]))


def scan_of(subject: str) -> Scan | None:
    """The scan that a word names: its document, its run directory, or a name below build/runs. Else None."""
    from recast_dm.report import scan as scans

    places = (Path(subject), options.RUNS / subject)
    place = next((place for place in places if scans.is_scan(place)), None)
    return scans.read(place) if place else None


def values(words: Iterable[str] | None) -> dict[str, float]:
    """`--at` as numbers. Raises UsageError."""
    found = {}
    for name, word in options.pairs(words or (), "--at").items():
        try:
            found[name] = float(word)
        except ValueError:
            raise UsageError(f"--at {name}={word} is not a number", hint=f"write --at {name}=1") from None
    return found


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What of a scan is to be drawn."""

    kind: str | None
    at: dict[str, float]
    quantity: Any
    relic: bool


def _scan(scan: Scan, source: str, wanted: _Wanted, output: Path | None) -> dict[str, Any]:
    from recast_dm.report import plots
    from recast_dm.report.plots import files

    prepared = plots.prepare(scan, wanted.kind, wanted.at, wanted.quantity, relic=wanted.relic)
    drawn = {"schema": "recast-dm/plot/1", "source": source, "analysis": scan.document["analysis"]}
    drawn |= {"model": scan.model, **prepared.document()}
    place = output or Path(f"{file_name(str(scan.document['analysis']))}-{drawn['kind']}.png")
    head, rows = prepared.table()
    written = files.save(plots.draw(prepared), place, head, rows, drawn)
    return {**drawn, "files": [str(path) for path in written]}


def _spectrum(subject: str, output: Path | None) -> dict[str, Any]:
    from recast_dm.report import likelihood, originals, spectrum
    from recast_dm.report.plots import files

    run = chosen.run(None if subject == str(chosen.LATEST) else Path(subject))
    original = originals.find(run.about.get("capsule"), chosen.known)
    found = likelihood.of_run(run, original.statistics if original else None)
    if found is None:
        hint = "a run has a spectrum when its one limit step gets a pyhf workspace and a patch"
        raise UsageError(f"{run.directory} has no spectrum", hint=hint)
    seen = found.spectrum()
    about = run.about
    drawn: dict[str, Any] = {"schema": "recast-dm/plot/1", "source": subject, "analysis": about.get("analysis", "")}
    drawn |= {"model": about.get("model"), "kind": "spectrum", **spectrum.document(seen, found.observable)}
    place = output or Path(f"{file_name(str(drawn['analysis']))}-spectrum.png")
    given = about.get("parameters") or {}
    point = ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in given.items())
    figure = spectrum.figure(seen, found.observable, str(drawn["analysis"]), f"{about.get('model')}: {point}")
    written = files.save(figure, place, drawn["columns"], drawn["rows"], drawn)
    return {**drawn, "files": [str(path) for path in written]}


def file_name(text: str) -> str:
    """A text as a file's name.

    >>> file_name("a/b c")
    'a-b-c'
    """
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text).strip(".-") or "plot"


def _lines(document: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for n, path in enumerate(document["files"]):
        yield ("plot" if n == 0 else "data"), path
    for name, xs in document.get("crossings", {}).items():
        if xs:
            yield f"mu = 1, {name}", ", ".join(f"{x:.5g}" for x in xs)
    for note in document.get("notes", ()):
        yield "note", note
