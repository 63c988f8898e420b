"""The Poisson term of a bin, without the rounding that large counts would bring."""

from __future__ import annotations

import numpy as np

from recast_dm.statistics.likelihood import Array


def deviance(counts: Array, rates: Array) -> Array:
    """-2 ln of the Poisson probability, relative to that of a rate equal to the count: 2 (r - n + n ln(n / r)).

    Unlike -2 ln L itself it stays small for good fits, so that differences keep their digits. A bin without counts
    gives 2 r, as pyhf does, also where a rate is negative; a bin with counts and a rate that is not positive, infinity.

    >>> deviance(np.array([4.0, 0.0]), np.array([4.0, 0.5])).tolist()
    [0.0, 1.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(counts > 0, (rates - counts) / np.where(counts > 0, counts, 1.0), 0.0)
        value = np.where(counts > 0, 2 * counts * (excess - np.log1p(excess)), 2 * rates)
    result: Array = np.where(np.isnan(value), np.inf, value)
    return result
