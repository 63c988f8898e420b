"""Independent bins, or bins with one shift in common, in closed form.

Bin i of the background-only workspace expects

    b_i + d_i alpha_i + c_i alpha_0,    alpha ~ N(0, 1),

with errors d_i of its own and, where the bins are correlated, one shift c_i alpha_0 that all have in common: `histosys`
modifiers with symmetric variations, for which pyhf's interpolation is exactly linear. The signal has no errors (one
that has is for `histfactory`). Given mu and alpha_0, the best rate of a bin solves a quadratic equation; what is left
is a minimisation over at most two numbers, of a convex function whose derivatives are known.

Two things are other than in pyhf, and only far from any data that such a model describes: nothing bounds alpha (pyhf:
|alpha| < 5), and no rate is below zero (pyhf lets the rate of a bin without counts be negative).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recast_dm.statistics import gaussian, newton
from recast_dm.statistics.gaussian import Bins
from recast_dm.statistics.likelihood import Array, Data, Fit, Index, Parameter
from recast_dm.statistics.newton import Box
from recast_dm.statistics.poisson import deviance
from recast_dm.statistics.workspace import Model, per_background

NAME = "independent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the workspace says: `own` errors d and the `common` shift c (zero where there is none), per bin."""

    bins: Bins
    own: Array
    common: Array
    own_names: tuple[str, ...]
    common_name: str | None


def bind(model: Model) -> Independent | None:
    """The closed form, when the workspace is of this kind and the signal has no errors of its own."""
    signal = gaussian.plain_signal(model)
    shape = shape_of(model) if signal is not None else None
    return None if signal is None or shape is None else Independent(shape, signal)


@per_background
def shape_of(model: Model) -> Shape | None:
    """Which shifts move one bin alone, and which all; None when the workspace is of another kind."""
    bins = gaussian.bins(model)
    if bins is None or not bins.shifts:
        return None
    count = len(bins.background)
    own, own_names = np.zeros(count), [""] * count
    common: Array | None = None
    common_name = None
    for name, shift in bins.shifts.items():
        moved = np.flatnonzero(shift)
        if len(moved) == 1 and not own_names[moved[0]]:
            own[moved[0]], own_names[moved[0]] = abs(shift[moved[0]]), name
        elif common is None and len(moved):
            common, common_name = shift, name
        else:
            return None
    if not all(own_names) and any(own_names):
        return None
    return Shape(
        bins=bins,
        own=own,
        common=np.zeros(count) if common is None else common,
        own_names=tuple(own_names),
        common_name=common_name,
    )


