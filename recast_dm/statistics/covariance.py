"""The simplified likelihood: bins whose backgrounds move by Gaussian shifts in any direction.

    n_i ~ Poisson(mu s_i + b_i + theta_i),    theta = sum_k v_k alpha_k,    alpha_k ~ N(0, 1)

so that theta has the covariance V = sum_k v_k v_k^T (arXiv:1809.05548 calls this the simplified likelihood; here
without its quadratic term). -2 ln L is convex in (mu, theta), so that Newton's method finds its only minimum.
Where there is a shift for each bin, theta itself is fitted, with V^-1: its Hessian V^-1 + diag(n / rate^2) costs
nothing to set up.

Two things are other than in pyhf, and only far from any data that such a model describes: nothing bounds alpha (pyhf:
|alpha| < 5), and no rate falls below zero (pyhf lets the rate of a bin without counts be negative).
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

NAME = "covariance"
FEWEST = 1e-9
"""Counts below this are taken as this: ln(rate) then keeps the rate positive, and -2 ln L changes by less than 1e-7."""
WELL_CONDITIONED = 1e10


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`directions` (n, bins): how each fitted parameter moves the bins; `precision` (n, n) constrains it.

    `alphas` (n, shifts) turns fitted parameters into those of the workspace: alpha = fitted @ alphas, and back with
    `fitted` (shifts, n).
    """

    bins: Bins
    names: tuple[str, ...]
    directions: Array
    precision: Array
    alphas: Array
    fitted: Array
    direct: bool

    @property
    def covariance(self) -> Array:
        """That of the backgrounds of the bins, as the workspace implies it."""
        shifts = np.stack(list(self.bins.shifts.values()))
        result: Array = shifts.T @ shifts
        return result


def bind(model: Model) -> Covariance | None:
    """The simplified likelihood, when the workspace is one and the signal has no errors of its own."""
    signal = gaussian.plain_signal(model)
    shape = shape_of(model) if signal is not None else None
    return None if signal is None or shape is None else Covariance(shape, signal)


@per_background
def shape_of(model: Model) -> Shape | None:
    """What the workspace says; None when it is of another kind."""
    bins = gaussian.bins(model)
    if bins is None or not bins.shifts or np.any(bins.background <= 0):
        return None
    names, shifts = tuple(bins.shifts), np.stack(list(bins.shifts.values()))
    count, size = shifts.shape
    direct = count == size and np.linalg.cond(shifts) ** 2 < WELL_CONDITIONED
    if direct:
        inverse = np.linalg.inv(shifts).astype(np.float64)
        return Shape(
            bins=bins,
            names=names,
            directions=np.eye(size),
            precision=inverse @ inverse.T,
            alphas=inverse,
            fitted=shifts,
            direct=True,
        )
    unit = np.eye(count)
    return Shape(bins=bins, names=names, directions=shifts, precision=unit, alphas=unit, fitted=unit, direct=False)


