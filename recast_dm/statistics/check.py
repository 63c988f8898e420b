"""Fast limits held to pyhf: a sample of points is computed again with pyhf's likelihood, and the numbers compared.

pyhf's own fits begin at our optimum, which a wrong likelihood of ours would not have in common with pyhf's. Where
pyhf's optimiser gives up all the same, scipy minimises pyhf's likelihood from several places, and the result says so.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics import found, histfactory, reference
from recast_dm.statistics.asymptotic import LEVEL, N_SIGMA, Test, log_cls, log_cls_expected
from recast_dm.statistics.likelihood import Array, Fit, Likelihood
from recast_dm.statistics.workspace import Document, Model, Patch, digest

TOLERANCE = 1e-3
"""How far a CLs may be from the reference's."""
PYHF, SCIPY = "pyhf", "pyhf's likelihood, minimised by scipy"


class Numbers(Protocol):
    """What of a limit is compared: `statistics.Limit` has it."""

    @property
    def cls_obs(self) -> float: ...
    @property
    def cls_exp(self) -> tuple[float, ...]: ...
    @property
    def mu_upper_obs(self) -> float: ...
    @property
    def mu_upper_exp(self) -> tuple[float, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotCheck:
    """How many points were compared, the largest difference in CLs, and what with."""

    points: int
    largest_cls_difference: float
    reference: str

    def document(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "points": self.points,
            "largest_cls_difference": self.largest_cls_difference,
        }


def spot_check(
    workspace: Document,
    patches: Sequence[Patch],
    limits: Sequence[Numbers],
    *,
    fraction: float = 0.05,
    at_least: int = 3,
    seed: int = 0,
) -> SpotCheck:
    """Compares CLs of a sample of limits with the reference: at mu = 1, and at the upper limits, where it is 5 %.

    Raises StatisticsError when a difference is above 1e-3, or when even the reference does not converge.
    """
    count = min(len(patches), max(at_least, round(fraction * len(patches))))
    chosen = sorted(np.random.default_rng(seed).choice(len(patches), count, replace=False).tolist())
    identity = digest(workspace)
    differences, references = [0.0], set()
    for index in chosen:
        difference, by = compare(Model(workspace, patches[index], identity), limits[index])
        if not difference <= TOLERANCE:
            raise StatisticsError(
                f"a fast limit (number {index + 1} of {len(patches)}) is not the reference's: "
                f"CLs differs by {difference:.2g}",
                hint=f"{by} decides, up to {TOLERANCE:g}; `--likelihood pyhf` sets limits with pyhf itself",
            )
        differences.append(difference)
        references.add(by)
    return SpotCheck(
        points=len(chosen),
        largest_cls_difference=max(differences),
        reference=SCIPY if SCIPY in references else PYHF,
    )


def compare(model: Model, limit: Numbers) -> tuple[float, str]:
    """The largest difference in CLs between a limit and the reference, and what the reference was."""
    likelihood = Seeded(model)
    test = Test(likelihood)
    mu = np.array([1.0, limit.mu_upper_obs, limit.mu_upper_exp[2]])
    q_data, _, _ = test.q(mu[:2], np.array([0, 0]))
    q_asimov, _, _ = test.q(mu, np.array([1, 1, 1]))
    observed = np.exp(log_cls(q_data, q_asimov[:2]))
    expected = np.exp(log_cls_expected(q_asimov[:1], np.array(N_SIGMA, dtype=np.float64)))
    median = np.exp(log_cls_expected(q_asimov[2:], np.zeros(1)))
    theirs = np.concatenate([observed, expected, median])
    ours = np.array([limit.cls_obs, LEVEL, *limit.cls_exp, LEVEL])
    difference = np.abs(theirs - ours)
    return (math.inf if np.isnan(difference).any() else float(difference.max())), likelihood.by


class Seeded:
    """pyhf's likelihood, its fits begun where ours ended; `by` says whether pyhf's optimiser was enough."""

    def __init__(self, model: Model) -> None:
        self.by = PYHF
        self._reference = reference.bind(model)
        self._ours = found.bind(model)
        self._derivatives = histfactory.bind(model)
        place = {name: k for k, name in enumerate(self._ours.parameters)}
        self._known = [k for k, name in enumerate(self._reference.parameters) if name in place]
        self._columns = [place[name] for name in self._reference.parameters if name in place]
        self.name, self.parameters = self._reference.name, self._reference.parameters
        self.observed, self.expected = self._reference.observed, self._reference.expected
        self.sample = self._reference.sample
        self._fast = Test(self._ours)
        with contextlib.suppress(StatisticsError):  # its fits are better beginnings, where there are any
            self._fast.upper_limits()

    def fit(self, data: Any, mu: Array | None = None, start: Fit | None = None) -> Fit:
        del start  # ours are better
        rows = [slice(row, row + 1) for row in range(len(data))]
        fits = [self._one(data.rows(row), None if mu is None else mu[row]) for row in rows]
        return Fit(
            mu=np.concatenate([fit.mu for fit in fits]),
            value=np.concatenate([fit.value for fit in fits]),
            slope=np.concatenate([fit.slope for fit in fits]),
            parameters=np.concatenate([fit.parameters for fit in fits]),
        )

    def _one(self, data: Any, mu: Array | None) -> Fit:
        seed = self._seed(data, mu)
        try:
            return self._reference.fit(data, mu, seed)
        except StatisticsError:
            self.by = SCIPY
            return self._reference.minimised_by_scipy(data, mu, seed, self._gradient)

    def _gradient(self, pars: Array, data: Array) -> Array:
        """That of -2 ln L in pyhf's order, from our derivatives. A wrong one keeps scipy from converging."""
        names, split, ours = self._reference.names, self._reference.bins, self._derivatives
        order = [names.index(name) for name in ours.names]
        constrained = [self._reference.constrained.index(name) for name in ours.constrained]
        gradient = np.empty(len(names))
        gradient[order] = ours.gradient(pars[order], data[:split], data[split:][constrained])
        return gradient

    def _seed(self, data: Any, mu: Array | None) -> Fit:
        """Our fit to the same kind of data (theirs or the Asimov set), its parameters in pyhf's order."""
        observed = np.array_equal(data.main, self._reference.observed().main)
        which = np.array([0 if observed else 1])
        alone = self._fast.best if observed else self._fast.background
        fit = alone if mu is None else self._fast.fresh(mu, which)
        parameters = self._reference.initial_nuisance()[None, :].copy()
        parameters[:, self._known] = fit.parameters[:, self._columns]
        return Fit(mu=fit.mu, value=fit.value, slope=fit.slope, parameters=parameters)


def differs(one: Likelihood, other: Likelihood, mu: float = 1.0) -> float:
    """The largest difference in CLs, observed and expected, between two likelihoods at one mu."""
    first, second = Test(one).hypotest(mu), Test(other).hypotest(mu)
    pairs = zip((first.cls_obs, *first.cls_exp), (second.cls_obs, *second.cls_exp), strict=True)
    return max(abs(a - b) for a, b in pairs)
