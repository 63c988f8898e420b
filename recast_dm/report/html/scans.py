"""A scan: how many points are excluded, where the line of mu = 1 runs, what was not covered, and every point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from recast_dm.curves import Curve
from recast_dm.errors import UsageError
from recast_dm.report import plots
from recast_dm.report import scan as scans
from recast_dm.report.html import limits
from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.pictures import picture
from recast_dm.report.html.tables import facts, mark, note, number, percent, point, table, value
from recast_dm.report.planes import drawing, mapping
from recast_dm.report.scan import Row, Scan

MOST_ROWS = 2000
"""Points that the table of all points lists."""


def summary(document: Mapping[str, Any]) -> Child:
    """The part of a report that is about a scan document alone."""
    scan = scans.of_document(document)
    return [verdict(scan), figures(scan), h("h3", "Closure"), limits.closure(document["closure"])]


def verdict(scan: Scan) -> Element:
    """The headline: how far the scan excludes, and how much of it there is."""
    excluded = [row for row in scan.done if row.mu_obs is not None and row.mu_obs < 1]
    expected = sum(1 for row in scan.done if (row.expected(0) or 2) < 1)
    word = f"{len(excluded)} of {len(scan.rows)} points EXCLUDED"
    numbers = [
        ("points with a limit", str(len(scan.done))),
        ("expected to be excluded", str(expected)),
        ("not covered", str(len(scan.not_covered))),
        ("failed", str(len(scan.failed))),
    ]
    return h(
        "div",
        h("p", word, h("small", " at 95 % CL"), class_="word"),
        h("p", f"{scan.model} ({scan.document['order']}): {point(dict(scan.at))}; {_grid(scan)}", class_="what"),
        h("ul", [h("li", h("b", shown), h("span", name)) for name, shown in numbers], class_="tiles"),
        [note(line) for line in (*_reach(scan), *scan.notes())],
        class_=f"verdict {'excluded' if excluded else 'allowed'}",
    )


def _grid(scan: Scan) -> str:
    return " \u00d7 ".join(f"{len(v)} {n} ({v[0]:g} to {v[-1]:g})" for n, v in scan.axes.items())


def _reach(scan: Scan) -> tuple[str, ...]:
    """Where the limit along the first axis crosses mu = 1, at the least value of the others."""
    try:
        plot = plots.limit.prepare(scan)
    except UsageError:
        return ()
    found = [
        f"{name} {', '.join(f'{x:.4g}' for x in xs)}"
        for name, xs in plot.crossings.items()
        if xs and "sigma" not in name
    ]
    at = ", ".join(f"{name} = {plot.scan.at[name]:g}" for name in scan.axes if name != plot.axis)
    where = f" at {at}" if at else ""
    return (f"\u03bc = 1 along {plot.axis}{where}: {'; '.join(found)}.",) if found else ()


def figures(scan: Scan, *, relic: bool = False) -> Child:
    """The plane, where there is one (`relic`: with the line of the observed density), and the limit along an axis."""
    drawn: list[Child] = []
    if len(scan.axes) == 2:
        plane = plots.prepare(scan, "plane", relic=relic)
        drawn.append(picture(plots.draw(plane), "Exclusion in the plane", f"Contours: {plane.document()['method']}."))
    if scan.axes and scan.done:
        limit = plots.prepare(scan, "limit")
        drawn.append(picture(plots.draw(limit), f"Limit against {limit.document()['axis']}", ""))
    return h("div", drawn, class_="figures")


def planes(scan: Scan, curves: Iterable[Curve]) -> Child:
    """The planes of direct and indirect detection; which of them the model is not in, and why."""
    try:
        found, absent = mapping.prepare(scan, curves)
    except UsageError as error:
        return note(f"No planes: {error.message}.")
    drawn = [picture(drawing.draw(each), f"{each.name} against m_dm", f"{each.title}.") for each in found]
    said = {each.why: None for each in absent}
    return [h("div", drawn, class_="figures") if drawn else None, [note(f"{why}.") for why in said]]


def validity(scan: Scan) -> Element:
    """How many points lie outside of which assumption."""
    counts = Counter(name for row in scan.rows for name in row.broken)
    texts = {each["name"]: each["text"] for row in scan.rows for each in row.numbers["validity"] if not each["ok"]}
    if not counts:
        return note("The model's assumptions hold at every point.")
    rows = [[mark(False, name), f"{n} of {len(scan.rows)} points", texts[name]] for name, n in counts.items()]
    return table(("assumption", "does not hold at", "for example"), rows)


def uncertainties(scan: Scan) -> Child:
    """The range of each uncertainty over the points."""
    found: dict[str, list[float]] = {}
    how: dict[str, str] = {}
    for row in scan.done:
        for each in row.numbers.get("uncertainties") or ({"source": "MC statistics", "how": "bootstrap"} | _mc(row),):
            found.setdefault(each["source"], []).append(each["relative"])
            how[each["source"]] = each["how"]
    rows = [[name, _range(v), how[name]] for name, v in found.items()]
    check = scan.document["spot_check"]
    said = [note(f"Correlation model of the bins: {', '.join(scan.correlation_models) or 'none'}.")]
    if check:
        largest = number(check["largest_cls_difference"], 2)
        said.append(
            note(f"{check['points']} points done again with {check['reference']}: CLs differ by at most {largest}.")
        )
    return [table(("source", "of the \u03bc limit", "how"), rows) if rows else None, said]


def _range(found: Sequence[float]) -> str:
    low, high = percent(min(found)), percent(max(found))
    return low if low == high else f"{low} to {high}"


def _mc(row: Row) -> dict[str, Any]:
    return {"relative": row.numbers["mu_upper_obs_mc_error"]}


def points(scan: Scan) -> Child:
    """Every point, folded in by the first axis."""
    axes = list(scan.axes)
    if not axes:
        return _rows(scan.rows, axes)
    rows = sorted(scan.rows[:MOST_ROWS], key=lambda row: row.parameters[axes[0]])
    groups = [(key, tuple(group)) for key, group in groupby(rows, key=lambda row: row.parameters[axes[0]])]
    if len(axes) == 1:
        return _rows(rows, axes)
    more = note(f"The first {MOST_ROWS} of {len(scan.rows)} points.") if len(scan.rows) > MOST_ROWS else None
    return [
        more,
        [
            h("details", h("summary", f"{axes[0]} = {key:g}", h("small", _counts(group))), _rows(group, axes[1:]))
            for key, group in groups
        ],
    ]


def _counts(rows: Sequence[Row]) -> str:
    excluded = sum(row.mu_obs is not None and row.mu_obs < 1 for row in rows)
    return f" {len(rows)} points, {excluded} excluded"


def _rows(rows: Sequence[Row], axes: Sequence[str]) -> Element:
    cells: list[list[Child]] = [
        [
            *(f"{row.parameters[name]:g}" for name in axes),
            number(row.mu_obs),
            number(row.expected(0)),
            number(row.sigma),
            number(row.sigma_obs),
            mark(None if not row.done else row.mu_obs is not None and row.mu_obs < 1, _status(row)),
            ", ".join(row.broken),
        ]
        for row in rows
    ]
    n = len(axes)
    head = (*axes, "\u03bc obs", "\u03bc exp", "\u03c3, pb", "\u03c3 limit, pb", "", "outside")
    return table(head, cells, numeric=range(n + 4))


def _status(row: Row) -> str:
    if row.done:
        return "excluded" if (row.mu_obs or 2) < 1 else "not excluded"
    return f"{row.status}: {row.reason}"


def about(scan: Scan) -> Element:
    """What the scan is of."""
    document = scan.document
    rows: list[tuple[str, Child]] = [("model", f"{scan.model}, {document['order']}")]
    rows += [(name, f"{len(v)} values, {v[0]:g} to {v[-1]:g}") for name, v in scan.axes.items()]
    rows += [(name, value(each)) for name, each in scan.at.items()]
    rows += [(f"-p {name}", value(each)) for name, each in document["overrides"].items()]
    rows += [("luminosity", f"{document['luminosity_fb']:g} fb\u207b\u00b9")] if document["luminosity_fb"] else []
    rows += [("K-factor", value(document["k_factor"]))] if document["k_factor"] else []
    return facts(rows)
