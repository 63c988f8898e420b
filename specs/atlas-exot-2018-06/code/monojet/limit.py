"""CLs and upper limits of the signal strength: pyhf's asymptotic formulas on pyhf's own fits.

`hypotest` gives CLs at mu = 1. The limits solve CLs(mu) = 0.05 with the same test statistic, and reuse the
fits that do not depend on mu: the best fit to the data, the background-only fit and the Asimov set it gives.
Formulas: arXiv:1007.1727, sections 3.2 and 3.7 (q-tilde and its asymptotic distribution) and CLs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet import closed_form
from monojet.errors import ConvergenceError
from monojet.files import read_json, write_json
from monojet.histogram import SCHEMA as HISTOGRAM_SCHEMA
from monojet.patch import read_patch
from monojet.workspace import CORRELATION_MODELS, POI, read_workspace

SCHEMA = "recast-dm/limit-stage/1"
N_SIGMA = (-2, -1, 0, 1, 2)
LEVEL = 0.05
"""Upper limits are at 95 % CLs."""
PRECISION = 1e-4
"""Relative precision of the limits on mu; the bootstrap error is a hundred times larger."""
FAR = 30.0
"""At this many times the limit CLs is below 1e-20; it falls with mu, so the value there bounds what lies beyond."""
REPLICAS = 300
BOOTSTRAP_SEED = 20180600
NOISE = 1e-3
"""A constrained fit may lie this much below the best one (in -2 ln L) before the fits are distrusted."""


@contextmanager
def convergence() -> Iterator[None]:
    """Turn pyhf's failed minimisations into our error."""
    from pyhf.exceptions import FailedMinimization

    try:
        yield
    except (FailedMinimization, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConvergenceError(f"a fit did not converge; more events may help: {reason}") from error


def cls_from_q(q: float, q_asimov: float) -> float:
    """CLs of the observed q-tilde, given q-tilde of the background-only Asimov set.

    >>> round(cls_from_q(0.0, 4.0), 4)  # data that fit mu best: CLs+b is a half
    0.5116
    """
    from scipy.stats import norm

    root_a = math.sqrt(q_asimov)
    if root_a == 0:
        return 1.0
    t = math.sqrt(q) - root_a if q <= q_asimov else (q - q_asimov) / (2 * root_a)
    return float(math.exp(norm.logsf(t + root_a) - norm.logsf(t)))


def expected_cls_from_q(q_asimov: float, n_sigma: float) -> float:
    """CLs if the background fluctuates by n_sigma standard deviations towards the signal.

    >>> round(expected_cls_from_q(1.9599639845400545**2, 0), 4)
    0.05
    """
    from scipy.stats import norm

    return float(math.exp(norm.logcdf(n_sigma - math.sqrt(q_asimov)) - norm.logcdf(n_sigma)))


class Likelihood:
    """Profile-likelihood ratios of one model and data set; fits are made once and remembered."""

    def __init__(self, model: Any, data: Any) -> None:
        import pyhf

        self.mle = pyhf.infer.mle
        self.model = model
        self.index = model.config.poi_index
        inits, bounds = model.config.suggested_init(), model.config.suggested_bounds()
        self.background_only = self.mle.fixed_poi_fit(0.0, data, model, inits, bounds)
        asimov = model.expected_data(self.background_only)
        self.sets = {"data": data, "asimov": asimov}
        self.best: dict[str, tuple[npt.NDArray[np.float64], float]] = {}
        self.fixed: dict[tuple[str, float], float] = {}

    def best_fit(self, name: str) -> tuple[npt.NDArray[np.float64], float]:
        """Parameters and -2 ln L of the best fit with mu >= 0."""
        if name not in self.best:
            pars, nll = self.mle.fit(
                self.sets[name], self.model, init_pars=list(self.background_only), return_fitted_val=True
            )
            self.best[name] = pars, float(nll)
        return self.best[name]

    def q(self, name: str, mu: float) -> float:
        """The test statistic q-tilde at mu."""
        pars, best = self.best_fit(name)
        if pars[self.index] > mu:
            return 0.0
        if (name, mu) not in self.fixed:
            _, nll = self.mle.fixed_poi_fit(
                mu, self.sets[name], self.model, init_pars=list(pars), return_fitted_val=True
            )
            self.fixed[name, mu] = float(nll)
        ratio = self.fixed[name, mu] - best
        if not ratio > -NOISE:
            raise ConvergenceError(f"a fit to the {name} did not converge; more events may help")
        return max(ratio, 0.0)

    def cls_observed(self, mu: float) -> float:
        """CLs of the data."""
        return cls_from_q(self.q("data", mu), self.q("asimov", mu))

    def cls_expected(self, mu: float, n_sigma: float) -> float:
        """CLs of background-only data, n_sigma away from the median."""
        return expected_cls_from_q(self.q("asimov", mu), n_sigma)


def upper_limit(cls: Callable[[float], float], guess: float) -> float:
    """Solve cls(mu) = 0.05 for a function falling in mu, in a bracket grown around the guess.

    >>> round(upper_limit(lambda mu: math.exp(-mu), guess=1.0), 3)
    2.996
    """
    from scipy.optimize import brentq

    def distance(log_mu: float) -> float:
        value = cls(math.exp(log_mu))
        if not math.isfinite(value):
            raise ConvergenceError(f"CLs is {value} at mu = {math.exp(log_mu):.4g}")
        return math.log(max(value, 1e-300) / LEVEL)

    low = high = math.log(guess)
    step = 0.03
    while distance(high) > 0:
        low, high, step = high, high + step, 2 * step
        if step > 20:
            raise ConvergenceError(f"CLs stays above {LEVEL} up to mu = {math.exp(low):.3g}")
    while distance(low) <= 0:
        low, high, step = low - step, low, 2 * step
        if step > 20:
            raise ConvergenceError(f"CLs stays below {LEVEL} down to mu = {math.exp(high):.3g}")
    return math.exp(brentq(distance, low, high, xtol=PRECISION))


def hypotest(mu: float, data: Any, model: Any) -> tuple[float, list[float]]:
    """CLs observed and expected (-2 to +2 standard deviations) at mu, straight from pyhf."""
    import pyhf

    observed, expected = pyhf.infer.hypotest(mu, data, model, test_stat="qtilde", return_expected_set=True)
    return float(observed), [float(value) for value in expected]


def cls_at(mu: float, likelihood: Likelihood) -> tuple[float, list[float]]:
    """CLs observed and expected by pyhf; where its tail probabilities underflow (0/0), by their logarithms."""
    with np.errstate(divide="ignore", invalid="ignore"):
        observed, expected = hypotest(mu, likelihood.sets["data"], likelihood.model)
    if not math.isfinite(observed):
        observed = likelihood.cls_observed(mu)
    expected = [
        value if math.isfinite(value) else likelihood.cls_expected(mu, n)
        for value, n in zip(expected, N_SIGMA, strict=True)
    ]
    if not all(map(math.isfinite, (observed, *expected))):
        raise ConvergenceError(f"CLs is {observed} observed and {expected} expected at mu = {mu:.4g}")
    return observed, expected


def counting(workspace: Mapping[str, Any], correlation_model: str) -> closed_form.Counting:
    """The workspace's bins for the closed form."""
    background = workspace["channels"][0]["samples"][0]
    shifts = [
        np.asarray(modifier["data"]["hi_data"]) - np.asarray(background["data"]) for modifier in background["modifiers"]
    ]
    return closed_form.Counting(
        observed=np.asarray(workspace["observations"][0]["data"], dtype=np.float64),
        background=np.asarray(background["data"], dtype=np.float64),
        error=np.sqrt(np.sum(np.square(shifts), axis=0)),
        rho=CORRELATION_MODELS[correlation_model],
    )


def weighted_replicas(
    yields: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Replicas of a histogram of weighted events: each bin stands for (yield/error)^2 events of equal weight."""
    events = np.divide(yields, errors, out=np.zeros_like(yields), where=errors > 0) ** 2
    weights = np.divide(yields, events, out=np.zeros_like(yields), where=events > 0)
    return np.asarray(weights * random.poisson(events, size=(REPLICAS, len(yields))))


def bootstrap(bins: closed_form.Counting, histogram: Mapping[str, Any]) -> tuple[float, float]:
    """Relative MC errors of the observed and the median expected limit, from REPLICAS Poisson replicas of the counts.

    The seed is fixed, so that the same counts give the same error.
    """
    counts, weights = np.asarray(histogram["counts"]), np.asarray(histogram["weights"])
    random = np.random.default_rng(BOOTSTRAP_SEED)
    if histogram.get("unweighted", True):
        signals = np.einsum("k,rkb->rb", weights, random.poisson(counts, size=(REPLICAS, *counts.shape)))
    else:
        yields, errors = np.asarray(histogram["yields"]), np.asarray(histogram["yields_mc_error"])
        signals = weighted_replicas(yields, errors, random)
    signals = signals[signals.sum(axis=1) > 0]
    observed, expected = closed_form.upper_limits(bins, signals)
    return float(np.std(observed) / np.mean(observed)), float(np.std(expected) / np.mean(expected))


def set_limit(
    workspace: Mapping[str, Any],
    patch: Sequence[Mapping[str, Any]],
    histogram: Mapping[str, Any],
    correlation_model: str,
) -> dict[str, Any]:
    """The `recast-dm/limit-stage/1` document of one signal."""
    import pyhf

    bins = counting(workspace, correlation_model)
    guess = float(closed_form.upper_limits(bins, np.asarray([histogram["yields"]]))[0][0])
    spec = pyhf.Workspace(workspace)
    model = spec.model(patches=[scaled(patch, guess)])
    data = spec.data(model)
    with convergence():
        likelihood = Likelihood(model, data)
        cls_obs, cls_exp = cls_at(min(1.0 / guess, FAR), likelihood)
        observed = guess * upper_limit(likelihood.cls_observed, 1.0)
        expected = [
            guess * upper_limit(lambda mu, n=n: likelihood.cls_expected(mu, n), observed / guess)  # type: ignore[misc]
            for n in N_SIGMA
        ]
    observed_error, expected_error = bootstrap(bins, histogram)
    return {
        "schema": SCHEMA,
        "sigma_pb": histogram["sigma_pb"],
        "sigma_pb_mc_error": histogram["sigma_pb_mc_error"],
        "cls_obs": cls_obs,
        "cls_exp": cls_exp,
        "mu_upper_obs": observed,
        "mu_upper_exp": expected,
        "mu_upper_obs_mc_error": observed_error,
        "mu_upper_exp_mc_error": expected_error,
        "correlation_model": correlation_model,
        "acceptance_times_efficiency": histogram["acceptance_times_efficiency"],
        "poi": model.config.poi_name,
        "versions": {name: version(name) for name in ("pyhf", "scipy", "numpy")},
        **of_cross_section(histogram.get("sigma_relative_errors", {}), observed_error),
    }


def of_cross_section(errors: Mapping[str, Sequence[float]], mc_error: float) -> dict[str, Any]:
    """`uncertainties` of a limit on mu, where events from outside say how far their cross-section may be off.

    The larger of up and down of each kind, added in quadrature.

    >>> of_cross_section({"scale": [0.04, -0.03], "pdf": [0.03, -0.03]}, 0.02)["uncertainties"][1]["relative"]
    0.05
    """
    if not errors:
        return {}
    relative = math.hypot(*(max(map(abs, shifts)) for shifts in errors.values()))
    shown = ", ".join(f"{name} {up:+.1%} {down:+.1%}" for name, (up, down) in errors.items())
    return {
        "uncertainties": [
            {"source": "Monte-Carlo statistics", "relative": mc_error, "how": "replicas of the events that pass"},
            {"source": "cross-section", "relative": relative, "how": f"weights of the events: {shown}"},
        ]
    }


def scaled(patch: Sequence[Mapping[str, Any]], factor: float) -> list[dict[str, Any]]:
    """The patch with a signal `factor` times as strong, so that its limit lies near mu = 1, where fits converge.

    mu of the patch is `factor` times mu of the result. The bound on mu leaves room for FAR.
    """
    operations: list[dict[str, Any]] = json.loads(json.dumps(list(patch)))
    for operation in operations:
        sample = operation["value"]
        sample["data"] = [factor * x for x in sample["data"]]
        for modifier in sample["modifiers"]:
            if modifier["type"] == "staterror":
                modifier["data"] = [factor * x for x in modifier["data"]]
            elif modifier["type"] == "histosys":
                modifier["data"] = {side: [factor * x for x in shift] for side, shift in modifier["data"].items()}
    bound = {"name": POI, "bounds": [[0.0, 10.0 + 2 * FAR]], "inits": [1.0]}
    return [*operations, {"op": "add", "path": "/parameters/-", "value": bound}]


def run(
    *, workspace_path: Path, patch_path: Path, histogram_path: Path, correlation_model: str, limit_path: Path
) -> None:
    """The limit stage."""
    document = set_limit(
        read_workspace(workspace_path),
        read_patch(patch_path),
        read_json(histogram_path, HISTOGRAM_SCHEMA),
        correlation_model,
    )
    write_json(limit_path, document)
