"""Small questions to a node, each answered by a typed value or by one SpecError with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from recast_dm.errors import SpecError
from recast_dm.spec.problems import Problems
from recast_dm.spec.text import Node

MOST = 1000
"""Characters of a word, and names, that are compared: comparing takes time."""
SHOWN = 30
"""Names that a hint lists."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word most like this one, or all of them.

    >>> did_you_mean("singelstep-stage", ["singlestep-stage", "multistep-stage"])
    "did you mean 'singlestep-stage'?"
    >>> did_you_mean("xyz", ["b", "a"])
    'known here: a, b'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word[:MOST], names[:MOST], n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"known here: {shown}" if names else "there is none here"


def mapping(node: Node, what: str) -> Mapping[str, Node]:
    if not isinstance(node.value, Mapping):
        raise SpecError(f"{what} must be a mapping, not {kind(node)}", where=node.where)
    return node.value


def sequence(node: Node, what: str) -> tuple[Node, ...]:
    if not isinstance(node.value, tuple):
        raise SpecError(f"{what} must be a list, not {kind(node)}", where=node.where)
    return node.value


def text(node: Node, what: str) -> str:
    if not isinstance(node.value, str):
        raise SpecError(f"{what} must be a text, not {kind(node)}", where=node.where, hint="put it in quotes")
    return node.value


def flag(node: Node, what: str) -> bool:
    if not isinstance(node.value, bool):
        raise SpecError(f"{what} must be true or false, not {kind(node)}", where=node.where)
    return node.value


def need(node: Node, key: str, what: str) -> Node:
    entries = mapping(node, what)
    if key not in entries:
        raise SpecError(f"{what} lacks the key {key!r}", where=node.where)
    return entries[key]


def only(node: Node, known: Iterable[str], what: str, problems: Problems | None = None) -> None:
    """Refuses keys that nobody would read; with `problems`, each of them."""
    allowed = set(known)
    for key, value in mapping(node, what).items():
        if key in allowed:
            continue
        error = SpecError(f"{what} has no key {key!r}", where=value.where, hint=did_you_mean(key, allowed))
        if problems is None:
            raise error
        problems.add(error)


def choice(node: Node, known: Iterable[str], what: str) -> str:
    word = text(node, what)
    names = set(known)
    if word not in names:
        raise SpecError(f"unknown {what} {word!r}", where=node.where, hint=did_you_mean(word, names))
    return word


def kind(node: Node) -> str:
    """What a node is, in words.

    >>> from recast_dm.spec.text import parse
    >>> kind(parse("[1]"))
    'a list'
    """
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, tuple) else "a mapping"
