"""One point: the verdict, its numbers, a picture of the limit, what it is uncertain by, and where the model ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.tables import facts, mark, note, number, percent, point, table, value

_QUANTITIES = {
    "sigma_upper_obs_pb": "\u03c3 upper limit, pb",
    "sigma_pb": "\u03c3, pb",
    "mu_upper_obs": "\u03bc upper limit, observed",
    "mu_upper_exp": "\u03bc upper limit, expected",
}
BANDS = ("\u22122\u03c3", "\u22121\u03c3", "expected", "+1\u03c3", "+2\u03c3")


def summary(document: Mapping[str, Any]) -> Child:
    """Everything that a limit document says of physics."""
    if document.get("mu_upper_obs") is None:
        return [verdict(document), validity(document["validity"])]
    return [
        verdict(document),
        limit_table(document),
        h("h3", "Closure"),
        closure(document.get("closure", [])),
        h("h3", "Uncertainties"),
        uncertainties(document),
        h("h3", "Validity"),
        validity(document["validity"]),
    ]


def verdict(document: Mapping[str, Any]) -> Element:
    """The headline: excluded or not, and the numbers that say so."""
    what = f"{document['model']}: {point(document['parameters'])}" if document.get("model") else document["analysis"]
    if document.get("mu_upper_obs") is None:
        status = str(document.get("status", "no limit"))
        reason = str(document.get("reason") or "")
        return h("div", h("p", status.upper(), class_="word"), h("p", reason), h("p", what), class_="verdict open")
    excluded = document["excluded"]
    expected = "expected to be" if document["excluded_expected"] else "not expected to be"
    word = "EXCLUDED" if excluded else "NOT EXCLUDED"
    numbers = [
        ("observed \u03bc limit", number(document["mu_upper_obs"])),
        ("expected \u03bc limit", number(document["mu_upper_exp"][2])),
        ("CLs at \u03bc = 1", number(document["cls_obs"])),
    ]
    if document.get("sigma_pb") is not None:
        numbers.append((f"\u03c3, pb ({document.get('order') or 'order unknown'})", number(document["sigma_pb"], 4)))
    return h(
        "div",
        h("p", word, h("small", " at 95 % CL, ", expected), class_="word"),
        h("p", what, class_="what"),
        h("ul", [h("li", h("b", shown), h("span", name)) for name, shown in numbers], class_="tiles"),
        gauge(document["mu_upper_obs"], document["mu_upper_exp"]),
        _close(document),
        _corrected(document.get("k_factor")),
        class_=f"verdict {'excluded' if excluded else 'allowed'}",
    )


def _close(document: Mapping[str, Any]) -> Element | None:
    mu, error = document["mu_upper_obs"], document["mu_upper_obs_mc_error"]
    return note("The verdict lies within the MC error: generate more events.") if abs(mu - 1) < mu * error else None


def _corrected(found: Mapping[str, Any] | None) -> Element | None:
    if not found:
        return None
    words = "excluded" if found["excluded"] else "not excluded"
    limits = f"{number(found['mu_upper_obs'])} observed, {number(found['mu_upper_exp'][2])} expected"
    return note(
        f"With K = {number(found['value'])} ({found['name']}, {found['source']}): \u03bc limit {limits}; {words}."
    )


def gauge(observed: float, expected: Sequence[float]) -> Element:
    """The limit on mu on a logarithmic scale: bands, expected, observed, and the line of mu = 1."""
    low = min(observed, expected[0], 1.0) / 1.5
    high = max(observed, expected[4], 1.0) * 1.5

    def x(mu: float) -> str:
        return f"{600 * math.log(mu / low) / math.log(high / low):.1f}"

    def band(kind: str, left: float, right: float) -> Element:
        return h("rect", class_=kind, x=x(left), y="24", width=f"{float(x(right)) - float(x(left)):.1f}", height="18")

    def line(kind: str, mu: float, top: int, bottom: int) -> Element:
        return h("line", class_=kind, x1=x(mu), x2=x(mu), y1=str(top), y2=str(bottom))

    def word(mu: float, y: int, text: str, kind: str | None = None) -> Element:
        place = float(x(mu))
        side = "start" if place < 60 else "end" if place > 540 else "middle"
        return h("text", text, x=x(mu), y=str(y), text_anchor=side, class_=kind)

    label = f"limit on mu: observed {number(observed)}, expected {number(expected[2])}; excluded where it is below 1"
    return h(
        "svg",
        band("two", expected[0], expected[4]),
        band("one", expected[1], expected[3]),
        line("median", expected[2], 24, 42),
        h("line", class_="axis", x1="0", x2="600", y1="48", y2="48"),
        [[line("axis", mu, 48, 53), word(mu, 66, number(mu), "small")] for mu in _round(low, high) if mu != 1],
        line("unit", 1.0, 16, 54),
        word(1.0, 68, "\u03bc = 1"),
        h("circle", class_="observed", cx=x(observed), cy="33", r="6"),
        word(observed, 13, f"observed {number(observed)}"),
        viewBox="0 0 600 74",
        class_="gauge",
        role="img",
        aria_label=label,
    )


def _round(low: float, high: float) -> list[float]:
    """Round numbers for an axis: 1, 2 and 5 of each decade, or only 1 where there are many.

    >>> _round(0.15, 3)
    [0.2, 0.5, 1.0, 2.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{digit}e{n}") for n in decades for digit in ((1, 2, 5) if len(decades) < 4 else (1,))]
    return [each for each in found if low < each < high]


def limit_table(document: Mapping[str, Any]) -> Element:
    """CLs and the limits with their bands."""

    def row(name: str, observed: float | None, bands: Sequence[float] | None) -> list[Child]:
        return [name, number(observed), *(number(each) for each in bands or (None,) * 5)]

    rows = [
        row("CLs (\u03bc = 1)", document["cls_obs"], document["cls_exp"]),
        row("\u03bc upper limit", document["mu_upper_obs"], document["mu_upper_exp"]),
    ]
    if document.get("sigma_upper_obs_pb") is not None:
        rows.append(row("\u03c3 upper limit, pb", document["sigma_upper_obs_pb"], document["sigma_upper_exp_pb"]))
    return table(("", "observed", *BANDS), rows, numeric=range(1, 7))


def closure(found: Sequence[Mapping[str, Any]]) -> Element:
    """Ours beside what was published, with points that have not been run."""
    if not found:
        return note("Nothing was published for this point.")
    of_points = any("parameters" in each for each in found)
    rows = [
        [
            *([f"{each.get('model', '')}: {point(each['parameters'])}"] if of_points else []),
            _QUANTITIES.get(each["quantity"], each["quantity"]),
            number(each["ours"]),
            number(each["published"]),
            number(each["ratio"]),
            _agreement(each),
            each["source"],
        ]
        for each in found
    ]
    head = [*(["point"] if of_points else []), "quantity", "ours", "published", "ratio", "", "source"]
    first = 2 if of_points else 1
    return table(head, rows, numeric=range(first, first + 3))


def _agreement(each: Mapping[str, Any]) -> Element:
    if each["agrees"] is None:
        return mark(None, "not run")
    words = "agrees" if each["agrees"] else "disagrees"
    return mark(each["agrees"], f"{words} (within {percent(each['tolerance'])})")


def uncertainties(document: Mapping[str, Any]) -> Child:
    """What the limit is uncertain by, item by item: as its limit stage says, else what the document holds."""
    found = [dict(each) for each in document.get("uncertainties") or ()]
    if not found:
        found = [
            {"source": "MC statistics, observed", "relative": document["mu_upper_obs_mc_error"], "how": "bootstrap"},
            {"source": "MC statistics, expected", "relative": document["mu_upper_exp_mc_error"], "how": "bootstrap"},
        ]
        if document.get("sigma_pb_mc_error") is not None and document.get("sigma_pb"):
            relative = document["sigma_pb_mc_error"] / document["sigma_pb"]
            found.append({"source": "cross-section, MC", "relative": relative, "how": "generator"})
    rows = [[each["source"], percent(each["relative"]), each["how"]] for each in found]
    bins = f"Correlation model of the bins: {document['correlation_model']}."
    implementation = f" Likelihood: {document['likelihood']}." if document.get("likelihood") else ""
    return [table(("source", "of the \u03bc limit", "how"), rows, numeric=(1,)), note(bins, implementation)]


def validity(found: Sequence[Mapping[str, Any]]) -> Element:
    """What the model assumes, and whether it holds here."""
    if not found:
        return note("The signal has no model that could say where it is valid.")
    return table((), [[mark(each["ok"], each["name"]), each["text"]] for each in found])


def parameters(here: Mapping[str, Any], captured: Mapping[str, Any] | None, what: str) -> Child:
    """Parameters here beside those that the capsule was captured with; what differs stands out."""
    if captured is None:
        return facts((name, h("code", value(each))) for name, each in here.items())
    rows: list[list[Child]] = []
    for name in [*captured, *(name for name in here if name not in captured)]:
        old, new = captured.get(name), here.get(name)
        same = old == new
        shown = h("code", value(new)) if same else h("b", h("code", value(new)))
        rows.append([name, h("code", value(old)), shown, mark(None, "as captured") if same else h("b", "changed")])
    return table((what, "captured", "here", ""), rows)
