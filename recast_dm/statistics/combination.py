"""Several analyses together: the product of their likelihoods, with mu in common and nothing else.

That they are uncorrelated, in their data and in their nuisance parameters, is an assumption that the caller names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recast_dm.errors import StatisticsError, UsageError
from recast_dm.statistics.likelihood import Array, Data, Fit, Likelihood, Parameter

STEPS = 200
PRECISION = 1e-11
"""The best mu is found when it could be better by less than this in -2 ln L."""
ASSUMPTION = "uncorrelated: the product of the likelihoods, with mu in common and nothing else"


class Product:
    """The likelihood of independent analyses, by name; parameters are those of each, named `<analysis>/<parameter>`."""

    name = "combination"

    def __init__(self, parts: Mapping[str, Likelihood]) -> None:
        if len(parts) < 2:
            raise UsageError("a combination needs two analyses or more")
        self._parts = tuple(parts.values())
        self.parameters: tuple[Parameter, ...] = tuple(
            (f"{analysis}/{name}", index) for analysis, part in parts.items() for name, index in part.parameters
        )
        first = [part.observed() for part in self._parts]
        self._main = np.cumsum([0, *(each.main.shape[1] for each in first)])
        self._aux = np.cumsum([0, *(each.aux.shape[1] for each in first)])
        self._own = np.cumsum([0, *(len(part.parameters) for part in self._parts)])

    def observed(self) -> Data:
        return _joined([part.observed() for part in self._parts])

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        if mu is not None:
            return self._fixed(data, mu, start)
        return self._fixed(data, self._best_mu(data, start), start)

    def expected(self, fit: Fit) -> Data:
        return _joined([part.expected(self._share(fit, k)) for k, part in enumerate(self._parts)])

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        return _joined([part.sample(self._share(fit, k), random) for k, part in enumerate(self._parts)])

    def _fixed(self, data: Data, mu: Array, start: Fit | None) -> Fit:
        fits = [
            part.fit(self._data(data, k), mu, None if start is None else self._share(start, k))
            for k, part in enumerate(self._parts)
        ]
        return Fit(
            mu=mu,
            value=np.sum([fit.value for fit in fits], axis=0),
            slope=np.sum([fit.slope for fit in fits], axis=0),
            parameters=np.concatenate([fit.parameters for fit in fits], axis=1),
        )

    def _best_mu(self, data: Data, start: Fit | None) -> Array:
        """Where the slopes cancel: between the least and the greatest mu-hat of the parts. False position, halved."""
        alone = [part.fit(self._data(data, k)).mu for k, part in enumerate(self._parts)]
        low: Array = np.min(alone, axis=0)
        high: Array = np.max(alone, axis=0)
        at_low, at_high = self._fixed(data, low, start), self._fixed(data, high, start)
        below, above = at_low.slope, at_high.slope
        found = np.where(below >= 0, low, high)
        going = (below < 0) & (above > 0)
        for _ in range(STEPS):
            if not going.any():
                return found
            share = -below / np.where(going, above - below, 1.0)
            middle = np.where(going, low + (high - low) * np.clip(share, 1e-3, 1 - 1e-3), found)
            slope = self._fixed(data, middle, at_low).slope
            found, width, rising = middle, high - low, slope >= 0
            # the end that stays has its slope halved, so that it moves in its turn
            below, above = np.where(rising, below / 2, slope), np.where(rising, slope, above / 2)
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
            going &= np.abs(slope) * width > PRECISION
        raise StatisticsError("a fit did not converge: the best mu of a combination was not found")

    def _data(self, data: Data, k: int) -> Data:
        main, aux = slice(self._main[k], self._main[k + 1]), slice(self._aux[k], self._aux[k + 1])
        return Data(main=data.main[:, main], aux=data.aux[:, aux])

    def _share(self, fit: Fit, k: int) -> Fit:
        own = slice(self._own[k], self._own[k + 1])
        return Fit(mu=fit.mu, value=fit.value, slope=fit.slope, parameters=fit.parameters[:, own])


def _joined(parts: list[Data]) -> Data:
    return Data(
        main=np.concatenate([part.main for part in parts], axis=1),
        aux=np.concatenate([part.aux for part in parts], axis=1),
    )
