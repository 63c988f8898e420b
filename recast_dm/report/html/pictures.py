"""Figures in a page: as SVG, or as PNG where that is the smaller."""

from __future__ import annotations

import base64
from typing import Any

from recast_dm.report.html.elements import Element, h
from recast_dm.report.plots import files

LARGEST_SVG = 300_000
"""Bytes above which a figure is put in as PNG."""


def picture(figure: Any, alt: str, caption: str) -> Element:
    """A matplotlib figure. In the dark its lightness is turned round."""
    data = files.picture(figure, "svg")
    kind = "svg+xml"
    if len(data) > LARGEST_SVG:
        data, kind = files.picture(figure, "png", dpi=110), "png"
    text = h("figcaption", caption) if caption else None
    return h("figure", h("img", src=address(data, kind), alt=alt, class_="plot"), text)


def address(data: bytes, kind: str) -> str:
    """A picture as its own address."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