class Covariance:
    """The likelihood of one signal, `signal` (bins,) events at mu = 1. Constraints and parameters: the alphas."""

    name = NAME

    def __init__(self, shape: Shape, signal: Array) -> None:
        self._shape = shape
        self._signal = signal
        self.parameters: tuple[Parameter, ...] = tuple((name, 0) for name in shape.names)

    def observed(self) -> Data:
        return Data(main=self._shape.bins.observed[None, :], aux=np.zeros((1, len(self.parameters))))

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        centre = _times(data.aux, self._shape.fitted)
        begin = centre if start is None else _times(start.parameters, self._shape.fitted)
        if mu is not None:
            return self._fixed(data, mu, centre, begin)
        background = self._fixed(data, np.zeros(len(data)), centre, begin)
        rows = np.flatnonzero(background.slope < 0)
        if not len(rows):
            return background
        part, centre = data.rows(rows), centre[rows]
        begin = np.concatenate([np.zeros((len(rows), 1)), _times(background.parameters[rows], self._shape.fitted)], 1)
        by = np.concatenate([self._signal[None, :], self._shape.directions])
        lower = np.full(len(by), -math.inf)
        lower[0] = 0.0
        base = np.broadcast_to(self._shape.bins.background, part.main.shape)
        problem = _Problem(self._shape, part, base, by, centre)
        box = Box(lower, np.full_like(lower, math.inf))
        found = newton.minimise(problem.evaluate, begin, problem.furthest, box)
        return gaussian.merged(background, rows, self._at(part, found[:, 0], found[:, 1:], centre))

    def expected(self, fit: Fit) -> Data:
        return Data(main=self._rates(fit.mu, _times(fit.parameters, self._shape.fitted)), aux=fit.parameters)

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        rates = np.maximum(self.expected(fit).main, 0.0)
        return Data(main=random.poisson(rates).astype(np.float64), aux=random.normal(fit.parameters))

    def _fixed(self, data: Data, mu: Array, centre: Array, begin: Array) -> Fit:
        base = mu[:, None] * self._signal + self._shape.bins.background
        possible = np.all(base + _times(begin, self._shape.directions) > 0, axis=1, keepdims=True)
        begin = np.where(possible, begin, 0.0)
        problem = _Problem(self._shape, data, base, self._shape.directions, centre)
        return self._at(data, mu, newton.minimise(problem.evaluate, begin, problem.furthest), centre)

    def _rates(self, mu: Array, fitted: Array) -> Array:
        return mu[:, None] * self._signal + self._shape.bins.background + _times(fitted, self._shape.directions)

    def _at(self, data: Data, mu: Array, fitted: Array, centre: Array) -> Fit:
        counts, rates = np.maximum(data.main, FEWEST), self._rates(mu, fitted)
        pull = fitted - centre
        return Fit(
            mu=mu,
            value=deviance(counts, rates).sum(axis=1) + (pull * _times(pull, self._shape.precision)).sum(axis=1),
            slope=(2 * (1 - counts / rates) * self._signal).sum(axis=1),
            parameters=_times(fitted, self._shape.alphas),
        )


class _Problem:
    """-2 ln L by the fitted parameters, and by mu before them where it is one of them: `by` (n, bins)."""

    def __init__(self, shape: Shape, data: Data, base: Array, by: Array, centre: Array) -> None:
        self.counts = np.maximum(data.main, FEWEST)
        self.base, self.by, self.centre = base, by, centre
        self.precision = shape.precision
        self.direct = shape.direct
        self.free = len(by) - len(shape.precision)  # 1 when mu is fitted

    def rates(self, point: Array, rows: Index) -> Array:
        moved = point[:, self.free :] if self.direct else _times(point[:, self.free :], self.by[self.free :])
        if self.free:
            moved = moved + point[:, :1] * self.by[0]
        return self.base[rows] + moved

    def evaluate(self, point: Array, rows: Index) -> tuple[Array, Array, Array]:
        counts, rates, free = self.counts[rows], self.rates(point, rows), self.free
        pull = point[:, free:] - self.centre[rows]
        tension = _times(pull, self.precision)
        value = deviance(counts, rates).sum(axis=1) + (pull * tension).sum(axis=1)
        slope, curvature = 2 * (1 - counts / rates), 2 * counts / rates**2
        size = len(self.by)
        gradient = np.empty((len(rows), size))
        hessian = np.empty((len(rows), size, size))
        inner = hessian[:, free:, free:]
        inner[...] = 2 * self.precision
        if self.direct:
            gradient[:, free:] = slope
            inner[:, np.arange(size - free), np.arange(size - free)] += curvature
        else:
            by = self.by[free:]
            gradient[:, free:] = _times(slope, by.T)
            inner += np.matmul(by * curvature[:, None, :], by.T)
        gradient[:, free:] += 2 * tension
        if free:
            weighted = curvature * self.by[0]
            gradient[:, 0] = (slope * self.by[0]).sum(axis=1)
            hessian[:, 0, 0] = (weighted * self.by[0]).sum(axis=1)
            cross = weighted if self.direct else _times(weighted, self.by[1:].T)
            hessian[:, 0, 1:] = hessian[:, 1:, 0] = cross
        return value, gradient, hessian

    def furthest(self, point: Array, step: Array, rows: Index) -> Array:
        rates = self.rates(point, rows)
        return gaussian.fraction(rates, self.rates(point + step, rows) - rates, self.counts[rows])


def _times(left: Array, right: Array) -> Array:
    """left @ right, row by row: one product for each, so that a row's digits do not depend on the others."""
    product: Array = np.matmul(left[:, None, :], right)[:, 0, :]
    return product
