"""`recast-dm combine`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.cli.view import number

Places = Annotated[
    list[Path],
    typer.Argument(metavar="RUN|SCAN RUN|SCAN …", help="Runs or scans of different analyses at the same points."),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Where the document goes, besides stdout.")
]


def combine(places: Places, output: Output = None, json: options.Json = False) -> None:
    """Combine uncorrelated searches: the product of their likelihoods at every point that all of them ran.

    \b
    Examples:
      recast-dm combine build/runs/one build/runs/other
      recast-dm combine scans/one scans/other -o together.json --json
    """
    from recast_dm import store
    from recast_dm.api import reading
    from recast_dm.export import scans

    where = [place if scans.holds(place) else chosen.directory(place) for place in places]
    found = dict(reading.combine(*where).document)
    if output is not None:
        store.write_atomic(output, store.pretty(found))
    if json:
        view.document(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    names = [each["name"] for each in found["searches"]]
    axes = list(found["points"][0]["parameters"])
    varied = [name for name in axes if len({point["parameters"][name] for point in found["points"]}) > 1] or axes
    rows = [
        (
            *(f"{point['parameters'][name]:g}" for name in varied),
            *(number(point["alone"][name]["mu_upper_obs"]) for name in names),
            number(point["mu_upper_obs"]),
            number(point["mu_upper_exp"][2]),
            "excluded" if point["excluded"] else "not excluded",
        )
        for point in found["points"]
    ]
    view.out(f"{found['model']}: {' + '.join(names)}\n")
    view.out(view.table(rows, head=(*varied, *(f"mu, {name}" for name in names), "mu, combined", "expected", "")))
    view.out(f"\nassumed: {found['assumption']}")
