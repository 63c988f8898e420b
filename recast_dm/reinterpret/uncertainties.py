"""The uncertainty of a limit, item by item: what the limit stage said, and what closure and correlations add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from recast_dm.errors import IntegrityError
from recast_dm.reinterpret.closure import Closure
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.subject import Subject
from recast_dm.statistics.limit import Limit, Uncertainty

MONTE_CARLO = "Monte-Carlo statistics"
SHARED = ("closure", "correlation model", "cross-section")
"""Sources that move neighbouring points together: they move a line, and make no two points of it disagree."""
LIMITS = ("sigma_upper_obs_pb", "mu_upper_obs", "mu_upper_exp")
"""Published quantities that are limits."""


def itemised(subject: Subject, limit: Limit, closure: Sequence[Closure], outputs: Outputs) -> Limit:
    """A limit with everything that is known of its uncertainty."""
    own = limit.uncertainties or _statistical(limit)
    named = {each.source for each in own}
    more = (*_emulation(closure), *_correlations(subject, limit, outputs))
    return replace(limit, uncertainties=(*own, *(each for each in more if each.source not in named)))


def of_one_point(limit: Limit) -> float:
    """How far the limit of a point may be off by itself, relative: what it does not share with its neighbours."""
    own = [each.relative for each in limit.uncertainties if each.source not in SHARED]
    return math.hypot(*own) if own else limit.mu_upper_obs_mc_error


def _statistical(limit: Limit) -> tuple[Uncertainty, ...]:
    if not limit.mu_upper_obs_mc_error:
        return ()
    return (Uncertainty(MONTE_CARLO, limit.mu_upper_obs_mc_error, "of the simulated events, as the limit stage says"),)


def _emulation(closure: Sequence[Closure]) -> tuple[Uncertainty, ...]:
    """What detector emulation, and all else that is not the experiment's own, may cost: at this point, if known."""
    from recast_dm.statistics import uncertainty

    ratios = [each.ratio for each in closure if each.quantity in LIMITS]
    return (uncertainty.emulation(ratios),) if ratios else ()


def _correlations(subject: Subject, limit: Limit, outputs: Outputs) -> tuple[Uncertainty, ...]:
    """The spread between correlation models, where the likelihood has one error a bin and no published correlations."""
    from recast_dm.statistics import uncertainty
    from recast_dm.statistics.workspace import read_model

    statistics = subject.analysis.statistics if subject.analysis else None
    if statistics is None or limit.correlation_model not in uncertainty.CORRELATION_MODELS:
        return ()
    try:
        model = read_model(outputs.file(statistics.likelihood), outputs.file(statistics.patch))
    except IntegrityError:  # a capsule's reference outputs are no run directory: nothing says which file is which
        return ()
    found = uncertainty.correlations(uncertainty.by_correlation_model(model))
    return (found,) if found else ()
