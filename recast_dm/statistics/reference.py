"""pyhf itself: the reference that every other likelihood is held to. One fit at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from recast_dm.errors import StatisticsError, UsageError
from recast_dm.statistics.likelihood import Array, Data, Fit, Parameter
from recast_dm.statistics.workspace import Model

NAME = "pyhf"
AGREEMENT = 1e-5
"""Fits from different beginnings that end this close to each other, in -2 ln L, have found the minimum."""
STEP = 1e-4
"""mu is moved by this, relative to 1 + mu, for the slope of the profile likelihood."""


def bind(model: Model) -> Reference:
    """pyhf's model of any workspace and patch. Raises UsageError for one that pyhf refuses."""
    return Reference(*pyhf_model(model))


def pyhf_model(model: Model) -> tuple[Any, list[float]]:
    """pyhf's own model, and the data with the auxiliary ones."""
    with quiet():
        import pyhf

    try:
        with quiet():
            workspace = pyhf.Workspace(model.patched)
            built = workspace.model()
            return built, [float(x) for x in workspace.data(built)]
    except pyhf.exceptions.InvalidSpecification as error:
        raise UsageError(f"pyhf refuses the workspace: {error}") from None
    except (pyhf.exceptions.InvalidModel, pyhf.exceptions.InvalidModifier, pyhf.exceptions.InvalidNameReuse) as error:
        raise UsageError(f"pyhf refuses the workspace: {error}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of others: pyhf's use of jsonschema, its arithmetic at the edge of what is possible."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def convergence() -> Iterator[None]:
    """pyhf's failed minimisations as our error."""
    import logging

    from pyhf.exceptions import FailedMinimization

    log = logging.getLogger("pyhf.optimize.mixins")
    level = log.level
    log.setLevel(logging.CRITICAL)  # it logs whole results as errors; ours says what happened
    try:
        with quiet():
            yield
    except (FailedMinimization, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StatisticsError(f"a fit of pyhf did not converge: {reason}") from None
    finally:
        log.setLevel(level)


class Reference:
    """The likelihood as pyhf computes it, with its default backend and optimiser; parameters in pyhf's order."""

    name = NAME

    def __init__(self, model: Any, data: list[float]) -> None:
        self._model = model
        self._data = np.array(data)
        config = model.config
        self._poi = config.poi_index
        self._bounds = [(float(low), float(high)) for low, high in config.suggested_bounds()]
        self._bounds[self._poi] = (0.0, math.inf)
        self._nuisance = np.delete(np.arange(config.npars), self._poi)
        every = [(name, k) for name in config.par_order for k in range(config.param_set(name).n_parameters)]
        self.names: tuple[Parameter, ...] = tuple(every)
        self.parameters: tuple[Parameter, ...] = tuple(every[i] for i in self._nuisance)
        self.constrained: tuple[Parameter, ...] = tuple(
            (name, k) for name in config.auxdata_order for k in range(config.param_set(name).n_parameters)
        )
        self.bins: int = config.nmaindata

    def observed(self) -> Data:
        return Data(main=self._data[None, : self.bins], aux=self._data[None, self.bins :])

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        begin = np.tile(np.array(self._model.config.suggested_init(), dtype=np.float64), (len(data), 1))
        if start is not None:
            begin[:, self._nuisance], begin[:, self._poi] = start.parameters, start.mu
        found = [
            self._one(
                np.concatenate([data.main[row], data.aux[row]]), None if mu is None else float(mu[row]), begin[row]
            )
            for row in range(len(data))
        ]
        pars = np.array([each[0] for each in found])
        return Fit(
            mu=pars[:, self._poi],
            value=np.array([each[1] for each in found]),
            slope=np.array([each[2] for each in found]),
            parameters=pars[:, self._nuisance],
        )

    def expected(self, fit: Fit) -> Data:
        full = np.array([self._model.expected_data(self._pars(fit, row).tolist()) for row in range(len(fit.mu))])
        return Data(main=full[:, : self.bins], aux=full[:, self.bins :])

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        """The main counts and constraints, drawn with our generator: pyhf's is one for the whole process."""
        expected = self.expected(fit)
        widths = {name: self._model.config.param_set(name) for name in self._model.config.auxdata_order}
        columns, at = [], 0
        for parameter_set in widths.values():
            mean = expected.aux[:, at : at + parameter_set.n_parameters]
            at += parameter_set.n_parameters
            columns.append(
                random.poisson(mean).astype(np.float64)
                if parameter_set.pdf_type == "poisson"
                else random.normal(mean, np.array(parameter_set.width()))
            )
        aux = np.concatenate(columns, axis=1) if columns else expected.aux
        return Data(main=random.poisson(np.maximum(expected.main, 0.0)).astype(np.float64), aux=aux)

    def initial_nuisance(self) -> Array:
        """Where pyhf would begin, without mu."""
        begin: Array = np.array(self._model.config.suggested_init(), dtype=np.float64)[self._nuisance]
        return begin

    def minimised_by_scipy(
        self, data: Data, mu: Array | None, start: Fit, gradient: Callable[[Array, Array], Array]
    ) -> Fit:
        """One row's fit of pyhf's likelihood by L-BFGS-B, the best of two beginnings: `start`, and pyhf's own.

        `gradient` is that of -2 ln L by all parameters, at parameters and data in pyhf's order. Raises
        StatisticsError when none converges.
        """
        from scipy.optimize import minimize

        counts = np.concatenate([data.main[0], data.aux[0]])
        bounds = list(self._bounds)
        if mu is not None:
            bounds[self._poi] = (float(mu[0]), float(mu[0]))
        for index, fixed in enumerate(self._model.config.suggested_fixed()):
            if fixed:
                bounds[index] = (self._model.config.suggested_init()[index],) * 2
        first = self._pars(start, 0)
        second = first.copy()
        second[self._nuisance] = self.initial_nuisance()
        offset = self._twice_nll(first, counts)

        def excess(pars: Array) -> float:
            value = self._twice_nll(pars, counts) - offset
            return value if math.isfinite(value) else 1e30

        options = {"maxiter": 2000, "maxfun": 10**6, "ftol": 1e-12, "gtol": 1e-6}
        lower, upper = np.array(bounds).T
        found = [
            minimize(
                excess,
                np.clip(begin, lower, upper),
                method="L-BFGS-B",
                jac=lambda pars: gradient(pars, counts),
                bounds=bounds,
                options=options,
            )
            for begin in (first, second)
        ]
        best = min(found, key=lambda each: float(each.fun))
        agree = abs(found[0].fun - found[1].fun) < AGREEMENT  # from different sides: that is convergence as well
        if best.fun >= 1e29 or not (best.success or agree):
            raise StatisticsError("neither pyhf's optimiser nor scipy's converges on pyhf's likelihood")
        pars = np.array(best.x)
        return Fit(
            mu=pars[None, self._poi],
            value=np.array([best.fun + offset]),
            slope=np.array([self._slope(pars, counts)]),
            parameters=pars[None, self._nuisance],
        )

    def _twice_nll(self, pars: Array, counts: Array) -> float:
        with quiet():
            return -2 * float(self._model.logpdf(pars.tolist(), counts.tolist())[0])

    def _pars(self, fit: Fit, row: int) -> Array:
        pars = np.empty(len(self._nuisance) + 1)
        pars[self._nuisance], pars[self._poi] = fit.parameters[row], fit.mu[row]
        return pars

    def _one(self, data: Array, mu: float | None, begin: Array) -> tuple[Array, float, float]:
        """Parameters, -2 ln L, and the slope of its profile by mu."""
        import pyhf

        config = self._model.config
        fixed = list(config.suggested_fixed())
        with convergence():
            if mu is None:
                pars, value = pyhf.infer.mle.fit(
                    data.tolist(), self._model, begin.tolist(), self._bounds, fixed, return_fitted_val=True
                )
            else:
                pars, value = pyhf.infer.mle.fixed_poi_fit(
                    mu, data.tolist(), self._model, begin.tolist(), self._bounds, fixed, return_fitted_val=True
                )
        pars = np.array(pars, dtype=np.float64)
        if not math.isfinite(float(value)):
            raise StatisticsError("a fit of pyhf did not converge: -2 ln L is not finite")
        return pars, float(value), self._slope(pars, data)

    def _slope(self, pars: Array, data: Array) -> float:
        """Where the nuisance parameters fit best, the slope of the profile is that at fixed parameters."""
        step = STEP * (1 + pars[self._poi])
        ahead, behind = pars.copy(), pars.copy()
        ahead[self._poi] += step
        behind[self._poi] = max(behind[self._poi] - step, 0.0)
        values = [self._twice_nll(each, data) for each in (ahead, behind)]
        return (values[0] - values[1]) / float(ahead[self._poi] - behind[self._poi])
