"""The profile likelihood in closed form, for many signals at once: what the bootstrap can afford.

With the background's errors as in `workspace` and no error on the signal, the best background of a bin at given mu
solves a quadratic equation, and the common shift of correlated bins is one bounded minimisation. Signals are rows of
an array, and everything works on all rows together. Not pyhf: tests hold it to pyhf's numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
GOLDEN = (np.sqrt(5) - 1) / 2
STEPS = 60
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Bins with observed counts, background and its error; `rho` is the correlation between any two bins."""

    observed: Array
    background: Array
    error: Array
    rho: float


def minimise(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where a unimodal function of each row is least, by golden section.

    >>> minimise(lambda x: (x - np.array([0.25, 2.0])) ** 2, np.zeros(2), np.full(2, 1.0)).round(6).tolist()
    [0.25, 1.0]
    """
    a, b = low.copy(), high.copy()
    for _ in range(STEPS):
        width = GOLDEN * (b - a)
        left, right = b - width, a + width
        smaller = function(left) < function(right)
        b, a = np.where(smaller, right, b), np.where(smaller, a, left)
    return (a + b) / 2


def profiled(model: Counting, data: Array, aux: Array, signal: Array) -> tuple[Array, Array]:
    """-2 ln L, up to a constant, and the best backgrounds, for the expected signal events in each row of `signal`."""
    spread = model.error * np.sqrt(1 - model.rho)
    shared = model.error * np.sqrt(model.rho)

    def at(alpha: Array) -> tuple[Array, Array]:
        centre = aux + alpha[:, None] * shared
        if model.rho == 1:
            background = np.maximum(centre, 1e-9)
            pull = np.zeros_like(background)
        else:
            variance = spread**2
            half = (centre - variance + signal) / 2
            total = half + np.sqrt(half**2 + data * variance)
            background = total - signal
            pull = (background - centre) / spread
        expected = signal + background
        value = 2 * (expected - data * np.log(expected)) + pull**2
        return value.sum(axis=1) + alpha**2, background

    rows = np.zeros(len(signal))
    if model.rho == 0:
        return at(rows)
    return at(minimise(lambda alpha: at(alpha)[0], rows - 6, rows + 6))


def upper_limits(model: Counting, signals: Array) -> tuple[Array, Array]:
    """Observed and median expected 95 % CLs upper limits on mu for each row of `signals` (events per bin).

    The asymptotic q-tilde of arXiv:1007.1727, as in `limit`.
    """
    rows = np.zeros(len(signals))
    _, asimov = profiled(model, model.observed, model.background, np.zeros((1, signals.shape[1])))
    sets = {"data": (model.observed, model.background), "asimov": (asimov[0], asimov[0])}
    scale = 20 / np.sqrt((signals**2 / (model.background + model.error**2)).sum(axis=1))
    best = {}
    for name, (data, aux) in sets.items():
        mu = minimise(lambda m, d=data, x=aux: profiled(model, d, x, m[:, None] * signals)[0], rows, scale)  # type: ignore[misc]
        at_best = profiled(model, data, aux, mu[:, None] * signals)[0]
        at_zero = profiled(model, data, aux, 0 * signals)[0]
        best[name] = np.where(at_zero < at_best, 0.0, mu), np.minimum(at_zero, at_best)

    def q(name: str, mu: Array) -> Array:
        data, aux = sets[name]
        found, least = best[name]
        value = profiled(model, data, aux, mu[:, None] * signals)[0] - least
        return np.where(found > mu, 0.0, np.maximum(value, 0.0))

    def observed(mu: Array) -> Array:
        return _log_cls(q("data", mu), q("asimov", mu))

    def expected(mu: Array) -> Array:
        q_asimov = q("asimov", mu)
        return _log_cls(q_asimov, q_asimov)

    return _crossing(observed, scale), _crossing(expected, scale)


def _log_cls(q: Array, q_asimov: Array) -> Array:
    from scipy.stats import norm

    root = np.sqrt(q_asimov)
    t = np.where(q <= q_asimov, np.sqrt(q) - root, (q - q_asimov) / np.maximum(2 * root, 1e-12))
    log_cls: Array = norm.logsf(t + root) - norm.logsf(t)
    return log_cls


def _crossing(log_cls: Callable[[Array], Array], high: Array) -> Array:
    """Where each row's CLs falls to 5 %, by bisection."""
    low, top = np.zeros_like(high), high.copy()
    for _ in range(50):
        middle = (low + top) / 2
        above = log_cls(middle) > np.log(LEVEL)
        low, top = np.where(above, middle, low), np.where(above, top, middle)
    return (low + top) / 2
