"""A scan document as text: its points, where the limit crosses 1, closure, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recast_dm.cli import limits, view
from recast_dm.cli.limit import closure_rows
from recast_dm.cli.view import number
from recast_dm.reinterpret import crossing

MOST_ROWS = 40
"""Points that a table shows; the document has all."""
Point = Mapping[str, Any]


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Everything that a person wants to know of a scan."""
    points, axes = document["points"], list(document["grid"])
    shown = points if len(points) <= MOST_ROWS else points[: MOST_ROWS - 1]
    yield ""
    yield from limits.lines(document, axes, shown)
    if len(shown) < len(points):
        yield f"... and {len(points) - len(shown)} more points; the document has all"
    yield ""
    yield from _crossings(axes, points)
    yield from _corrected(axes, points)
    yield from _closure(document["closure"])
    yield from _notes(document)


def _crossings(axes: Sequence[str], points: Sequence[Point]) -> Iterator[str]:
    """Where mu_UL = 1 along the first axis, for each value of the others."""
    axis, *others = axes
    rows = []
    for place, group in _groups(others, points).items():
        observed, expected = (crossing.along(axis, group, expected=which) for which in (False, True))
        if observed or expected:
            rows.append((*(f"{value:g}" for value in place), _values(observed), _values(expected)))
    if rows:
        yield view.table(rows[:MOST_ROWS], head=(*others, f"mu = 1 at {axis}", "expected at"))
    elif any(point["status"] == "done" for point in points):
        yield "mu = 1 is not crossed"


def _corrected(axes: Sequence[str], points: Sequence[Point]) -> Iterator[str]:
    """The same with a K-factor, where one was chosen: beside leading order, never in its place."""
    chosen = [point for point in points if point.get("k_factor")]
    if chosen:
        yield ""
        yield f"with the K-factor {chosen[0]['k_factor']['name']} ({chosen[0]['k_factor']['source']}):"
        yield from _crossings(axes, [{**point, **_limits(point["k_factor"])} for point in chosen])


def _limits(corrected: Mapping[str, Any]) -> dict[str, Any]:
    return {name: corrected[name] for name in ("mu_upper_obs", "mu_upper_exp")}


def _groups(names: Sequence[str], points: Sequence[Point]) -> dict[tuple[float, ...], list[Point]]:
    found: dict[tuple[float, ...], list[Point]] = {}
    for point in points:
        found.setdefault(tuple(point["parameters"][name] for name in names), []).append(point)
    return found


def _values(found: tuple[crossing.Crossing, ...]) -> str:
    return ", ".join(number(each.value, 4) for each in found) or "-"


def _closure(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    run = [row for row in rows if row["ours"] is not None]
    if run:
        yield ""
        yield from closure_rows(run)
    if left := len(rows) - len(run):
        yield f"{left} published numbers are for points that were not run (`recast-dm closure` runs them)"


def _notes(document: Mapping[str, Any]) -> Iterator[str]:
    points = document["points"]
    for status, said in (("not covered", "not covered"), ("failed", "failed")):
        if count := sum(point["status"] == status for point in points):
            yield f"{said}: {count} of {len(points)} points"
    if found := document.get("contour"):
        known = "the mu = 1 line was not met" if found["uncertainty"] is None else _known(found["uncertainty"])
        yield f"{known} after {found['evaluations']} points"
    if check := document["spot_check"]:
        yield (
            f"{check['points']} points checked against {check['reference']}: "
            f"CLs differs by at most {number(check['largest_cls_difference'], 2)}"
        )


def _known(uncertainty: float) -> str:
    return f"the mu = 1 line is known to {100 * uncertainty:.2g} % where it is known least"
