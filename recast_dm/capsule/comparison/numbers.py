"""How far two numbers of JSON documents are apart, in the measure of a tolerance. Symmetric; nothing overflows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Number: TypeAlias = "int | float"
"""The numbers of JSON: an int may be larger than any float."""
TINY = math.ulp(0.0)


@dataclass(frozen=True, slots=True)
class Deviation:
    """What was measured, and how much is allowed. `excess` compares deviations with different tolerances."""

    measure: float = 0.0
    bound: float = 0.0

    @property
    def agrees(self) -> bool:
        return self.measure <= self.bound

    @property
    def excess(self) -> tuple[bool, float, float]:
        """Orders deviations: those that are not allowed last, and then by how much of the tolerance they take."""
        share = self.measure / self.bound if self.bound else math.inf if self.measure else 0.0
        return (not self.agrees, share, self.measure)


def deviation(a: Number, b: Number, rtol: float, atol: float) -> Deviation:
    """The relative deviation, or the absolute one where that is further within its tolerance.

    Relative is to the larger of the two. A NaN is equal to a NaN.

    >>> deviation(100, 101, rtol=0.02, atol=0.1)
    Deviation(measure=0.009900990099009901, bound=0.02)
    >>> deviation(1e-9, 0, rtol=0.02, atol=0.1)
    Deviation(measure=1e-09, bound=0.1)
    """
    if a == b or (a != a and b != b):  # noqa: PLR0124  # a NaN; an int may be too large for math.isnan
        return Deviation(0.0, rtol)
    relative = Deviation(_relative(a, b), rtol)
    absolute = Deviation(_absolute(a, b), atol)
    return absolute if atol and absolute.excess < relative.excess else relative


def finite(number: Number) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _relative(a: Number, b: Number) -> float:
    """|a - b| over the larger of |a| and |b|; a and b differ."""
    if not (finite(a) and finite(b)):
        return math.inf
    if isinstance(a, float) and isinstance(b, float):
        scale = max(abs(a), abs(b))
        return abs(a / scale - b / scale)
    x, y = Fraction(a), Fraction(b)
    return float(abs(x - y) / max(abs(x), abs(y))) or TINY


def _absolute(a: Number, b: Number) -> float:
    if not (finite(a) and finite(b)):
        return math.inf
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b)
    try:
        return float(abs(Fraction(a) - Fraction(b))) or TINY
    except OverflowError:
        return math.inf
