"""Units that limits are published in."""

from __future__ import annotations

import re
from collections.abc import Mapping

from recast_dm.errors import Location, UsageError

GEV: Mapping[str, float] = {"gev": 1.0, "kev": 1e-6, "mev": 1e-3, "tev": 1e3}
"""Masses, in GeV."""
BARN = 1e-24
"""cm2."""
CM2: Mapping[str, float] = {
    "cm2": 1.0,
    "m2": 1e4,
    "b": BARN,
    **{f"{prefix}b": BARN * 10.0**-power for prefix, power in zip("mnpfazy", (3, 9, 12, 15, 18, 21, 24), strict=True)},
}
"""Cross-sections, in cm2."""
CM3_PER_S: Mapping[str, float] = {"cm3/s": 1.0, "cm3s-1": 1.0, "m3/s": 1e6, "m3s-1": 1e6}
"""Velocity-averaged cross-sections of annihilation, in cm3/s."""


def factor(unit: str, known: Mapping[str, float], where: Location | None = None) -> float:
    """What a number in a unit, however it is spelt, is multiplied with. Raises UsageError for an unknown one.

    >>> factor("TeV", GEV), factor("$cm^{3}s^{-1}$", CM3_PER_S), f"{factor('pb', CM2):.3g}"
    (1000.0, 1.0, '1e-36')
    """
    plain = re.sub(r"\\(mathrm|text|rm)\b|\*\*|[\s$^{}\\,.*]", "", unit).lower()
    if plain not in known:
        raise UsageError(f"the unit {unit!r} is not known here", where=where, hint=f"known: {', '.join(known)}")
    return known[plain]


def in_head(head: str) -> tuple[str, str | None]:
    """The name and the unit in the head of a column.

    >>> in_head("M(CHI) [GEV]"), in_head("limit (cm^2)"), in_head("mass")
    (('M(CHI)', 'GEV'), ('limit', 'cm^2'), ('mass', None))
    """
    found = re.fullmatch(r"(.*?)\s*(?:\[([^\[\]]+)\]|\s\(([^()]+)\))\s*", head)
    return (found[1], found[2] or found[3]) if found else (head.strip(), None)
