"""Where a limit on mu crosses 1 along an axis: the mass up to which a search excludes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Crossing:
    """A place on an axis at which mu_UL = 1, and whether mu_UL rises there (below it, points are excluded)."""

    value: float
    rises: bool


def crossings(values: Sequence[float], mu_upper: Sequence[float]) -> tuple[Crossing, ...]:
    """Where mu_UL = 1 between neighbouring points, by interpolation of log mu_UL. `values` rise.

    >>> crossings([1000.0, 1500.0, 2000.0], [0.1, 0.5, 2.0])
    (Crossing(value=1750.0, rises=True),)
    """
    found = []
    for n in range(len(values) - 1):
        left, right = math.log(mu_upper[n]), math.log(mu_upper[n + 1])
        if (left < 0) != (right < 0):
            part = left / (left - right)
            found.append(Crossing(values[n] + part * (values[n + 1] - values[n]), right > left))
    return tuple(found)


def along(axis: str, points: Iterable[Mapping[str, Any]], *, expected: bool = False) -> tuple[Crossing, ...]:
    """The crossings of the points of a scan document that differ along one axis; those without a limit are left out."""
    rows = sorted(
        (point["parameters"][axis], point["mu_upper_exp"][2] if expected else point["mu_upper_obs"])
        for point in points
        if point["status"] == "done"
    )
    return crossings([value for value, _ in rows], [mu for _, mu in rows])
