"""Tables, numbers and notes as elements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from recast_dm.report.html.elements import Child, Element, h

LONGEST = 400
"""Characters of a value that is shown whole."""
WORDY = 24
"""Characters above which a cell is given room for a sentence."""


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], *, numeric: Sequence[int] = ()) -> Element:
    """A table that scrolls by itself where the page is narrow; `numeric` columns are set right."""

    def cell(tag: str, n: int, value: Child) -> Element:
        scope = "col" if tag == "th" else None
        long = isinstance(value, str) and len(value) > WORDY and tag == "td"
        return h(tag, value, scope=scope, class_="n" if n in numeric else "long" if long else None)

    lines = [h("tr", [cell("td", n, value) for n, value in enumerate(row)]) for row in rows]
    top = h("thead", h("tr", [cell("th", n, value) for n, value in enumerate(head)])) if head else None
    return h("div", h("table", top, h("tbody", lines)), class_="wide", tabindex="0", role="group", aria_label="table")


def facts(rows: Iterable[tuple[str, Child]]) -> Element:
    """Names and what they stand for."""
    return h("dl", [[h("dt", name), h("dd", value)] for name, value in rows], class_="facts")


def section(ident: str, title: str, *children: Child) -> Element:
    return h("section", h("h2", title), children, id=ident)


def note(*text: Child, kind: str = "note") -> Element:
    return h("p", text, class_=kind)


def mark(good: bool | None, text: str) -> Element:
    """A word with a colour and a sign, so that the colour is not all there is."""
    kind, sign = {True: ("good", "\u2713 "), False: ("bad", "\u2717 "), None: ("dim", "")}[good]
    return h("span", sign, text, class_=f"mark {kind}")


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many digits, powers of ten as people write them; a dash for what is not there.

    >>> number(0.35618), number(1e-12)
    ('0.356', '10⁻¹²')
    """
    if value is None:
        return "\u2013"
    text = f"{value:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    power = str(int(exponent)).translate(_RAISED)
    return f"10{power}" if mantissa == "1" else f"{mantissa} \u00d7 10{power}"


_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def percent(share: float | None, digits: int = 2) -> str:
    return "\u2013" if share is None else f"{100 * share:.{digits}g} %"


def value(of: Any) -> str:
    """A JSON value as text, its end left out where it is long.

    >>> value(1000.0), value("a"), value([1, 2])
    ('1000', 'a', '[1, 2]')
    """
    if isinstance(of, bool) or of is None or isinstance(of, (list, dict)):
        text = json.dumps(of, ensure_ascii=False)
    else:
        text = f"{of:.10g}" if isinstance(of, float) else str(of)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} \u2026 ({len(text)} characters)"


def point(parameters: dict[str, Any] | None) -> str:
    """`m_med = 2000, m_dm = 1`."""
    return ", ".join(f"{name} = {value(each)}" for name, each in (parameters or {}).items())