class Independent:
    """The likelihood of one signal, `signal` (bins,) events at mu = 1.

    Constraints and parameters: alpha_i of each bin (in units of its error), then alpha_0 where there is one.
    """

    name = NAME

    def __init__(self, shape: Shape, signal: Array) -> None:
        self._shape = shape
        self._signal = signal
        self._has_own = bool(shape.own_names[0])
        self._directions = np.stack([signal, shape.common] if shape.common_name else [signal])
        own = [(name, 0) for name in shape.own_names if name]
        self.parameters: tuple[Parameter, ...] = (*own, *([(shape.common_name, 0)] if shape.common_name else []))

    def observed(self) -> Data:
        return Data(main=self._shape.bins.observed[None, :], aux=np.zeros((1, len(self.parameters))))

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        begin = np.zeros(len(data)) if start is None or not self._shape.common_name else start.parameters[:, -1]
        if mu is not None:
            return self._at(data, mu, self._best_common(data, mu, begin))
        background = self._at(data, np.zeros(len(data)), self._best_common(data, np.zeros(len(data)), begin))
        rising = background.slope < 0
        if not rising.any():
            return background
        rows = np.flatnonzero(rising)
        part = data.rows(rows)
        begin = np.zeros((len(rows), len(self._directions)))
        begin[:, 1:] = background.parameters[rows, -1:][:, : begin.shape[1] - 1]
        lower = np.array([0.0, -math.inf])[: begin.shape[1]]
        box = Box(lower, np.full_like(lower, math.inf))
        found = newton.minimise(self._evaluator(part, None), begin, self._furthest(part, None), box)
        common = found[:, 1] if self._shape.common_name else np.zeros(len(rows))
        return gaussian.merged(background, rows, self._at(part, found[:, 0], common))

    def expected(self, fit: Fit) -> Data:
        return Data(main=self._rates(fit), aux=fit.parameters)

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        return Data(main=random.poisson(self._rates(fit)).astype(np.float64), aux=random.normal(fit.parameters))

    def _rates(self, fit: Fit) -> Array:
        shape = self._shape
        rates = fit.mu[:, None] * self._signal + shape.bins.background
        if shape.common_name:
            rates = rates + fit.parameters[:, -1:] * shape.common
        if self._has_own:
            rates = rates + fit.parameters[:, : len(shape.own)] * shape.own
        result: Array = np.maximum(rates, 0.0)
        return result

    def _best_common(self, data: Data, mu: Array, begin: Array) -> Array:
        if not self._shape.common_name:
            return np.zeros(len(data))
        return newton.minimise(self._evaluator(data, mu), begin[:, None], self._furthest(data, mu))[:, 0]

    def _furthest(self, data: Data, mu: Array | None) -> newton.Furthest:
        """With errors in each bin the function exists everywhere; with none, where each rate is positive."""

        def furthest(point: Array, step: Array, rows: Index) -> Array:
            if self._has_own:
                return np.ones(len(rows))
            by = self._directions if mu is None else self._directions[1:]
            fixed = 0.0 if mu is None else mu[rows, None] * self._signal
            rate = self._shape.bins.background + fixed + _along(point, by)
            return gaussian.fraction(rate, _along(step, by), data.main[rows])

        return furthest

    def _profile(self, data: Data, mu: Array, common: Array) -> tuple[Array, Array, Array, Array]:
        """Of each bin (rows, bins): the best rate; -2 ln L; its first and second derivative by what the bin expects."""
        shape = self._shape
        centre = mu[:, None] * self._signal + shape.bins.background + common[:, None] * shape.common
        if not self._has_own:
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = 2 * (1 - np.where(data.main > 0, data.main / centre, 0.0))
                curvature = np.where(data.main > 0, 2 * data.main / centre**2, 0.0)
            return centre, deviance(data.main, centre), slope, curvature
        variance = shape.own**2
        centre = centre + data.aux[:, : len(shape.own)] * shape.own
        half = (centre - variance) / 2
        root = np.sqrt(half**2 + data.main * variance)
        # of the two ways to write the larger root, the one that adds: the other loses every digit
        rate = np.where(half >= 0, half + root, data.main * variance / np.maximum(root - half, 1e-300))
        pull = (rate - centre) / shape.own
        value = deviance(data.main, rate) + pull**2
        rising = np.where(root > 0, (1 + half / np.maximum(root, 1e-300)) / 2, 0.0)
        return rate, value, -2 * pull / shape.own, 2 / variance * (1 - rising)

    def _evaluator(self, data: Data, mu: Array | None) -> newton.Evaluate:
        """By (mu, alpha_0), by mu alone, or by alpha_0 alone at a given mu."""
        shape = self._shape
        by = self._directions if mu is None else self._directions[1:]  # (n, bins)

        def evaluate(point: Array, rows: Index) -> tuple[Array, Array, Array]:
            part = data.rows(rows)
            at = point[:, 0] if mu is None else mu[rows]
            common = point[:, -1] if shape.common_name else np.zeros(len(rows))
            _, value, slope, curvature = self._profile(part, at, common)
            total = value.sum(axis=1)
            gradient = (slope[:, None, :] * by).sum(axis=2)
            hessian = (curvature[:, None, None, :] * (by[:, None, :] * by)).sum(axis=3)
            if shape.common_name:
                pull = common - data.aux[rows, -1]
                total = total + pull**2
                gradient[:, -1] += 2 * pull
                hessian[:, -1, -1] += 2
            return total, gradient, hessian

        return evaluate

    def _at(self, data: Data, mu: Array, common: Array) -> Fit:
        shape = self._shape
        rate, value, slope, _ = self._profile(data, mu, common)
        parts: list[Array] = []
        total = value.sum(axis=1)
        if self._has_own:
            parts.append(
                (rate - mu[:, None] * self._signal - shape.bins.background - common[:, None] * shape.common) / shape.own
            )
        if shape.common_name:
            parts.append(common[:, None])
            total = total + (common - data.aux[:, -1]) ** 2
        parameters = np.concatenate(parts, axis=1)
        return Fit(mu=mu, value=total, slope=(slope * self._signal).sum(axis=1), parameters=parameters)


def _along(point: Array, directions: Array) -> Array:
    """The shift of each bin (rows, bins); one sum a row, so that a row's digits do not depend on the others."""
    shift: Array = (point[:, :, None] * directions).sum(axis=1)
    return shift
