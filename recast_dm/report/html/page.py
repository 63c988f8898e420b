"""The page around a report: its head, the style sheet, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from recast_dm.report.html.elements import Child, Style, h, render

LARGEST = 5_000_000
"""Bytes of a report."""


@cache
def style() -> str:
    return (files("recast_dm.report.html") / "style.css").read_text(encoding="utf-8")


def policy() -> str:
    """The content security policy: no requests at all, our style sheet by its hash, pictures that are in the page."""
    found = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{found}'; img-src data:; base-uri 'none'; form-action 'none'"


def page(title: str, body: Child) -> str:
    """A whole page, complete in itself."""
    # The policy stands before everything that it governs.
    head = [
        h("meta", charset="utf-8"),
        h("meta", http_equiv="Content-Security-Policy", content=policy()),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("meta", name="referrer", content="no-referrer"),
        h("meta", name="generator", content="recast-dm"),
        h("title", title),
    ]
    inside = "".join(map(render, head)) + render(Style(style()))
    whole = render(h("body", h("div", body, class_="rdm"), class_="rdm-page"))
    return f'<!doctype html>\n<html lang="en"><head>{inside}</head>{whole}</html>\n'


def part(body: Child) -> str:
    """A piece for a notebook: the same style sheet, which holds for what is within class `rdm` only."""
    return render(Style(style())) + render(h("div", body, class_="rdm"))
