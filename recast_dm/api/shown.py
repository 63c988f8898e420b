"""Results as a few lines of HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

MOST_ROWS = 20
"""Points of a scan that are shown; the document has all."""


def fragment(document: Mapping[str, Any]) -> str:
    """A result of any kind: a heading, and a table of what it found."""
    if document["schema"] == "recast-dm/scan/1":
        head, rows = _scan(document)
    elif document["schema"] == "recast-dm/limit/1":
        head, rows = (), _limit(document)
    else:
        head, rows = (), list(document["results"].items())
    parameters = document.get("fixed") or document.get("parameters") or {}
    place = ", ".join(f"{name} = {value:g}" for name, value in parameters.items())
    title = f"{document['analysis']}: {document['model'] or 'as captured'}{f', {place}' if place else ''}"
    return f"<p><b>{escape(title)}</b></p>{table(head, rows)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of words.

    >>> table(("x",), [["<1"]])
    '<table><tr><th>x</th></tr><tr><td>&lt;1</td></tr></table>'
    """
    first = f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{first}{body}</table>"


def _limit(document: Mapping[str, Any]) -> list[Sequence[str]]:
    if document.get("status", "done") != "done":
        return [(document["status"], document["reason"])]
    return [
        ("", "observed", "expected", "-1 sigma", "+1 sigma"),
        ("CLs (mu = 1)", _number(document["cls_obs"]), *_band(document["cls_exp"])),
        ("mu upper limit", _number(document["mu_upper_obs"]), *_band(document["mu_upper_exp"])),
        ("at 95 % CL", _verdict(document["excluded"]), _verdict(document["excluded_expected"]), "", ""),
        *_closure(document["closure"]),
    ]


def _closure(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    for row in rows:
        agreement = "agrees" if row["agrees"] else "DISAGREES"
        yield (f"{row['quantity']}, published", _number(row["published"]), agreement, "", "")


def _scan(document: Mapping[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    axes = list(document["grid"])
    points = document["points"]
    rows = [_point(axes, point) for point in points[:MOST_ROWS]]
    if len(points) > MOST_ROWS:
        rows.append((f"and {len(points) - MOST_ROWS} more points", *("" for _ in range(len(axes) + 3))))
    return (*axes, "sigma, pb", "mu upper limit", "expected", ""), rows


def _point(axes: Sequence[str], point: Mapping[str, Any]) -> Sequence[str]:
    place = [f"{point['parameters'][axis]:g}" for axis in axes]
    if point["status"] != "done":
        return (*place, "", "", "", f"{point['status']}: {point['reason']}")
    broken = [finding["name"] for finding in point["validity"] if not finding["ok"]]
    flags = f" (outside: {', '.join(broken)})" if broken else ""
    rate = _number(point["sigma_pb"]) if point["sigma_pb"] is not None else ""
    numbers = (rate, _number(point["mu_upper_obs"]), _number(point["mu_upper_exp"][2]))
    return (*place, *numbers, _verdict(point["excluded"]) + flags)


def _verdict(excluded: bool) -> str:
    return "excluded" if excluded else "not excluded"


def _band(five: Sequence[float]) -> tuple[str, ...]:
    """The median, then -1 and +1 sigma, out of pyhf's rising order."""
    return tuple(_number(five[n]) for n in (2, 1, 3))


def _number(value: float) -> str:
    return f"{value:.3g}"
