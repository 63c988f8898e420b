"""The background-only likelihood: a pyhf workspace from the published yields and a correlation model.

ATLAS publishes the post-fit background b_i and its total error d_i of each bin, but no correlations. With
rho the share of the variance that all bins have in common, bin i expects

    b_i + d_i (sqrt(1 - rho) alpha_i + sqrt(rho) alpha_0),    alpha_i, alpha_0 ~ N(0, 1),

so that any two bins are correlated with rho: 0 (`independent`), 1/2 (`half`) or 1 (`full`). In pyhf these
are `histosys` modifiers with symmetric variations, for which its interpolation is exactly linear.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monojet.errors import InputError
from monojet.files import write_json

CHANNEL = "monojet"
POI = "mu"
CORRELATION_MODELS: Mapping[str, float] = {"independent": 0.0, "half": 0.5, "full": 1.0}
"""Named correlation models and the correlation between any two bins."""

LUMINOSITY_ERROR = 0.017
"""Relative error of the 2015-2018 luminosity, ATLAS-CONF-2019-021 as used by arXiv:2102.10874."""


@dataclass(frozen=True, kw_only=True)
class Yields:
    """Published yields of the exclusive bins, in events, in ascending order of missing momentum."""

    lumi_fb: float
    regions: tuple[str, ...]
    met_edges_gev: tuple[float, ...]
    observed: tuple[float, ...]
    background: tuple[float, ...]
    background_error: tuple[float, ...]


def read_yields(path: Path) -> Yields:
    """Read the yields file; its bins must be adjacent and only the last one open."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        bins = document["exclusive"]
        yields = Yields(
            lumi_fb=float(document["lumi_fb"]),
            regions=tuple(b["region"] for b in bins),
            met_edges_gev=tuple(float(b["met_low"]) for b in bins),
            observed=tuple(float(b["observed"]) for b in bins),
            background=tuple(float(b["background"]) for b in bins),
            background_error=tuple(float(b["bkg_error"]) for b in bins),
        )
        upper = [b["met_high"] for b in bins]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error!r}") from error
    if upper != [*yields.met_edges_gev[1:], None]:
        raise InputError(f"{path.name}: the exclusive bins are not adjacent")
    return yields


def background_variations(error: Sequence[float], rho: float) -> dict[str, list[float]]:
    """The shift of each bin for one standard deviation of each nuisance parameter.

    >>> background_variations([3.0, 4.0], rho=0.0)
    {'background_bin0': [3.0, 0.0], 'background_bin1': [0.0, 4.0]}
    >>> background_variations([3.0, 4.0], rho=1.0)
    {'background_common': [3.0, 4.0]}
    """
    variations = {}
    if rho < 1:
        for i, d in enumerate(error):
            variations[f"background_bin{i}"] = [d * math.sqrt(1 - rho) if j == i else 0.0 for j in range(len(error))]
    if rho > 0:
        variations["background_common"] = [d * math.sqrt(rho) for d in error]
    return variations


def background_only(yields: Yields, correlation_model: str) -> dict[str, Any]:
    """A pyhf workspace without signal; `patch` adds the signal sample and with it the parameter of interest."""
    if correlation_model not in CORRELATION_MODELS:
        raise InputError(f"correlation model {correlation_model!r} is none of {', '.join(CORRELATION_MODELS)}")
    b = yields.background
    modifiers = [
        {
            "name": name,
            "type": "histosys",
            "data": {
                "hi_data": [x + d for x, d in zip(b, shift, strict=True)],
                "lo_data": [x - d for x, d in zip(b, shift, strict=True)],
            },
        }
        for name, shift in background_variations(yields.background_error, CORRELATION_MODELS[correlation_model]).items()
    ]
    return {
        "channels": [{"name": CHANNEL, "samples": [{"name": "background", "data": list(b), "modifiers": modifiers}]}],
        "observations": [{"name": CHANNEL, "data": list(yields.observed)}],
        "measurements": [
            {
                "name": f"{CHANNEL}, correlation model {correlation_model}",
                "config": {
                    "poi": POI,
                    "parameters": [
                        {
                            "name": "lumi",
                            "auxdata": [1.0],
                            "sigmas": [LUMINOSITY_ERROR],
                            "bounds": [[1 - 5 * LUMINOSITY_ERROR, 1 + 5 * LUMINOSITY_ERROR]],
                            "inits": [1.0],
                        }
                    ],
                },
            }
        ],
        "version": "1.0.0",
    }


def read_workspace(path: Path) -> dict[str, Any]:
    """The workspace in a file."""
    try:
        workspace = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if not isinstance(workspace, dict) or "channels" not in workspace:
        raise InputError(f"{path.name} is not a pyhf workspace")
    return workspace


def run(*, yields_path: Path, correlation_model: str, workspace_path: Path) -> None:
    """The workspace stage."""
    write_json(workspace_path, background_only(read_yields(yields_path), correlation_model))
