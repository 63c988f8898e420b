"""Newton's method for many small problems at once: each row stops when it is done, and no row sees another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics.likelihood import Array, Index, Mask

STEPS = 200
HALVINGS = 60
DECREMENT = 1e-13
"""A row is done when a full step would lower -2 ln L by less than this, relative to 1 + |-2 ln L|."""
STALLED = 1e-9
"""The same, when the last step has not lowered it by more than NOISE."""
NOISE = 1e-12
"""What rounding may add to -2 ln L at a step, relative to 1 + |-2 ln L|."""

Evaluate = Callable[[Array, Index], tuple[Array, Array, Array]]
"""Points (rows, n) and the indices of their rows -> values (rows,), gradients (rows, n), Hessians (rows, n, n).

A value of infinity says that the function does not exist there."""
Furthest = Callable[[Array, Array, Index], Array]
"""Points, steps, row indices -> the largest fraction (at most 1) of each step that stays where the function exists."""


def anywhere(point: Array, _step: Array, _rows: Index) -> Array:
    """A `Furthest` for functions that exist everywhere, or say by infinity that they do not."""
    return np.ones(len(point))


@dataclass(frozen=True, slots=True)
class Box:
    """Bounds of each parameter (n,)."""

    lower: Array
    upper: Array

    def held(self, point: Array, gradient: Array) -> Mask:
        """Which parameters are at a bound that they want to leave."""
        held: Mask = ((point <= self.lower) & (gradient > 0)) | ((point >= self.upper) & (gradient < 0))
        return held


def minimise(evaluate: Evaluate, start: Array, furthest: Furthest = anywhere, box: Box | None = None) -> Array:
    """Where each row's function is least; `start` (rows, n) must lie where it exists.

    Raises StatisticsError when a row does not converge.

    >>> quadratic = lambda x, rows: ((x**2).sum(axis=1), 2 * x, np.broadcast_to(2 * np.eye(2), (len(x), 2, 2)))
    >>> minimise(quadratic, np.array([[3.0, 4.0]])).tolist()
    [[0.0, 0.0]]
    >>> minimise(quadratic, np.array([[3.0, 4.0]]), box=Box(np.array([1.0, -9.0]), np.array([9.0, 9.0]))).tolist()
    [[1.0, 0.0]]
    """
    point = start.copy()
    rows = np.arange(len(point))
    now = evaluate(point, rows)
    if not np.all(np.isfinite(now[0])):
        raise StatisticsError("a fit did not converge: the likelihood has no value where it begins")
    gained = np.full(len(point), np.inf)
    for _ in range(STEPS):
        step, decrement = direction(point[rows], now, box)
        scale = 1 + np.abs(now[0])
        still = (decrement <= STALLED * scale) & (gained <= NOISE * scale)  # rounding is all that is left
        going = ~((decrement <= DECREMENT * scale) | still)
        if not going.any():
            return point
        rows, step = rows[going], step[going]
        now = now[0][going], now[1][going], now[2][going]
        before = now[0]
        point[rows], now = _advanced(evaluate, furthest, point[rows], rows, step, now, box)
        gained = before - now[0]
    raise StatisticsError("a fit did not converge", hint=f"Newton's method took {STEPS} steps and was not done")


def direction(point: Array, at: tuple[Array, Array, Array], box: Box | None) -> tuple[Array, Array]:
    """Newton's step, and how much it would lower a quadratic function. Parameters held at their bounds stay there."""
    _, gradient, hessian = at
    if box is not None:
        held = box.held(point, gradient)
        if held.any():
            gradient = np.where(held, 0.0, gradient)
            hessian = np.where(held[:, :, None] | held[:, None, :], np.eye(point.shape[1]), hessian)
    try:
        np.linalg.cholesky(hessian)
        step = _upwards(gradient, hessian)
    except np.linalg.LinAlgError:
        step = np.stack([_turned(*row) for row in zip(gradient, hessian, strict=True)])
    return step, -0.5 * (gradient * step).sum(axis=1)


def _upwards(gradient: Array, hessian: Array) -> Array:
    """Newton's steps (rows, n) on functions that bend upwards."""
    steps: Array = -np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0].astype(np.float64, copy=False)
    return steps


def _turned(gradient: Array, hessian: Array) -> Array:
    """The step (n,) of one row, on the function bent upwards only if it bends downwards: whatever other rows do."""
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        return _descent(gradient, hessian)
    step: Array = _upwards(gradient[None], hessian[None])[0]
    return step


def _descent(gradient: Array, hessian: Array) -> Array:
    """Newton's step on the function bent upwards where it bends downwards."""
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(hessian)), 1e-12))
    try:
        values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        raise StatisticsError("a fit did not converge: its second derivatives are not finite") from None
    along = vectors.T @ (gradient / scale) / np.maximum(np.abs(values), 1e-9)
    result: Array = -(vectors @ along) / scale
    return result


def _advanced(
    evaluate: Evaluate,
    furthest: Furthest,
    point: Array,
    rows: Index,
    step: Array,
    before: tuple[Array, Array, Array],
    box: Box | None,
) -> tuple[Array, tuple[Array, Array, Array]]:
    """The points after their steps, each step halved until its function falls, and what the function is there."""
    fraction = furthest(point, step, rows)
    for _ in range(HALVINGS):
        there: Array = point + fraction[:, None] * step
        if box is not None:
            there = np.minimum(np.maximum(there, box.lower), box.upper)
        found = evaluate(there, rows)
        promised = (before[1] * (there - point)).sum(axis=1)
        wanted = before[0] + 1e-4 * np.minimum(promised, 0.0) + NOISE * (1 + np.abs(before[0]))
        worse = ~(found[0] <= wanted)
        if not worse.any():
            return there, found
        fraction = np.where(worse, fraction / 2, fraction)
    raise StatisticsError("a fit did not converge: no step makes it better")
