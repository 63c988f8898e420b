"""Where a limit on mu crosses 1 along an axis: the mass up to which a search excludes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Crossing:
    """A place on an axis at which mu_UL = 1, and whether mu_UL rises there (below it, points are excluded)."""

    value: float
    rises: bool


def crossings(points: Sequence[tuple[float, float | None]]) -> tuple[Crossing, ...]:
    """Where mu_UL = 1 between neighbours of points (value, mu_UL) whose values rise, by interpolation of log mu_UL.

    Next to a point without a limit (None) nothing is known.

    >>> crossings([(1000.0, 0.1), (1500.0, 0.5), (2000.0, 2.0), (2500.0, None), (3000.0, 0.5)])
    (Crossing(value=1750.0, rises=True),)
    """
    found = []
    for (x, mu), (to_x, to_mu) in pairwise(points):
        if mu is None or to_mu is None or (mu < 1) == (to_mu < 1):
            continue
        left, right = math.log(mu), math.log(to_mu)
        found.append(Crossing(x + left / (left - right) * (to_x - x), right > left))
    return tuple(found)


def along(axis: str, points: Iterable[Mapping[str, Any]], *, expected: bool = False) -> tuple[Crossing, ...]:
    """The crossings of the points of a scan document that differ along one axis."""
    rows = [(float(point["parameters"][axis]), _limit(point, expected)) for point in points]
    return crossings(sorted(rows, key=lambda row: row[0]))


def _limit(point: Mapping[str, Any], expected: bool) -> float | None:
    if point["status"] != "done":
        return None
    found: float = point["mu_upper_exp"][2] if expected else point["mu_upper_obs"]
    return found
