"""Workspaces that are a simplified likelihood: bins whose backgrounds move by Gaussian shifts and by nothing else.

The workspace holds one channel or more, each with one background sample whose modifiers are all `histosys` with
symmetric variations (b + v and b - v). pyhf interpolates these linearly, so that bin i expects
b_i + sum_k v_ki alpha_k with alpha_k ~ N(0, 1): a Gaussian of covariance sum_k v_k v_k^T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recast_dm.statistics.likelihood import Array, Fit, Index
from recast_dm.statistics.workspace import Document, Model, Sample, samples

SYMMETRIC = 1e-9
"""How far b + v and b - v may be from symmetric, relative to b + |v|: text keeps fewer digits than a float."""
BOUNDARY = 0.99
"""How much of the way to a rate of zero a step may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """All channels' bins one after the other: counts, background, and shifts (bins,) by parameter name."""

    observed: Array
    background: Array
    shifts: Mapping[str, Array]
    slices: Mapping[str, slice]


def bins(model: Model) -> Bins | None:
    """The bins of a background-only workspace; None when it is not a simplified likelihood."""
    workspace = model.workspace
    configured = {parameter["name"] for parameter in workspace["measurements"][0]["config"].get("parameters", [])}
    counts = {str(each["name"]): each["data"] for each in workspace["observations"]}
    found = samples(workspace["channels"])
    if len(found) != len(workspace["channels"]) or len({sample.channel for sample in found}) != len(found):
        return None
    slices, size = {}, 0
    for sample in found:
        slices[sample.channel] = slice(size, size + len(sample.data))
        size += len(sample.data)
    shifts: dict[str, Array] = {}
    for sample in found:
        for modifier in sample.modifiers:
            shift = _shift(sample, modifier)
            if shift is None or modifier["name"] in configured:
                return None
            shifts.setdefault(modifier["name"], np.zeros(size))[slices[sample.channel]] += shift
    return Bins(
        observed=np.array([x for sample in found for x in counts[sample.channel]], dtype=np.float64),
        background=np.array([x for sample in found for x in sample.data], dtype=np.float64),
        shifts=shifts,
        slices=slices,
    )


def _shift(sample: Sample, modifier: Document) -> Array | None:
    if modifier["type"] != "histosys":
        return None
    nominal = np.array(sample.data)
    up, down = (np.array(modifier["data"][side], dtype=np.float64) for side in ("hi_data", "lo_data"))
    if up.shape != nominal.shape or down.shape != nominal.shape:
        return None
    shift: Array = (up - down) / 2
    if np.any(np.abs(up + down - 2 * nominal) > SYMMETRIC * (np.abs(nominal) + np.abs(shift))):
        return None
    return shift


def plain_signal(model: Model) -> Array | None:
    """The signal's events in the bins, when all that the patch adds is a signal without errors; else None."""
    if model.added is None or model.added[1]:
        return None
    slices, size = {}, 0
    for channel in model.workspace["channels"]:
        count = len(channel["samples"][0]["data"])
        slices[channel["name"]] = slice(size, size + count)
        size += count
    signal = np.zeros(size)
    for sample in model.added[0]:
        place = slices[sample.channel]
        kinds = [(modifier["type"], modifier["name"]) for modifier in sample.modifiers]
        if kinds != [("normfactor", model.poi)] or len(sample.data) != place.stop - place.start:
            return None
        signal[place] += sample.data
    return signal


def fraction(rate: Array, change: Array, counts: Array) -> Array:
    """How far (at most 1) each row may go along `change` so that rates of bins with counts stay positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where((change < 0) & (counts > 0), -BOUNDARY * rate / change, np.inf)
    found: Array = np.minimum(room.min(axis=1), 1.0)
    return found


def merged(all_rows: Fit, rows: Index, better: Fit) -> Fit:
    """A fit with some of its rows replaced."""
    parts: dict[str, Any] = {}
    for name in ("mu", "value", "slope", "parameters"):
        parts[name] = getattr(all_rows, name).copy()
        parts[name][rows] = getattr(better, name)
    return Fit(**parts)


def workspace(
    *,
    channel: str,
    observed: Sequence[float],
    background: Sequence[float],
    covariance: Sequence[Sequence[float]] | Array,
    poi: str = "mu",
) -> dict[str, Any]:
    """A background-only pyhf workspace of a simplified likelihood: one `histosys` for each eigenvector of V.

    With V = sum_k lambda_k e_k e_k^T, the variation of `<channel>_eigen<k>` is +-sqrt(lambda_k) e_k, the largest first.
    Raises ValueError for a covariance that is not symmetric or not positive definite.

    >>> document = workspace(channel="SR", observed=[9], background=[10.0], covariance=[[4.0]])
    >>> document["channels"][0]["samples"][0]["modifiers"][0]["data"]
    {'hi_data': [12.0], 'lo_data': [8.0]}
    """
    b, v = np.asarray(background, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if v.shape != (len(b), len(b)) or not np.allclose(v, v.T, rtol=1e-6, atol=0):
        raise ValueError("a covariance is a symmetric matrix with a row for each bin")
    values, vectors = np.linalg.eigh((v + v.T) / 2)
    if values[0] <= 0:
        raise ValueError(f"the covariance is not positive definite: its least eigenvalue is {values[0]:.3g}")
    shifts = (vectors * np.sqrt(values)).T[::-1]
    shifts *= np.sign(shifts[np.arange(len(b)), np.abs(shifts).argmax(axis=1)])[:, None]  # eigh leaves the sign open
    modifiers = [
        {
            "name": f"{channel}_eigen{k}",
            "type": "histosys",
            "data": {"hi_data": (b + shift).tolist(), "lo_data": (b - shift).tolist()},
        }
        for k, shift in enumerate(shifts)
    ]
    return {
        "channels": [
            {"name": channel, "samples": [{"name": "background", "data": b.tolist(), "modifiers": modifiers}]}
        ],
        "observations": [{"name": channel, "data": [float(x) for x in observed]}],
        "measurements": [{"name": f"{channel}, simplified likelihood", "config": {"poi": poi, "parameters": []}}],
        "version": "1.0.0",
    }
