"""CLs and upper limits on mu by the asymptotic formulas of arXiv:1007.1727, for the test statistic q-tilde.

q-tilde (its equation 16, with mu-hat >= 0) and its distribution (sections 3.7 and 3.8), used as `pyhf.infer.hypotest`
uses them: the Asimov set is that of the background-only fit to the data, its auxiliary data included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics.likelihood import Array, Data, Fit, Index, Likelihood

N_SIGMA = (-2, -1, 0, 1, 2)
LEVEL = 0.05
"""Upper limits are at 95 % CL."""
PRECISION = 1e-8
"""Relative precision of upper limits."""
NOISE = 1e-6
"""A constrained fit may lie this much below the best one (in -2 ln L) before the fits are distrusted."""
SAME = 1e-9
"""Two fits whose -2 ln L differ by less found the same minimum."""
FAR = 100.0
"""So many standard deviations of a signal are excluded at any level, unless its own errors can hide it."""
SOLVER_STEPS = 100
ROUNDS = 5
"""How often limits may be solved for anew because fits from elsewhere found lower minima."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypotest:
    """CLs at one mu: observed, and for backgrounds -2, -1, 0, +1, +2 standard deviations from the expected one."""

    mu: float
    cls_obs: float
    cls_exp: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperLimits:
    """95 % CL upper limits on mu, observed and expected as in Hypotest."""

    observed: float
    expected: tuple[float, ...]


def log_cls(q: Array, q_asimov: Array) -> Array:
    """ln CLs of q-tilde, given that of the Asimov set.

    >>> np.exp(log_cls(np.array([0.0]), np.array([4.0]))).round(4).tolist()
    [0.5116]
    """
    from scipy.special import log_ndtr

    root = np.sqrt(q_asimov)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(q <= q_asimov, np.sqrt(q) - root, (q - q_asimov) / (2 * root))
    result: Array = log_ndtr(-(t + root)) - log_ndtr(-t)
    return result


def log_cls_expected(q_asimov: Array, n_sigma: Array) -> Array:
    """ln CLs when the background fluctuates by n_sigma standard deviations towards the signal.

    >>> np.exp(log_cls_expected(np.array([1.9599639845400545**2]), np.array([0.0]))).round(4).tolist()
    [0.05]
    """
    from scipy.special import log_ndtr

    result: Array = log_ndtr(n_sigma - np.sqrt(q_asimov)) - log_ndtr(n_sigma)
    return result


def root_q_asimov(n_sigma: Array, level: float = LEVEL) -> Array:
    """The square root of q-tilde of the Asimov set at which an expected CLs is `level`.

    >>> root_q_asimov(np.array([0.0])).round(4).tolist()
    [1.96]
    """
    from scipy.special import ndtr, ndtri

    result: Array = n_sigma - ndtri(level * ndtr(n_sigma))
    return result


