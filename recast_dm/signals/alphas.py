"""The strong coupling: two loops, five flavours at m_Z, thresholds at the quark masses.

d alpha / d ln Q^2 = -(b0 alpha^2 + b1 alpha^3), b0 = (33 - 2 n_f)/(12 pi), b1 = (153 - 19 n_f)/(24 pi^2):
Review of Particle Physics 2022 (PTEP 2022, 083C01), section 9. It is continuous at m_c(m_c), m_b(m_b) and m_t,
which is all the matching that two loops ask for.
"""

from __future__ import annotations

from functools import lru_cache
from math import log, pi

from recast_dm.signals.constants import M_Z, QUARKS

ALPHA_S_MZ = 0.118
"""World average, rounded as the PDF fits do (Review of Particle Physics 2022: .1179 +- .0009)."""

LOWEST = 1.0
"""GeV. Below, perturbation theory fails."""

STEPS = 6
"""Newton's method then has every digit: tests hold the result against the equation."""

_THRESHOLDS = tuple(quark.mass for quark in QUARKS if quark.name in "cbt")


@lru_cache(maxsize=4096)
def alpha_s(scale: float) -> float:
    """alpha_s at a scale in GeV. Raises ValueError below 1 GeV.

    >>> round(alpha_s(M_Z), 6), round(alpha_s(1000.0), 4), round(alpha_s(5.0), 3)
    (0.118, 0.0885, 0.212)
    """
    if scale < LOWEST:
        raise ValueError(f"alpha_s at {scale} GeV is not perturbative")
    value, at = ALPHA_S_MZ, M_Z
    flavours = _flavours(at)
    while flavours != _flavours(scale):
        edge = _THRESHOLDS[flavours - 3] if scale > at else _THRESHOLDS[flavours - 4]
        value, at = _run(value, at, edge, flavours), edge
        flavours += 1 if scale > at else -1
    return _run(value, at, scale, flavours)


def _flavours(scale: float) -> int:
    return 3 + sum(scale > threshold for threshold in _THRESHOLDS)


def _run(value: float, start: float, end: float, flavours: int) -> float:
    """alpha_s at `end`: the implicit solution of the two-loop equation, by Newton's method in 1/alpha_s.

    u/b0 - b1/b0^2 log(u + b1/b0) grows by log(Q^2), with u = 1/alpha_s: nearly a straight line.
    """
    b0, b1 = (33 - 2 * flavours) / (12 * pi), (153 - 19 * flavours) / (24 * pi * pi)
    curl = b1 / b0
    first = 1 / value
    wanted = first - curl * log(first + curl) + b0 * log(end * end / (start * start))
    u = first + b0 * log(end * end / (start * start))
    for _ in range(STEPS):
        u -= (u - curl * log(u + curl) - wanted) / (1 - curl / (u + curl))
    return 1 / u
