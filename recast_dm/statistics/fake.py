"""A likelihood without counts, for tests: one measurement with Gaussian errors, everything in one line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recast_dm.statistics.likelihood import Array, Data, Fit, Parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeLikelihood:
    """x ~ N(mu signal + background + theta, error), theta ~ N(0, systematic): profiled, the errors add in quadrature.

    >>> likelihood = FakeLikelihood(signal=2.0, background=10.0, error=3.0, systematic=4.0, measured=12.0)
    >>> likelihood.fit(likelihood.observed()).mu.tolist()
    [1.0]
    """

    signal: float = 2.0
    background: float = 10.0
    error: float = 1.0
    systematic: float = 0.5
    measured: float = 10.5
    name: str = "fake"
    parameters: tuple[Parameter, ...] = (("theta", 0),)

    def observed(self) -> Data:
        return Data(main=np.array([[self.measured]]), aux=np.zeros((1, 1)))

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        del start  # there is nothing to search
        away = data.main[:, 0] - self.background - data.aux[:, 0]
        at = np.maximum(away / self.signal, 0.0) if mu is None else mu
        rest = away - at * self.signal
        total = self.error**2 + self.systematic**2
        theta = data.aux[:, 0] + rest * self.systematic**2 / total
        return Fit(mu=at, value=rest**2 / total, slope=-2 * rest * self.signal / total, parameters=theta[:, None])

    def expected(self, fit: Fit) -> Data:
        main = fit.mu * self.signal + self.background + fit.parameters[:, 0]
        return Data(main=main[:, None], aux=fit.parameters)

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        expected = self.expected(fit)
        return Data(main=random.normal(expected.main, self.error), aux=random.normal(expected.aux, self.systematic))
