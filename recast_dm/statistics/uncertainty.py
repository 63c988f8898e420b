"""The uncertainty of a limit, item by item: what each source moves the upper limit on mu by, relative to it.

To first order a change ds of the signal's yields moves the limit by what keeps q-tilde where it is. At the best
nuisance parameters only what depends on s directly counts: with c_i = 1 - n_i / rate_i at the limit, on the Asimov set,

    dmu / mu = - sum_i c_i ds_i / sum_i c_i s_i.

Everything else (the cross-section, closure, the correlation model) is a ratio of limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recast_dm.statistics import gaussian
from recast_dm.statistics.asymptotic import Test, UpperLimits
from recast_dm.statistics.likelihood import Array
from recast_dm.statistics.limit import Uncertainty
from recast_dm.statistics.workspace import Document, Model

CORRELATION_MODELS: Mapping[str, float] = {"independent": 0.0, "half": 0.5, "full": 1.0}
"""Named correlation models: the correlation between the background errors of any two bins."""


def of_yields(test: Test, mu: float, error: Array, *, correlated: bool) -> float:
    """How far an error (bins,) of the signal's yields moves the expected limit `mu`, relative to it.

    Independent errors add in quadrature; correlated ones, such as a variation of scale or PDF, with their signs.
    """
    weight = sensitivity(test, mu)
    moved = weight * error
    return float(abs(moved.sum()) if correlated else np.sqrt((moved**2).sum()))


def sensitivity(test: Test, mu: float) -> Array:
    """c_i / sum_j c_j s_j of each bin (bins,) at the expected limit `mu`."""
    likelihood = test.likelihood
    fit = likelihood.fit(test.asimov, np.array([mu]), test.background)
    rates = likelihood.expected(fit).main[0]
    signal = (likelihood.expected(replace(fit, mu=fit.mu * (1 + 1e-3))).main[0] - rates) / (1e-3 * mu)
    weight: Array = 1 - test.asimov.main[0] / rates
    return weight / float(weight @ signal)


def monte_carlo(test: Test, mu: float, yields_error: Array) -> Uncertainty:
    """That of the simulated events: `yields_error` (bins,) is the statistical error of each of the signal's yields."""
    relative = of_yields(test, mu, yields_error, correlated=False)
    return Uncertainty("monte-carlo", relative, "statistical errors of the signal's yields, propagated to first order")


def cross_section(*, scale: float | None = None, pdf: float | None = None, statistical: float = 0.0) -> Uncertainty:
    """That of the cross-section: relative errors of scale and PDF where they were given. mu is inverse to it."""
    given = {"scale": scale, "PDF": pdf}
    parts = [value for value in given.values() if value is not None]
    named = [name for name, value in given.items() if value is not None]
    how = f"{' and '.join(named)} in quadrature" if named else "its statistical error; scale and PDF were not given"
    return Uncertainty("cross-section", math.hypot(statistical, *parts), how)


def emulation(ratios: Sequence[float]) -> Uncertainty:
    """What separates us from the experiment, from the closure: the root mean square of ours / published - 1.

    Detector emulation, and whatever else differs: orders, categories, likelihoods.
    """
    spread = math.sqrt(sum((ratio - 1) ** 2 for ratio in ratios) / len(ratios))
    return Uncertainty("closure", spread, f"ours beside {len(ratios)} published limits: emulation, orders, likelihood")


def total(parts: Sequence[Uncertainty]) -> float:
    """All items in quadrature.

    >>> total([Uncertainty("a", 0.03, ""), Uncertainty("b", 0.04, "")])
    0.05
    """
    return math.hypot(*(part.relative for part in parts))


def correlations(limits: Mapping[str, UpperLimits]) -> Uncertainty | None:
    """The spread of the limits between correlation models, from `by_correlation_model`; None when there is one only."""
    if len(limits) < 2:
        return None
    observed = [each.observed for each in limits.values()]
    said = ", ".join(f"{name} {each.observed:.4g}" for name, each in limits.items())
    middle = math.sqrt(min(observed) * max(observed))
    return Uncertainty("correlation model", max(observed) / middle - 1, f"mu_UL observed: {said}")


def by_correlation_model(model: Model) -> dict[str, UpperLimits]:
    """Limits with each correlation model, where the workspace gives bins and one error each; else none."""
    from recast_dm.statistics import found, independent

    shape = independent.shape_of(model)
    if shape is None or np.any(shape.own**2 + shape.common**2 == 0) or not _proportional(shape.own, shape.common):
        return {}
    error = np.hypot(shape.own, shape.common)
    limits = {}
    for name, rho in CORRELATION_MODELS.items():
        other = Model({**model.workspace, "channels": _channels(model.workspace, shape.bins, error, rho)}, model.patch)
        limits[name] = Test(found.bind(other)).upper_limits()
    return limits


def _proportional(own: Array, common: Array) -> bool:
    """Whether every bin has the same share of its error in common with the others."""
    share = np.abs(common) / np.hypot(own, common)
    return bool(np.ptp(share) < 1e-6)


def _channels(workspace: Document, bins: gaussian.Bins, error: Array, rho: float) -> list[dict[str, Any]]:
    """The workspace's channels, errors correlated by rho between any two bins."""
    channels = []
    for channel in workspace["channels"]:
        place = bins.slices[channel["name"]]
        nominal, own = bins.background[place], error[place]
        shifts = {}
        if rho < 1:
            for k in range(len(nominal)):
                shifts[f"background_{channel['name']}_bin{k}"] = own * math.sqrt(1 - rho) * (np.arange(len(own)) == k)
        if rho > 0:
            shifts["background_common"] = own * math.sqrt(rho)
        modifiers = [
            {
                "name": name,
                "type": "histosys",
                "data": {"hi_data": (nominal + shift).tolist(), "lo_data": (nominal - shift).tolist()},
            }
            for name, shift in shifts.items()
        ]
        channels.append({"name": channel["name"], "samples": [{**channel["samples"][0], "modifiers": modifiers}]})
    return channels
