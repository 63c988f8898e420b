"""Words for Pythia with `{name}` for the value of a parameter: each value is put in as one literal number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from recast_dm.signals.point import Point
from recast_dm.signals.text import shortest

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
WORD = re.compile(r"[A-Za-z0-9_./:,+@%-]+=[A-Za-z0-9_./:,+@%-]+")


def names(word: str) -> tuple[str, ...]:
    """The parameters that a word wants.

    >>> names("32:m0={m_med}")
    ('m_med',)
    """
    return tuple(PLACEHOLDER.findall(word))


def is_word(word: str) -> bool:
    """Whether it is `key=value` once its placeholders are filled.

    >>> is_word("32:m0={m_med}"), is_word("32:m0={M}"), is_word("32:m0")
    (True, False, False)
    """
    return WORD.fullmatch(PLACEHOLDER.sub("1", word)) is not None


def filled(words: Iterable[str], point: Point) -> list[str]:
    """The words with a point's values.

    >>> filled(["32:m0={m_med}"], Point("m", (("m_med", 500.0),)))
    ['32:m0=500']
    """
    return [PLACEHOLDER.sub(lambda match: shortest(point[match[1]]), word) for word in words]
