"""HTML that is escaped by construction: a page is a tree of elements and texts, and only `render` makes characters.

There is no way to put in markup as text. Names of elements and attributes are those listed here, addresses lead to
https or to a place in the page, pictures are in the page; there are no scripts, and no attributes for them or styles.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Child: TypeAlias = "Element | str | Iterable[Child] | None"
"""What an element may hold: lists are taken apart, None is nothing."""

VOID = frozenset({"br", "img", "meta", "hr"})
ELEMENTS = VOID | frozenset(
    [
        "html",
        "head",
        "title",
        "body",
        "header",
        "main",
        "footer",
        "nav",
        "section",
        "article",
        "div",
        "p",
        "span",
        "h1",
        "h2",
        "h3",
        "h4",
        "a",
        "b",
        "i",
        "em",
        "strong",
        "small",
        "code",
        "pre",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "figure",
        "figcaption",
        "svg",
        "g",
        "rect",
        "line",
        "path",
        "text",
        "circle",
        "polygon",
        "desc",
    ]
)
ATTRIBUTES = frozenset(
    [
        "class",
        "id",
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "href",
        "src",
        "alt",
        "width",
        "height",
        "scope",
        "colspan",
        "title",
        "open",
        "role",
        "aria-label",
        "aria-labelledby",
        "tabindex",
        "rel",
        "viewBox",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "rx",
        "cx",
        "cy",
        "r",
        "d",
        "points",
        "text-anchor",
        "transform",
        "xmlns",
        "preserveAspectRatio",
    ]
)
_PICTURES = ("data:image/svg+xml;base64,", "data:image/png;base64,")


@dataclass(frozen=True, slots=True)
class Element:
    """An element. Raises ValueError for a name or an address that has no place in a report."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Child, ...] = ()

    def __post_init__(self) -> None:
        if self.tag not in ELEMENTS:
            raise ValueError(f"<{self.tag}> has no place in a report")
        for name, value in self.attributes.items():
            if name not in ATTRIBUTES:
                raise ValueError(f"{name}= has no place in a report")
            if name == "href" and not value.startswith(("https://", "#")):
                raise ValueError(f"a link leads to {value[:40]!r}")
            if name == "src" and not value.startswith(_PICTURES):
                raise ValueError(f"a picture comes from {value[:40]!r}")


@dataclass(frozen=True, slots=True)
class Style:
    """The style sheet of a page: the one text that is not escaped. Ours only; it cannot end its own element."""

    text: str

    def __post_init__(self) -> None:
        if "</" in self.text or "<!" in self.text:
            raise ValueError("a style sheet holds no markup")


def h(tag: str, *children: Child, **attributes: str | None) -> Element:
    """An element. `class_` is class, `http_equiv` is http-equiv; attributes that are None are left out.

    >>> render(h("p", "1 < 2 & ", h("b", "<script>"), class_="note"))
    '<p class="note">1 &lt; 2 &amp; <b>&lt;script&gt;</b></p>'
    """
    named = {_name(name): value for name, value in attributes.items() if value is not None}
    return Element(tag, named, children)


def _name(word: str) -> str:
    word = word.rstrip("_")
    return word.replace("_", "-") if word.startswith(("aria", "http", "text")) else word


def render(child: Child | Style) -> str:
    """Characters of HTML. What is no text for HTML (control characters, half characters) becomes U+FFFD."""
    return "".join(_rendered(child))


def _rendered(child: Child | Style) -> Iterator[str]:
    if child is None:
        return
    if isinstance(child, str):
        yield escaped(child)
    elif isinstance(child, Style):
        yield f"<style>{child.text}</style>"
    elif isinstance(child, Element):
        yield f"<{child.tag}"
        for name, value in child.attributes.items():
            yield f' {name}="{escaped(value)}"'
        yield ">"
        if child.tag not in VOID:
            for each in child.children:
                yield from _rendered(each)
            yield f"</{child.tag}>"
    else:
        for each in child:
            yield from _rendered(each)


def escaped(text: str) -> str:
    """Text as HTML writes it, in elements and in attributes.

    >>> escaped('"<a href=\\'x\\'>]]>\\x00')
    '&quot;&lt;a href=&#x27;x&#x27;&gt;]]&gt;\\ufffd'
    """
    return html.escape("".join(c if _is_text(c) else "\ufffd" for c in text), quote=True)


def _is_text(c: str) -> bool:
    """Whether a character is one that HTML has; those that turn the direction of writing are shown as what they are."""
    code = ord(c)
    if code < 32:
        return c in "\n\t"
    return not (127 <= code < 160 or 0xD800 <= code < 0xE000 or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069)
