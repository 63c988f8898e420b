"""How the parameters of signal models are written on axes and in legends."""

from __future__ import annotations

from collections.abc import Mapping

_SYMBOLS = {
    "m_med": r"$m_\mathrm{med}$",
    "m_dm": r"$m_\mathrm{DM}$",
    "g_q": r"$g_q$",
    "g_dm": r"$g_\mathrm{DM}$",
    "g_l": r"$g_\ell$",
    "m_d": r"$M_D$",
    "n": r"$n$",
    "br_inv": r"$\mathcal{B}_\mathrm{inv}$",
}
_MASSES = ("m_med", "m_dm", "m_d")
COUPLINGS = ("g_q", "g_dm", "g_l")
LONGEST = 48
"""Characters of a name in a picture: longer ones would leave no room for what is drawn."""


def plain(text: str, longest: int = LONGEST) -> str:
    """Text that matplotlib sets as it is: no mathematics, no characters that no font has, none that is too long.

    >>> plain("a$b_c$"), plain("two\\nlines")
    ('a\\\\$b_c\\\\$', 'two lines')
    """
    shown = text if len(text) <= longest else f"{text[: longest - 1]}\u2026"
    return "".join(c if c.isprintable() else " " for c in shown).replace("$", r"\$")


def symbol(name: str) -> str:
    """A parameter's symbol.

    >>> symbol("m_dm"), symbol("other")
    ('$m_\\\\mathrm{DM}$', 'other')
    """
    return _SYMBOLS.get(name, plain(name))


def unit(name: str) -> str:
    """GeV for a mass, nothing for a number."""
    return "GeV" if name in _MASSES else ""


def axis(name: str) -> str:
    return f"{symbol(name)} [{unit(name)}]" if unit(name) else symbol(name)


def value(name: str, number: float) -> str:
    """`m_DM = 1 GeV`, with its symbol."""
    return f"{symbol(name)} = {number:g}{' ' + unit(name) if unit(name) else ''}"


def values(parameters: Mapping[str, float]) -> str:
    return ", ".join(value(name, number) for name, number in parameters.items())
