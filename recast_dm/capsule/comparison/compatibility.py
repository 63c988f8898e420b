"""Whether the histograms in two JSON documents are statistically equal, given the errors of both.

Bins, and the two documents, are taken as independent: what both hold alike makes them agree better
than their errors say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from recast_dm.capsule.comparison import histogram, structure
from recast_dm.capsule.comparison.documents import Malformed, Verdict, pointer
from recast_dm.capsule.comparison.histogram import Histogram
from recast_dm.spec.reference import Rule

_EDGES = Rule("", "json", rtol=1e-9)


@dataclass(frozen=True, slots=True)
class Tested:
    """The p-value of a pair of histograms, and what it comes from."""

    p: float
    detail: str


def compare(rule: Rule, first: Any, second: Any) -> Verdict:
    """Measured is the p-value; that of several histograms is the smallest times how many there are (Bonferroni).

    What is called `edges` (or `..._edges_...`) must be the same in both. Raises Malformed where there is no histogram.
    """
    (before, edges), (after, new_edges) = histogram.find(first, "first"), histogram.find(second, "second")
    if before.keys() != after.keys():
        lonely = min(map(pointer, before.keys() ^ after.keys()))
        return Verdict(False, "different", None, f"only one of them holds a histogram at {lonely}")
    if not (binning := structure.compare(_EDGES, edges, new_edges)).agrees:
        return Verdict(False, "different", None, f"other edges: {binning.detail}")
    tested = {}
    for place, one in before.items():
        other = after[place]
        if one.binned != other.binned or (one.binned and len(one.contents) != len(other.contents)):
            return Verdict(False, "different", None, f"other bins at {pointer(place)}")
        tested[place] = _test(rule, one, other)
    place, worst = min(tested.items(), key=lambda each: each[1].p)
    p = min(1.0, worst.p * len(tested))
    said = f" at {pointer(place)}, the worst of {len(tested)}" if len(tested) > 1 else ""
    return Verdict(p >= rule.min_p, p, rule.min_p, worst.detail + said + _power(before[place], after[place]))


def _power(one: Histogram, other: Histogram) -> str:
    """Says so when the errors are of quite another size: with large ones anything agrees."""
    first, second = (math.hypot(*each.errors.tolist()) for each in (one, other))
    if one.binned and (first > 2 * second or second > 2 * first):
        return f"; the errors are {first:.3g} and {second:.3g} in all"
    return ""


def _test(rule: Rule, one: Histogram, other: Histogram) -> Tested:
    import numpy as np

    with np.errstate(all="ignore"):  # numbers near the largest there is give infinities, and these disagree
        if not one.binned:
            return kolmogorov_of_samples(one, other)
        return kolmogorov(one, other) if rule.test == "ks" else chi2(one, other)


def chi2(one: Histogram, other: Histogram) -> Tested:
    """The chi-squared of the differences, every bin with an error counted as one degree of freedom.

    Bins without errors must be equal. For Poisson counts this is the two-sample test (a - b)^2 / (a + b): exact in its
    mean, and cautious where counts are small.
    """
    import numpy as np
    from scipy.special import chdtrc

    difference = np.abs(one.contents - other.contents)
    error = np.hypot(one.errors, other.errors)
    certain = (error == 0) & (difference > 0)
    if certain.any():
        return Tested(0.0, f"bin {int(np.argmax(certain))} differs, and has no error in either")
    used = error > 0
    ndf = int(used.sum())
    total = float(np.square(difference[used] / error[used]).sum())
    p = (float(chdtrc(ndf, total)) if math.isfinite(total) else 0.0) if ndf else 1.0
    return Tested(p, f"chi2/ndf = {total:.4g}/{ndf}")


def kolmogorov(one: Histogram, other: Histogram) -> Tested:
    """Kolmogorov-Smirnov on the normalised cumulative contents, and the sums with their errors.

    The p-value is twice the smaller one of the two. Bins make the first test cautious.
    """
    import numpy as np

    sums = [float(each.contents.sum()) for each in (one, other)]
    errors = [math.hypot(*each.errors.tolist()) for each in (one, other)]
    if not all(0 < total < math.inf for total in sums):
        raise Malformed("a histogram without a positive sum has no shape")
    cumulated = [np.cumsum(each.contents) / total for each, total in zip((one, other), sums, strict=True)]
    distance = float(np.max(np.abs(cumulated[0] - cumulated[1])))
    relative = math.hypot(*(error / total for error, total in zip(errors, sums, strict=True)))
    shape = _kolmogorov(distance, relative)
    apart, error = abs(sums[0] - sums[1]), math.hypot(*errors)
    pull = apart / error if error else math.inf if apart else 0.0
    p = min(1.0, 2 * min(shape, math.erfc(pull / math.sqrt(2))))
    return Tested(p, f"KS distance {distance:.4g}, sums {pull:.3g} standard deviations apart")


def kolmogorov_of_samples(one: Histogram, other: Histogram) -> Tested:
    """The two-sample Kolmogorov-Smirnov test of unbinned values, each sample normalised to one."""
    import numpy as np

    sums = [float(each.errors.sum()) for each in (one, other)]
    if not all(0 < total < math.inf for total in sums):
        raise Malformed("a sample without weight has no shape")
    values = np.concatenate([one.contents, other.contents])
    steps = np.concatenate([one.errors / sums[0], -other.errors / sums[1]])
    order = np.argsort(values, kind="stable")
    last = np.append(values[order][1:] != values[order][:-1], True)  # equal values are one step
    distance = float(np.max(np.abs(np.cumsum(steps[order])[last])))
    shares = [math.hypot(*(each.errors / total).tolist()) for each, total in zip((one, other), sums, strict=True)]
    return Tested(_kolmogorov(distance, math.hypot(*shares)), f"KS distance {distance:.4g}")


def _kolmogorov(distance: float, relative: float) -> float:
    """The p-value of a distance; `relative` is the square root of 1/n + 1/m, the effective numbers of entries."""
    from scipy.special import kolmogorov as survival

    if distance < 1e-12:  # rounding of the sums
        return 1.0
    return float(survival(distance / relative)) if relative else 0.0
