"""Which points to try next: spread out at first, then where the mu = 1 lines are least known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from recast_dm.reinterpret.contour.surrogate import Plane, Surrogate

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    Mask: TypeAlias = npt.NDArray[np.bool_]
else:
    Array = Mask = Any

REACH = 2.5
"""Standard deviations within which a point may still lie on the other side of the line."""


def spread(plane: Plane, candidates: Array, count: int) -> list[int]:
    """Numbers of `count` candidates as far from each other as can be, from the one nearest the middle on."""
    import numpy as np

    where = plane.coordinates(candidates)
    chosen = [int(np.argmin(((where - where.mean(axis=0)) ** 2).sum(axis=1)))]
    distance = ((where - where[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(candidates)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((where - where[chosen[-1]]) ** 2).sum(axis=1))
    return chosen


def reachable(plane: Plane, candidates: Array, covered: Array, uncovered: Array) -> Mask:
    """Which candidates an analysis probably covers: those whose nearest tried point was."""
    import numpy as np

    if not len(uncovered):
        return np.ones(len(candidates), dtype=bool)
    if not len(covered):
        return np.ones(len(candidates), dtype=bool)
    where = plane.coordinates(candidates)
    near: Mask = _nearest(where, plane.coordinates(covered)) <= _nearest(where, plane.coordinates(uncovered))
    return near


def _nearest(where: Array, others: Array) -> Array:
    import numpy as np

    squares = ((where[:, None, :] - others[None, :, :]) ** 2).sum(axis=2)
    nearest: Array = np.min(squares, axis=1)
    return nearest


def next_points(surrogates: Sequence[Surrogate], candidates: Array, free: Mask, count: int) -> list[int]:
    """Numbers of the candidates that tell most about the lines of all surrogates; `free` are those not yet tried.

    A point is worth its standard deviation times the probability density that the line passes there. After each choice
    what lies near it is worth less, as if it had been tried.
    """
    import numpy as np

    worth = np.zeros(len(candidates))
    for surrogate in surrogates:
        mean, deviation = surrogate.predict(candidates)
        distance = np.abs(mean) / np.maximum(deviation, 1e-9)
        worth = np.maximum(worth, np.where(distance < REACH, deviation * np.exp(-0.5 * distance**2), 0.0))
    worth = np.where(free, worth, 0.0)
    where = surrogates[0].plane.coordinates(candidates)
    chosen: list[int] = []
    while len(chosen) < count and worth.max(initial=0.0) > 0:
        best = int(np.argmax(worth))
        chosen.append(best)
        squares = ((where - where[best]) ** 2).sum(axis=1)
        worth = worth * (1 - np.exp(-0.5 * squares / 0.1**2))
    return chosen
