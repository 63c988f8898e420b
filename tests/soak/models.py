"""Random HistFactory models: our CLs is pyhf's.

A trial draws a workspace and a signal, and compares CLs at mu = 1, observed and expected, with `pyhf.infer.hypotest` as
it comes. Where that gives up, or differs, pyhf's likelihood is minimised again from our optimum (by scipy, where pyhf's
own optimiser fails): then ours has to be within the tolerance of that, and no minimum of pyhf's lower than ours.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics import check, found, reference
from recast_dm.statistics.asymptotic import Test
from recast_dm.statistics.limit import Limit
from recast_dm.statistics.workspace import Model
from tests.likelihoods import random_model

NAME = "statistics"
TOTAL = 1000
LOWER = 1e-3
"""A minimum of pyhf's that is lower than ours by more than this, in -2 ln L, decides against us."""


def one(seed: int) -> str | None:
    logging.getLogger("pyhf").setLevel(logging.CRITICAL)  # a failed fit is no news here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return judged(random_model(seed))


def judged(model: Model) -> str | None:
    """None when our numbers are pyhf's, or pyhf's are worse; else what is wrong."""
    test = Test(found.bind(model))
    upper = test.upper_limits()
    ours = test.hypotest(1.0)
    said = by_pyhf(model)
    if said is not None and within(said, (ours.cls_obs, *ours.cls_exp)):
        return None
    limit = Limit(
        sigma_pb=1.0,
        sigma_pb_mc_error=0.0,
        cls_obs=ours.cls_obs,
        cls_exp=ours.cls_exp,
        mu_upper_obs=upper.observed,
        mu_upper_exp=upper.expected,
        mu_upper_obs_mc_error=0.0,
        mu_upper_exp_mc_error=0.0,
        correlation_model="any",
    )
    difference, by = check.compare(model, limit)
    if difference > check.TOLERANCE:
        return f"CLs differs by {difference:.3g} from {by}"
    worse = deeper(model)
    return f"pyhf finds a minimum that is lower by {worse:.3g}" if worse > LOWER else None


def by_pyhf(model: Model) -> tuple[float, ...] | None:
    """CLs from pyhf as it comes; None when it gives up, or gives what is no number."""
    import pyhf

    built, data = reference.pyhf_model(model)
    try:
        observed, expected = pyhf.infer.hypotest(1.0, data, built, test_stat="qtilde", return_expected_set=True)
    except (pyhf.exceptions.FailedMinimization, ValueError):
        return None
    return float(observed), *(float(each) for each in expected)


def within(theirs: tuple[float, ...], ours: tuple[float, ...]) -> bool:
    return bool(np.all(np.abs(np.array(theirs) - np.array(ours)) <= check.TOLERANCE))


def deeper(model: Model) -> float:
    """By how much pyhf's fits from its own beginning are better than from our optimum: the most, in -2 ln L."""
    seeded, alone = check.Seeded(model), reference.bind(model)
    data = alone.observed()
    gained = [0.0]
    for mu in (None, np.zeros(1), np.ones(1)):
        try:
            gained.append(float(seeded.fit(data, mu).value[0] - alone.fit(data, mu).value[0]))
        except StatisticsError:
            continue
    return max(gained)