class Test:
    """The fits of one likelihood to its data, and to the Asimov set; each is made once."""

    __test__ = False  # not pytest's

    def __init__(self, likelihood: Likelihood, data: Data | None = None) -> None:
        self.likelihood = likelihood
        self.data = likelihood.observed() if data is None else data
        self._best: Fit | None = None
        self._followed: tuple[Index, Fit] | None = None

    @cached_property
    def background(self) -> Fit:
        """The fit to the data without signal: from afresh, or from the best fit where that leads lower."""
        none = np.zeros(1)
        return _lower(self.likelihood.fit(self.data, none), self.likelihood.fit(self.data, none, self.best))

    @property
    def best(self) -> Fit:
        """The fit to the data with the best mu >= 0."""
        if self._best is None:
            self._best = self.likelihood.fit(self.data)
        return self._best

    @cached_property
    def asimov(self) -> Data:
        return self.likelihood.expected(self.background)

    @cached_property
    def sets(self) -> Data:
        """The data, and the Asimov set."""
        return Data(
            main=np.concatenate([self.data.main, self.asimov.main]),
            aux=np.concatenate([self.data.aux, self.asimov.aux]),
        )

    @cached_property
    def _at_truth(self) -> float:
        """-2 ln L of the best fit to the Asimov set: what it was made of fits it best, term by term."""
        return float(self.likelihood.fit(self.asimov, np.zeros(1), self.background).value[0])

    def q(self, mu: Array, which: Index, *starts: Fit) -> tuple[Array, Array, Fit]:
        """q-tilde at each mu for the data (which = 0) or the Asimov set (1), its derivative by mu, and the fits.

        These begin at each of `starts`, and the lowest is taken; without any, they begin afresh.
        """
        data = self.sets.rows(which)
        found = [self.likelihood.fit(data, mu, start) for start in starts]
        fit = reduce(_lower, found) if found else self.fresh(mu, which)
        if self._missed(fit, which):
            self._best = self._deepest(fit, which)
            if self._missed(fit, which):
                raise StatisticsError("a fit did not converge: another one with less freedom is better")
        ratio = fit.value - self._least(which)
        above = mu >= np.array([self.best.mu[0], 0.0])[which]
        return np.where(above, np.maximum(ratio, 0.0), 0.0), np.where(above, fit.slope, 0.0), fit

    def fresh(self, mu: Array, which: Index) -> Fit:
        """Fits that begin afresh; or from those at the limits, where there are any and they lead lower."""
        data = self.sets.rows(which)
        fit = self.likelihood.fit(data, mu)
        if self._followed is None:
            return fit
        sets, followed = self._followed
        distance = np.abs(mu[:, None] - followed.mu) + np.where(which[:, None] == sets, 0.0, np.inf)
        led = self.likelihood.fit(data, mu, followed.rows(distance.argmin(axis=1)))
        return _lower(fit, led)

    def follow(self, which: Index, fits: Fit) -> None:
        """Remembers fits, of the data (0) or the Asimov set (1)."""
        self._followed = which, fits

    def _least(self, which: Index) -> Array:
        least: Array = np.array([self.best.value[0], self._at_truth])[which]
        return least

    def _missed(self, fit: Fit, which: Index) -> bool:
        """Whether a fit at some mu is better than the one that was taken for the best."""
        return bool(np.any(fit.value < self._least(which) - NOISE * (1 + np.abs(fit.value))))

    def _deepest(self, fit: Fit, which: Index) -> Fit:
        """A new best fit to the data, from the best of these."""
        rows = np.flatnonzero(which == 0)
        if not len(rows):
            return self.best
        lowest = rows[[int(np.argmin(fit.value[rows]))]]
        found = self.likelihood.fit(self.data, start=fit.rows(lowest))
        return found if found.value[0] < self.best.value[0] else self.best

    def hypotest(self, mu: float = 1.0) -> Hypotest:
        """CLs at mu, observed and expected. Raises StatisticsError where a fit does not converge."""
        q, _, _ = self.q(np.array([mu, mu]), np.array([0, 1]))
        if not q[1] > 0:
            raise StatisticsError(f"the likelihood does not depend on the signal at mu = {mu:.4g}: CLs has no value")
        expected = log_cls_expected(q[1:], np.array(N_SIGMA, dtype=np.float64))
        return Hypotest(
            mu=mu,
            cls_obs=_probability(log_cls(q[:1], q[1:])[0]),
            cls_exp=tuple(_probability(each) for each in expected),
        )

    def sensitivity(self) -> float:
        """The mu that a signal would need to be one standard deviation, roughly: the Asimov set's, near its q = 4."""
        mu, low, high = 1.0, 0.0, math.inf
        for _ in range(60):
            root = float(np.sqrt(self.q(np.array([mu]), np.array([1]))[0][0]))
            if 0.5 < root < 8:
                return mu / root
            low, high = (mu, high) if root <= 0.5 else (low, mu)
            mu *= min(max(2 / root, 1e-3), 1e3) if root > 0 else 1e3
            if not low < mu < high:  # q need not grow as mu^2: between two that were tried, their geometric mean
                mu = math.sqrt(low * high)
        raise StatisticsError("no limit: the likelihood hardly depends on the signal")

    def upper_limits(self) -> UpperLimits:
        """95 % CL upper limits, to 1e-8 in mu; all six are found together.

        Raises StatisticsError where a fit does not converge or a limit cannot be bracketed.
        """
        targets = root_q_asimov(np.array(N_SIGMA, dtype=np.float64))
        sigma = self.sensitivity()
        guess = sigma * np.concatenate([[max(targets[2], float(self.best.mu[0]) / sigma + 1.7)], targets])
        crossing = _Crossing(self, targets)
        for _ in range(ROUNDS):
            best = self.best
            try:
                guess = solve(crossing, guess)
            except StatisticsError as error:
                raise self._without_limit(FAR * sigma, targets[-1]) or error from None
            if not crossing.deeper(guess) and self.best is best:
                return UpperLimits(observed=float(guess[0]), expected=tuple(float(mu) for mu in guess[1:]))
        raise StatisticsError("no limit: fits keep finding other minima")

    def _without_limit(self, mu: float, wanted: float) -> StatisticsError | None:
        """What to say when even a far stronger signal cannot be told from the background."""
        root = float(np.sqrt(self.q(np.array([mu]), np.array([1]))[0][0]))
        if root >= wanted:
            return None
        return StatisticsError(
            f"no limit: CLs stays above {LEVEL:.0%} however strong the signal is (tried: mu = {mu:.4g})",
            hint="the signal's own errors are so large that they can hide it: more simulated events may help",
        )


