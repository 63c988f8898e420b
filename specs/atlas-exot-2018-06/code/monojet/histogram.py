"""Merge the samples: integer counts first, then weights, yields and their Monte-Carlo errors.

The weight of an event of slice k is sigma L (seen_k / tried) / kept_k, where `tried` events were started,
`seen_k` of them had their recoil in slice k and `kept_k` of those were finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet.errors import InputError, StageError
from monojet.files import read_json, write_json
from monojet.selection import SCHEMA as SELECTION_SCHEMA
from monojet.weights import merge_outside

SCHEMA = "monojet/histogram/1"
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CrossSection:
    """A cross-section and its MC error, both in pb."""

    pb: float
    mc_error_pb: float


def pooled_cross_section(generations: Sequence[dict[str, Any]]) -> CrossSection:
    """Mean of independent samples' cross-sections, each weighted by its number of tries.

    >>> pooled_cross_section([{"sigma_pb": 1.0, "sigma_pb_mc_error": 0.1, "tried": 10},
    ...                       {"sigma_pb": 3.0, "sigma_pb_mc_error": 0.1, "tried": 30}]).pb
    2.5
    """
    tried = np.array([g["tried"] for g in generations], dtype=np.float64)
    share = tried / tried.sum()
    pb = float(share @ [g["sigma_pb"] for g in generations])
    error = float(np.sqrt(share**2 @ np.array([g["sigma_pb_mc_error"] for g in generations]) ** 2))
    return CrossSection(pb=pb, mc_error_pb=error)


def slice_efficiencies(tried: int, seen: Sequence[int], kept: Sequence[int]) -> Array:
    """What one selected event of each slice adds to acceptance times efficiency (0 for an empty slice).

    >>> slice_efficiencies(100, [20, 4, 0], [10, 4, 0]).round(12).tolist()
    [0.02, 0.01, 0.0]
    """
    kept_events = np.asarray(kept, dtype=np.float64)
    share = np.asarray(seen, dtype=np.float64) / tried
    return np.divide(share, kept_events, out=np.zeros_like(share), where=kept_events > 0)


def merge(selections: Sequence[dict[str, Any]], lumi_fb: float) -> dict[str, Any]:
    """One `monojet/histogram/1` document from the `monojet/selection/1` documents of all samples."""
    generations = [s["generation"] for s in selections]
    if len({g["seed"] for g in generations}) != len(generations):
        raise InputError("two samples have the same seed: they hold the same events")
    for key, documents in (("met_edges_gev", selections), ("slice_edges_gev", generations)):
        if any(d[key] != documents[0][key] for d in documents):
            raise InputError(f"samples with different {key} cannot be merged")
    counts = np.sum([s["counts"] for s in selections], axis=0)
    tried = sum(g["tried"] for g in generations)
    seen = np.sum([g["seen"] for g in generations], axis=0)
    kept = np.sum([g["kept"] for g in generations], axis=0)
    if counts.sum() == 0:
        raise StageError(f"none of {int(kept.sum())} generated events passes the selection")
    if "events" in generations[0]:
        return merge_outside(selections, lumi_fb, SCHEMA)
    sigma = pooled_cross_section(generations)
    efficiencies = slice_efficiencies(tried, seen, kept)
    weights = sigma.pb * 1000.0 * lumi_fb * efficiencies
    cutflow = {cut: np.sum([s["cutflow"][cut] for s in selections], axis=0) for cut in selections[0]["cutflow"]}
    return {
        "schema": SCHEMA,
        "seeds": [g["seed"] for g in generations],
        "lumi_fb": lumi_fb,
        "sigma_pb": sigma.pb,
        "sigma_pb_mc_error": sigma.mc_error_pb,
        "width_gev": generations[0]["width_gev"],
        "met_edges_gev": selections[0]["met_edges_gev"],
        "slice_edges_gev": generations[0]["slice_edges_gev"],
        "tried": tried,
        "seen": seen.tolist(),
        "kept": kept.tolist(),
        "counts": counts.tolist(),
        "weights": weights.tolist(),
        "yields": (weights @ counts).tolist(),
        "yields_mc_error": np.sqrt(weights**2 @ counts).tolist(),
        "acceptance_times_efficiency": float(efficiencies @ counts.sum(axis=1)),
        "cutflow": {cut: {"counts": n.tolist(), "efficiency": float(efficiencies @ n)} for cut, n in cutflow.items()},
        "pythia_version": generations[0]["pythia_version"],
    }


def run(*, selection_paths: Sequence[Path], lumi_fb: float, histogram_path: Path) -> None:
    """The histogram stage."""
    selections = sorted(
        (read_json(path, SELECTION_SCHEMA) for path in selection_paths), key=lambda s: s["generation"]["seed"]
    )
    write_json(histogram_path, merge(selections, lumi_fb))
