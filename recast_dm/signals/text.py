"""Numbers as text: the same number is always the same word."""

from __future__ import annotations


def shortest(value: float) -> str:
    """The shortest text that reads back as the same number, without a trailing `.0`.

    >>> shortest(2000.0), shortest(0.1), shortest(1e-05), shortest(3)
    ('2000', '0.1', '1e-05', '3')
    """
    return repr(value).removesuffix(".0")


def quantity(value: float, unit: str) -> str:
    """A number with its unit, for people; the unit `1` is not written.

    >>> quantity(2000.0, "GeV"), quantity(0.25, "1")
    ('2000 GeV', '0.25')
    """
    return shortest(value) if unit == "1" else f"{shortest(value)} {unit}"


def close_to(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that was probably meant.

    >>> close_to("m_mde", ("m_med", "m_dm"))
    'm_med'
    """
    from difflib import get_close_matches

    matches = get_close_matches(word, known, n=1)
    return matches[0] if matches else None
