"""`recast-dm limits`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.cli.view import number

Place = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RUN|SCAN]",
        help="A run directory, a name below build/runs, or a document of a limit or a scan.",
        show_default=str(chosen.LATEST),
    ),
]


def limits(place: Place = None, json: options.Json = False) -> None:
    """Print the limits of a run or a scan again: nothing is run.

    \b
    Examples:
      recast-dm limits build/runs/latest
      recast-dm limits scan.json --json
    """
    from recast_dm.api import reading, results
    from recast_dm.export import scans

    here = place is not None and (scans.holds(place) or place.is_file())
    found = reading.read(place if place is not None and here else chosen.directory(place))
    if json:
        view.document(dict(found.document))
        return
    rows = reading.limits(found)
    axes = list(found.document["grid"] if isinstance(found, results.Scan) else found.document["parameters"])
    view.out("\n".join(lines(found.document, axes, rows)))


def lines(document: Mapping[str, Any], axes: Sequence[str], points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A heading, a row a point, and what holds for all of them."""
    fixed = ", ".join(f"{name}={value:g}" for name, value in document.get("fixed", {}).items())
    yield f"{document['analysis']}: {document.get('title') or ''}".rstrip(": ")
    yield f"{document['model']}{f': {fixed}' if fixed else ''}" + (
        f", {document['order']}" if document["order"] else ""
    )
    yield ""
    head = (*axes, "sigma, pb", "CLs", "mu upper limit", "expected", "-1 sigma", "+1 sigma", "", "")
    yield view.table([row(axes, point) for point in points], head=head)
    treated = sorted({f"{point['correlation_model']}" for point in points if point["status"] == "done"})
    if treated:
        yield ""
        yield f"limits at 95 % CL, CLs at mu = 1; correlations between bins: {', '.join(treated)}"
    corrected = sorted({point["k_factor"]["name"] for point in points if point.get("k_factor")})
    if corrected:
        yield f"limits with a K-factor ({', '.join(corrected)}) are in the document: --json"


def row(axes: Sequence[str], point: Mapping[str, Any]) -> tuple[str, ...]:
    """A point: where it is, its cross-section, CLs and limits, the verdict; or why there is no limit.

    >>> row(["m_med"], {"parameters": {"m_med": 9000.0}, "status": "not covered", "reason": "off the map"})
    ('9000', '', '', '', '', '', '', 'not covered', 'off the map')
    """
    place = tuple(f"{point['parameters'][name]:g}" for name in axes)
    if point["status"] != "done":
        return (*place, "", "", "", "", "", "", point["status"], point["reason"])
    five = point["mu_upper_exp"]
    outside = ", ".join(finding["name"] for finding in point["validity"] if not finding["ok"])
    return (
        *place,
        _maybe(point["sigma_pb"]),
        _maybe(point["cls_obs"]),
        number(point["mu_upper_obs"]),
        *(number(five[n]) for n in (2, 1, 3)),
        "excluded" if point["excluded"] else "not excluded",
        f"outside: {outside}" if outside else "",
    )


def _maybe(value: float | None) -> str:
    return "-" if value is None else number(value)
