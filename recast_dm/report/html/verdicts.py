"""A model's point beside limit curves of other experiments: the verdict, and curve by curve."""

from __future__ import annotations

from recast_dm.curves.verdict import Comparison, Verdict
from recast_dm.engine.history import Run
from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.tables import mark, note, number, percent, point, table


def headline(verdict: Verdict, run: Run | None) -> Element:
    """Excluded or not, by which curve; or why nothing can be said."""
    about = run.about if run else {}
    what = f"{about.get('model') or 'point'}: {point(about.get('parameters') or {'m_dm': verdict.m_dm})}"
    best = verdict.strongest
    if best is None:
        return h(
            "div",
            h("p", "NOT COMPARABLE", class_="word"),
            h("p", verdict.sentence),
            h("p", what),
            class_="verdict open",
        )
    word = "EXCLUDED" if best.excluded else "NOT EXCLUDED"
    numbers = [
        ("model over limit", number(best.ratio)),
        (f"model, {best.unit}", number(best.model)),
        (f"limit of {best.experiment} {best.year}, {best.unit}", number(best.limit)),
    ]
    return h(
        "div",
        h("p", word, h("small", f" at {percent(best.confidence_level)} CL by {best.curve}"), class_="word"),
        h("p", what, class_="what"),
        h("ul", [h("li", h("b", shown), h("span", name)) for name, shown in numbers], class_="tiles"),
        [note(text) for text in verdict.notes],
        class_=f"verdict {'excluded' if best.excluded else 'allowed'}",
    )


def comparisons(verdict: Verdict) -> Child:
    """Every curve: what was compared, and what was not, and why."""
    compared = [each for each in verdict.comparisons if each.ratio is not None]
    rows = [_row(each) for each in compared]
    head = ("curve", "quantity", "model", "limit", "ratio", "", "CL", "source")
    remarks = [note(line) for line in verdict.remarks()]
    return [table(head, rows, numeric=(2, 3, 4, 6)) if rows else None, remarks]


def _row(each: Comparison) -> list[Child]:
    word = "excluded" if each.excluded else "not excluded"
    source = f"{each.citation['text']}{', digitised' if each.digitised else ''}"
    return [
        each.curve,
        f"{' '.join(filter(None, (each.quantity, each.channel)))}, {each.unit}",
        number(each.model),
        number(each.limit),
        number(each.ratio),
        mark(each.excluded if each.used else None, word if each.used else f"{word}, not used"),
        percent(each.confidence_level),
        source,
    ]