def hypotests(likelihood: Likelihood, mu: float = 1.0) -> list[Hypotest]:
    """CLs at mu of many signals at once: of a likelihood whose rows are signals, such as `independent` has.

    Raises StatisticsError where a fit does not converge, of any of them.
    """
    data = likelihood.observed()
    at_zero, at_mu = np.zeros(len(data)), np.full(len(data), mu)
    background, best = likelihood.fit(data, at_zero), likelihood.fit(data)
    asimov = likelihood.expected(background)
    q = np.maximum(likelihood.fit(data, at_mu).value - best.value, 0.0)
    q = np.where(best.mu > mu, 0.0, q)
    q_asimov = likelihood.fit(asimov, at_mu).value - likelihood.fit(asimov, at_zero, background).value
    if not np.all(q_asimov > 0):
        raise StatisticsError(f"the likelihood does not depend on the signal at mu = {mu:.4g}: CLs has no value")
    observed = np.exp(log_cls(q, q_asimov))
    expected = np.exp(log_cls_expected(q_asimov[:, None], np.array(N_SIGMA, dtype=np.float64)))
    return [
        Hypotest(mu=mu, cls_obs=float(one), cls_exp=tuple(five))
        for one, five in zip(observed, expected.tolist(), strict=True)
    ]


class _Crossing:
    """How far ln CLs (observed) and sqrt(q-tilde) (expected) are from their targets, falling and with derivatives."""

    def __init__(self, test: Test, targets: Array) -> None:
        self._test = test
        self._targets = targets
        self._which = np.array([0] + [1] * (1 + len(targets)))
        self._start: Fit | None = None
        self._lowest: Fit | None = None

    def __call__(self, mu: Array) -> tuple[Array, Array]:
        """Fits: the data at the first mu, the Asimov set at all of them.

        They begin at those of the mu before, and at the lowest that were found at an earlier limit: a step to a far mu
        may lose these.
        """
        at = np.concatenate([mu[:1], mu])
        starts = [start for start in (self._start, self._lowest) if start is not None]
        q, slope, self._start = self._test.q(at, self._which, *starts)
        root = np.sqrt(q[1:])
        with np.errstate(divide="ignore", invalid="ignore"):
            root_slope = slope[1:] / (2 * root)
        observed, observed_slope = _observed(q[:2], slope[:2])
        value = np.concatenate([observed, self._targets - root[1:]])
        return value, np.concatenate([observed_slope, -root_slope[1:]])

    def deeper(self, mu: Array) -> bool:
        """Whether fits that begin afresh find lower minima than those that followed mu here; they are kept."""
        _, _, fits = self._test.q(np.concatenate([mu[:1], mu]), self._which)
        before = self._start
        self._start = self._lowest = fits if before is None else _lower(before, fits)
        self._test.follow(self._which, self._start)
        return before is None or bool(np.any(fits.value < before.value - NOISE))


def _lower(one: Fit, other: Fit) -> Fit:
    """Row by row the fit with the lower -2 ln L; the first where they are the same."""
    lower = other.value < one.value - SAME
    pick = {
        name: np.where(
            lower if getattr(one, name).ndim == 1 else lower[:, None], getattr(other, name), getattr(one, name)
        )
        for name in ("mu", "value", "slope", "parameters")
    }
    return Fit(**pick)


def _observed(q: Array, slope: Array) -> tuple[Array, Array]:
    """ln(CLs / 0.05) of the data, and its derivative by mu, from q-tilde of data and Asimov set and theirs."""
    value = log_cls(q[:1], q[1:]) - np.log(LEVEL)
    step = 1e-6 * np.maximum(q, 1e-3)
    ahead = log_cls(q[:1] + step[:1], q[1:]) - log_cls(q[:1], q[1:])
    ahead_asimov = log_cls(q[:1], q[1:] + step[1:]) - log_cls(q[:1], q[1:])
    return value, ahead / step[:1] * slope[:1] + ahead_asimov / step[1:] * slope[1:]


def solve(function: Callable[[Array], tuple[Array, Array]], guess: Array) -> Array:
    """Where falling functions of mu > 0 cross zero: Newton's method, kept in brackets that shrink.

    `function` gives each row's value and derivative. Raises StatisticsError when a row does not converge.

    >>> solve(lambda mu: (3.0 - mu**2, -2 * mu), np.array([1.0])).round(6).tolist()
    [1.732051]
    """
    mu, low, high = guess.copy(), np.zeros_like(guess), np.full_like(guess, np.inf)
    for _ in range(SOLVER_STEPS):
        value, slope = function(mu)
        if not np.all(np.isfinite(value)):
            raise StatisticsError(f"no limit: CLs has no value at mu = {mu[~np.isfinite(value)][0]:.4g}")
        low, high = np.where(value > 0, mu, low), np.where(value > 0, high, mu)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = mu - value / slope
        middle = np.where(np.isfinite(high), (low + np.where(np.isfinite(high), high, 0.0)) / 2, 4 * mu)
        inside = (ahead > low) & (ahead < np.minimum(high, 8 * mu)) & (slope < 0)
        following = np.where(value == 0, mu, np.where(inside, ahead, middle))
        moved = np.abs(following - mu)
        mu = following
        if np.all(moved <= PRECISION * mu):
            return mu
    raise StatisticsError("no limit: the upper limit on mu was not bracketed")


def _probability(log_value: float) -> float:
    value = float(np.exp(log_value))
    if not 0 <= value <= 1 + 1e-9:
        raise StatisticsError(f"CLs is {value}: the fit did not converge")
    return value
