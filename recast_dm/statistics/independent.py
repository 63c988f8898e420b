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
            own[moved[0]], own_names[moved[0]] = shift[moved[0]], name
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


@dataclass(frozen=True, slots=True)
class _Rows:
    """Data sets and the signal of each: (rows, constraints) and twice (rows, bins)."""

    main: Array
    aux: Array
    signal: Array

    def __len__(self) -> int:
        return len(self.main)

    def rows(self, index: Index) -> _Rows:
        return _Rows(self.main[index], self.aux[index], self.signal[index])


class Independent:
    """The likelihood of one signal, or of many at once: `signal` (bins,) or (signals, bins) events at mu = 1.

    With many, row k of every data set and fit is that of signal k. Constraints and parameters: alpha_i of each bin (in
    units of its error), then alpha_0 where there is one.
    """

    name = NAME

    def __init__(self, shape: Shape, signal: Array) -> None:
        self._shape = shape
        self._signal = np.atleast_2d(signal)
        self._has_own = bool(shape.own_names[0])
        self._has_common = shape.common_name is not None
        own = [(name, 0) for name in shape.own_names if name]
        self.parameters: tuple[Parameter, ...] = (*own, *([(shape.common_name, 0)] if shape.common_name else []))

    def observed(self) -> Data:
        count = len(self._signal)
        main = np.broadcast_to(self._shape.bins.observed, (count, len(self._shape.bins.observed)))
        return Data(main=main, aux=np.zeros((count, len(self.parameters))))

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        rows = _Rows(data.main, data.aux, np.broadcast_to(self._signal, data.main.shape))
        begin = start.parameters[:, -1] if start is not None and self._has_common else np.zeros(len(rows))
        if mu is not None:
            return self._at(rows, mu, self._best_common(rows, mu, begin))
        background = self._at(rows, np.zeros(len(rows)), self._best_common(rows, np.zeros(len(rows)), begin))
        index = np.flatnonzero(background.slope < 0)
        if not len(index):
            return background
        return gaussian.merged(background, index, self._free(rows.rows(index), background.parameters[index, -1]))

    def _free(self, rows: _Rows, common: Array) -> Fit:
        """Fits with mu >= 0, from mu = 0 and alpha_0 = `common`."""
        begin = np.zeros((len(rows), 1 + self._has_common))
        if self._has_common:
            begin[:, 1] = common
        lower = np.array([0.0, -math.inf])[: begin.shape[1]]
        box = Box(lower, np.full_like(lower, math.inf))
        found = newton.minimise(self._evaluator(rows, None), begin, self._furthest(rows, None), box)
        return self._at(rows, found[:, 0], found[:, 1] if self._has_common else np.zeros(len(rows)))

    def expected(self, fit: Fit) -> Data:
        return Data(main=self._rates(fit), aux=fit.parameters)

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        return Data(main=random.poisson(self._rates(fit)).astype(np.float64), aux=random.normal(fit.parameters))

    def _rates(self, fit: Fit) -> Array:
        shape = self._shape
        rates = fit.mu[:, None] * self._signal + shape.bins.background
        if self._has_common:
            rates = rates + fit.parameters[:, -1:] * shape.common
        if self._has_own:
            rates = rates + fit.parameters[:, : len(shape.own)] * shape.own
        result: Array = np.maximum(rates, 0.0)
        return result

    def _best_common(self, rows: _Rows, mu: Array, begin: Array) -> Array:
        if not self._has_common:
            return begin
        return newton.minimise(self._evaluator(rows, mu), begin[:, None], self._furthest(rows, mu))[:, 0]

    def _furthest(self, rows: _Rows, mu: Array | None) -> newton.Furthest:
        """With errors in each bin the function exists everywhere; with none, where each rate is positive."""

        def furthest(point: Array, step: Array, index: Index) -> Array:
            if self._has_own:
                return np.ones(len(index))
            part = rows.rows(index)
            by = self._directions(part, mu is None)
            fixed = 0.0 if mu is None else mu[index, None] * part.signal
            rate = self._shape.bins.background + fixed + (point[:, :, None] * by).sum(axis=1)
            return gaussian.fraction(rate, (step[:, :, None] * by).sum(axis=1), part.main)

        return furthest

    def _directions(self, rows: _Rows, with_mu: bool) -> Array:
        """How each fitted number moves the bins (rows, n, bins): mu, where it is fitted, then alpha_0."""
        parts = [rows.signal] if with_mu else []
        if self._has_common:
            parts.append(np.broadcast_to(self._shape.common, rows.signal.shape))
        return np.stack(parts, axis=1)

    def _centre(self, rows: _Rows, mu: Array, common: Array) -> Array:
        """What the bins expect before their own errors (rows, bins)."""
        centre: Array = mu[:, None] * rows.signal + self._shape.bins.background
        return centre + common[:, None] * self._shape.common if self._has_common else centre

    def _profile(self, rows: _Rows, centre: Array) -> tuple[Array, Array, Array, Array]:
        """Of each bin (rows, bins): the best rate; -2 ln L; its first and second derivative by `centre`."""
        own = self._shape.own
        if not self._has_own:
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = 2 * (1 - np.where(rows.main > 0, rows.main / centre, 0.0))
                curvature = np.where(rows.main > 0, 2 * rows.main / centre**2, 0.0)
            return centre, deviance(rows.main, centre), slope, curvature
        variance = own**2
        half = (centre + rows.aux[:, : len(own)] * own - variance) / 2
        root = np.sqrt(half**2 + rows.main * variance)
        # of the two ways to write the larger root, the one that adds: the other loses every digit
        rate = np.where(half >= 0, half + root, rows.main * variance / np.maximum(root - half, 1e-300))
        pull = (rate - 2 * half - variance) / own
        value = deviance(rows.main, rate) + pull**2
        rising = np.where(root > 0, (1 + half / np.maximum(root, 1e-300)) / 2, 0.0)
        return rate, value, -2 * pull / own, 2 / variance * (1 - rising)

    def _evaluator(self, rows: _Rows, mu: Array | None) -> newton.Evaluate:
        """By (mu, alpha_0), by mu alone, or by alpha_0 alone at a given mu."""

        def evaluate(point: Array, index: Index) -> tuple[Array, Array, Array]:
            part = rows.rows(index)
            at = point[:, 0] if mu is None else mu[index]
            _, value, slope, curvature = self._profile(part, self._centre(part, at, point[:, -1]))
            by = self._directions(part, mu is None)
            total = value.sum(axis=1)
            gradient = (slope[:, None, :] * by).sum(axis=2)
            hessian = (curvature[:, None, None, :] * by[:, :, None, :] * by[:, None, :, :]).sum(axis=3)
            if self._has_common:
                pull = point[:, -1] - part.aux[:, -1]
                total = total + pull**2
                gradient[:, -1] += 2 * pull
                hessian[:, -1, -1] += 2
            return total, gradient, hessian

        return evaluate

    def _at(self, rows: _Rows, mu: Array, common: Array) -> Fit:
        centre = self._centre(rows, mu, common)
        rate, value, slope, _ = self._profile(rows, centre)
        parts: list[Array] = []
        total = value.sum(axis=1)
        if self._has_own:
            parts.append((rate - centre) / self._shape.own)
        if self._has_common:
            parts.append(common[:, None])
            total = total + (common - rows.aux[:, -1]) ** 2
        parameters = np.concatenate(parts, axis=1)
        return Fit(mu=mu, value=total, slope=(slope * rows.signal).sum(axis=1), parameters=parameters)
