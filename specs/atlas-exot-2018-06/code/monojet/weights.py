"""Events from outside, weighed: sums of weights in bins, and the histogram of all shares.

The yield of a bin is sigma L (sum of weights in the bin) / (sum of weights of all events after matching): the sign of a
negative weight counts in the sum, its square in the error. Unweighted events are counted, so that their counts are
integers: one row for positive weights, one for negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet.errors import InputError, StageError
from monojet.variations import relative_errors

Array = npt.NDArray[np.float64]


def sums(
    particles: Mapping[str, npt.NDArray[Any]], passed: Mapping[str, npt.NDArray[np.bool_]], bins: Any, n_bins: int
) -> dict[str, Any]:
    """Sums over the events of a sample: all, after each cut, in each bin after the last; and varied.

    Added up in the order of the events' keys: a sample in another order gives the same bits.
    """
    order = np.argsort(particles["key"], kind="stable")
    weight = particles["weight"][order]
    chosen = list(passed.values())[-1][order]
    of = np.asarray(bins)[order][chosen]
    ratios = particles["ratios"][order] if "ratios" in particles else np.zeros((len(weight), 0))
    varied = weight[:, None] * ratios
    in_bins = np.zeros((ratios.shape[1], n_bins))
    np.add.at(in_bins.T, of, varied[chosen])
    return {
        "all": math.fsum(weight),
        "cuts": {cut: math.fsum(weight[mask[order]]) for cut, mask in passed.items()},
        "bins": np.bincount(of, weights=weight[chosen], minlength=n_bins).tolist(),
        "squares": np.bincount(of, weights=weight[chosen] ** 2, minlength=n_bins).tolist(),
        "varied_all": [math.fsum(column) for column in varied.T],
        "varied_bins": in_bins.tolist(),
    }


def merge_outside(selections: Sequence[Mapping[str, Any]], lumi_fb: float, schema: str) -> dict[str, Any]:
    """One histogram document from the selections of all shares of the same files."""
    generations = [s["generation"] for s in selections]
    told = [g["events"] for g in generations]
    first = told[0]
    _check_shares(told)
    added = {name: np.sum([s["sums"][name] for s in selections], axis=0) for name in ("bins", "squares")}
    after = math.fsum(s["sums"]["all"] for s in selections)
    if not after > 0:
        raise StageError(f"the weights of the events after matching sum to {after:g}: there is no cross-section")
    share = after / first["sum_of_weights"]
    sigma = first["sigma_pb"] * (1.0 if first["sigma_given"] else share)
    error = first["sigma_pb_error"] * share + _matching_error(first, share, sigma)
    counts = np.sum([s["counts"] for s in selections], axis=0)
    per_weight = sigma * 1000.0 * lumi_fb / after
    weights = per_weight * (np.array([1.0, -1.0]) if first["unweighted"] else np.array([1.0, 1.0]))
    unit = first["unweighted"]
    yields = weights @ counts if unit else per_weight * added["bins"]
    squares = weights**2 @ counts if unit else per_weight**2 * added["squares"]
    cuts = selections[0]["sums"]["cuts"]
    document = {
        "schema": schema,
        "seeds": [g["seed"] for g in generations],
        "lumi_fb": lumi_fb,
        "sigma_pb": sigma,
        "sigma_pb_mc_error": error,
        "width_gev": 0.0,
        "met_edges_gev": selections[0]["met_edges_gev"],
        "slice_edges_gev": [],
        "tried": sum(g["tried"] for g in generations),
        "seen": np.sum([g["seen"] for g in generations], axis=0).tolist(),
        "kept": np.sum([g["kept"] for g in generations], axis=0).tolist(),
        "counts": counts.tolist(),
        "weights": weights.tolist(),
        "unweighted": unit,
        "yields": yields.tolist(),
        "yields_mc_error": np.sqrt(squares).tolist(),
        "acceptance_times_efficiency": math.fsum(s["sums"]["cuts"][list(cuts)[-1]] for s in selections) / after,
        "cutflow": {cut: _cut(selections, cut, after) for cut in selections[0]["cutflow"]},
        "pythia_version": generations[0]["pythia_version"],
        "events": {**_common(first), "matching_efficiency": share},
    }
    return {**document, **_variations(selections, first, after, added["bins"])}


def _check_shares(told: Sequence[Mapping[str, Any]]) -> None:
    """The shares are those of the same files, and all of them are there."""
    if any(_common(t) != _common(told[0]) for t in told):
        raise InputError("samples of different files of events cannot be merged")
    number = told[0]["share"][1]
    if sorted(t["share"] for t in told) != [[k, number] for k in range(1, number + 1)]:
        raise InputError(f"of {number} shares of the events there are {len(told)}: they must all be there, once each")


def _common(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the document of every share says alike."""
    own = ("share", "events_in_share", "vetoed", "failed")
    return {name: value for name, value in told.items() if name not in own}


def _matching_error(told: Mapping[str, Any], share: float, sigma: float) -> float:
    """Binomial error of the share of events that matching keeps, in pb; 0 where nothing is vetoed."""
    if told["sigma_given"] or not 0 < share < 1:
        return 0.0
    return sigma * math.sqrt((1 - share) / (share * told["events"]))


def _cut(selections: Sequence[Mapping[str, Any]], cut: str, after: float) -> dict[str, Any]:
    return {
        "counts": np.sum([s["cutflow"][cut] for s in selections], axis=0).tolist(),
        "efficiency": math.fsum(s["sums"]["cuts"][cut] for s in selections) / after,
    }


def _variations(
    selections: Sequence[Mapping[str, Any]], told: Mapping[str, Any], after: float, nominal: Array
) -> dict[str, Any]:
    """What other scales and parton distributions do: to shape and acceptance bin by bin, and to the cross-section."""
    if not told["variations"]:
        return {}
    totals = np.sum([s["sums"]["varied_all"] for s in selections], axis=0)
    bins = np.sum([s["sums"]["varied_bins"] for s in selections], axis=0)
    if not (totals > 0).all():
        raise StageError("a variation of the weights has no cross-section")
    shapes = relative_errors(told["variations"], nominal / after, bins / totals[:, None])
    rates = relative_errors(told["variations"], np.array([1.0]), (totals / after)[:, None])
    return {
        "relative_errors": {name: shifts.tolist() for name, shifts in shapes.items()},
        "sigma_relative_errors": {name: shifts[:, 0].tolist() for name, shifts in rates.items()},
    }
