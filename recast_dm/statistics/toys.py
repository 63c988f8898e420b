"""CLs from toy experiments, and how often an interval covers the truth: what the asymptotic formulas are held to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics.asymptotic import LEVEL, Test
from recast_dm.statistics.likelihood import Array, Data, Fit, Likelihood

CHUNK = 250
"""So many toys are fitted together: more would need memory for as many Hessians."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyTest:
    """CLs of the observed data from toys, and the error that their number leaves on it."""

    mu: float
    cls: float
    error: float
    toys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The fraction of toys with a true mu in which that mu is not excluded, and its binomial error."""

    mu: float
    covered: float
    error: float
    toys: int


def q_tilde(likelihood: Likelihood, data: Data, mu: float, background: Fit) -> Array:
    """q-tilde at mu of each data set (rows,)."""
    start = repeated(background, len(data))
    best = likelihood.fit(data, start=start)
    fixed = likelihood.fit(data, np.full(len(data), mu), best)
    result: Array = np.where(best.mu > mu, 0.0, np.maximum(fixed.value - best.value, 0.0))
    return result


def hypotest(likelihood: Likelihood, mu: float = 1.0, *, toys: int = 2000, seed: int = 0) -> ToyTest:
    """CLs at mu: the fraction of toys with signal that look less signal-like than the data, over that of those without.

    Toys are drawn where the nuisance parameters fit the data best at mu, and at zero, as `pyhf`'s toy calculator does.
    Raises StatisticsError when no toy without signal is as extreme as the data.
    """
    test = Test(likelihood)
    observed = float(test.q(np.array([mu]), np.array([0]))[0][0])
    random = np.random.default_rng(seed)
    tails = []
    for truth in (mu, 0.0):
        at = likelihood.fit(test.data, np.array([truth]), test.background)
        q = _all_q(test, at, mu, toys, random)
        tails.append(float(np.mean(q >= observed)))
    both, background = tails
    if background == 0:
        raise StatisticsError(f"CLs has no value: none of {toys} background toys is as extreme as the data")
    relative = math.sqrt((1 - background) / (background * toys) + ((1 - both) / (both * toys) if both else 0.0))
    error = both / background * relative if both else 1 / (toys * background)
    return ToyTest(mu=mu, cls=both / background, error=error, toys=toys)


def coverage(likelihood: Likelihood, mu: float, *, toys: int = 2000, seed: int = 0) -> Coverage:
    """How often the asymptotic one-sided 95 % interval, CLs+b >= 5 %, holds the true mu.

    (The limits themselves use CLs, which covers more by intent.) Toys are drawn where the nuisance parameters fit the
    data best at that mu. p-values: arXiv:1007.1727, equation 66, with mu^2/sigma^2 from the Asimov set.
    """
    from scipy.special import ndtr

    test = Test(likelihood)
    at = likelihood.fit(test.data, np.array([mu]), test.background)
    q_asimov = float(test.q(np.array([mu]), np.array([1]))[0][0])
    random = np.random.default_rng(seed)
    q = _all_q(test, at, mu, toys, random)
    z = np.where(q <= q_asimov, np.sqrt(q), (q + q_asimov) / (2 * math.sqrt(q_asimov)))
    covered = float(np.mean(ndtr(-z) >= LEVEL))
    return Coverage(mu=mu, covered=covered, error=math.sqrt(covered * (1 - covered) / toys), toys=toys)


def _all_q(test: Test, at: Fit, mu: float, toys: int, random: np.random.Generator) -> Array:
    parts = drawn(test.likelihood, at, toys, random)
    return np.concatenate([q_tilde(test.likelihood, part, mu, test.background) for part in parts])


def drawn(likelihood: Likelihood, at: Fit, toys: int, random: np.random.Generator) -> Iterator[Data]:
    """Toys of one fit, in parts of at most CHUNK."""
    for begin in range(0, toys, CHUNK):
        yield likelihood.sample(repeated(at, min(CHUNK, toys - begin)), random)


def repeated(fit: Fit, rows: int) -> Fit:
    """A fit's first row, so many times."""
    return fit.rows(np.zeros(rows, dtype=np.intp))
