"""`recast-dm curves`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import options, view

if TYPE_CHECKING:
    from recast_dm.curves import Curve
    from recast_dm.curves.own import Kept

app = typer.Typer(help="Limits of direct and indirect detection.", no_args_is_help=True, rich_markup_mode=None)


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or text, YAML, or a HEPData table (YAML, CSV).")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What to call it.")] = None,
    quantity: Annotated[
        str | None, typer.Option(metavar="SI|SD-p|SD-n|sigmav", help="What it limits, by the mass of dark matter.")
    ] = None,
    cl: Annotated[float | None, typer.Option(metavar="LEVEL", help="Its confidence level, such as 0.9.")] = None,
    citation: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The paper; arXiv:… and doi:… in it are found.")
    ] = None,
    assumes: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What it assumes of the dark matter, as in 'all of it'.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="bb|tautau|…", help="sigmav: the final state that it is for.")
    ] = None,
    self_conjugate: Annotated[
        bool | None,
        typer.Option("--self-conjugate/--dirac", help="sigmav: the kind of dark matter that it is for."),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Whose limit it is.", show_default="the name")
    ] = None,
    year: Annotated[
        int | None, typer.Option(metavar="YEAR", help="When it was published.", show_default="of the arXiv number")
    ] = None,
    digitised: Annotated[bool | None, typer.Option("--digitised", help="It was read off a figure.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What else to know of it.")] = None,
    column: Annotated[str | None, typer.Option(metavar="HEAD", help="Which column holds the limit.")] = None,
    mass_unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Where no head says it.", show_default="GeV")
    ] = None,
    limit_unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="Where no head says it.", show_default="cm2, or cm3/s")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of your curve of that name.")] = False,
    json: options.Json = False,
) -> None:
    """Keep a limit curve of your own: it joins every plane.

    The first column holds the masses. A YAML file may say itself what the options say.

    \b
    Examples:
      recast-dm curves add my-limit.yml
      recast-dm curves add limit.csv --name mine --quantity SI --cl 0.9 --citation arXiv:2410.17036 --assumes all
    """
    from recast_dm.curves import own, reading

    said = {
        "name": name,
        "quantity": quantity,
        "confidence_level": cl,
        "citation": citation,
        "dm_assumption": assumes,
        "channel": channel,
        "self_conjugate": self_conjugate,
        "experiment": experiment,
        "year": year,
        "digitised": digitised,
        "note": note,
        "mass_unit": mass_unit,
        "limit_unit": limit_unit,
    }
    curve = reading.read(file, said, column=column)
    kept = own.add(options.DEFAULTS.curves, curve, str(file.absolute()), replace=replace)
    if json:
        view.document({"schema": "recast-dm/curves-add/1", "curve": _listed(curve, kept)})
        return
    view.out(_table([curve]))


@app.command("ls")
def ls(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Only what all of these words occur in.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List the limit curves known here, and what must be said beside them.

    \b
    Examples:
      recast-dm curves ls
      recast-dm curves ls SI LZ --json
    """
    from recast_dm.curves import own, shipped

    mine = {kept.curve.name: kept for kept in own.load(options.DEFAULTS.curves)}
    found = [c for c in (*shipped(), *(kept.curve for kept in mine.values())) if _matches(c, words or [])]
    if json:
        listed = [_listed(curve, mine.get(curve.name)) for curve in found]
        view.document({"schema": "recast-dm/curves-ls/1", "curves": listed})
        return
    if not found:
        view.say("no curve has all of these words")
        return
    view.out(_table(found))
    view.out("\ncite the paper of each curve that you show; `--json` also gives its numbers and what it assumes")


@app.command("rm")
def rm(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of curves of your own.")],
    json: options.Json = False,
) -> None:
    """Forget limit curves of your own.

    \b
    Examples:
      recast-dm curves rm my-limit
      recast-dm curves rm my-limit my-dwarfs --json
    """
    from recast_dm.curves import own

    gone = own.remove(options.DEFAULTS.curves, names)
    if json:
        view.document({"schema": "recast-dm/curves-rm/1", "forgotten": list(gone)})
        return
    for name in gone:
        view.out(f"forgotten: {name}")


def _matches(curve: Curve, words: list[str]) -> bool:
    said = " ".join((curve.name, curve.experiment, curve.quantity, curve.channel or "", str(curve.citation))).lower()
    return all(word.lower() in said for word in words)


def _listed(curve: Curve, kept: Kept | None) -> dict[str, Any]:
    came = {"source": kept.source, "added": kept.added} if kept else {"source": None, "added": None}
    return {**curve.document(), "unit": curve.unit, **came}


def _table(curves: list[Curve]) -> str:
    rows = [
        (
            curve.name,
            f"{curve.quantity} {curve.channel or ''}".strip(),
            f"{100 * curve.confidence_level:g} %",
            f"{curve.masses[0]:.3g} to {curve.masses[-1]:.3g}",
            str(curve.citation),
            ", ".join(filter(None, ("digitised" if curve.digitised else "", "" if curve.used else "no verdict"))),
        )
        for curve in curves
    ]
    return view.table(rows, head=("curve", "limits", "CL", "GeV", "source", ""))
