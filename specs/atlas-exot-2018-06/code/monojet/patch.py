"""The signal as a JSON patch on the background-only workspace.

The signal sample carries the parameter of interest `mu`, the luminosity's error, the errors of acceptance times
efficiency that all bins share, and, bin by bin, its Monte-Carlo statistical error. The error of the cross-section
belongs to the signal model: it scales the excluded cross-section, not its limit, and is not in the likelihood.
Events from outside may carry weights for other scales and parton distributions: their effect on the shape and on the
acceptance becomes `signal_scale` and `signal_pdf`, which then stands in the place of the general one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monojet.errors import InputError
from monojet.files import read_json
from monojet.histogram import SCHEMA as HISTOGRAM_SCHEMA
from monojet.workspace import CHANNEL, POI, read_workspace

SAMPLE = "signal"
SHARED_ERRORS = {
    "signal_experimental": (0.01, 0.07),
    "signal_radiation": (0.03, 0.06),
    "signal_pdf": (0.10, 0.10),
}
"""Relative errors of the signal that move all bins together, in the first and in the last bin; linear in between.

1 to 7 % for reconstruction, energy scales and resolutions, 3 to 6 % for the modelling of initial- and final-state
radiation, 10 % for the choice of parton distributions: arXiv:2102.10874 as a public recast of it sums it up, not
checked against the paper's own text. That they grow linearly with the bin is our simplification."""


def shared_error(name: str, yields: Sequence[float], ends: tuple[float, float]) -> dict[str, Any]:
    """A modifier that moves every bin by its relative error, all bins together.

    >>> shared_error("jes", [100.0, 10.0], (0.01, 0.1))["data"]
    {'hi_data': [101.0, 11.0], 'lo_data': [99.0, 9.0]}
    """
    relative = np.linspace(ends[0], ends[1], len(yields))
    return {
        "name": name,
        "type": "histosys",
        "data": {
            "hi_data": [float(x * (1 + r)) for x, r in zip(yields, relative, strict=True)],
            "lo_data": [float(x * (1 - r)) for x, r in zip(yields, relative, strict=True)],
        },
    }


def weights_error(name: str, yields: Sequence[float], shifts: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A modifier from relative shifts (up, down) of each bin, as the weights of events from outside give them.

    >>> weights_error("signal_scale", [100.0], [[0.1], [-0.2]])["data"]
    {'hi_data': [110.00000000000001], 'lo_data': [80.0]}
    """
    up, down = shifts
    return {
        "name": name,
        "type": "histosys",
        "data": {
            "hi_data": [x * (1 + r) for x, r in zip(yields, up, strict=True)],
            "lo_data": [x * (1 + r) for x, r in zip(yields, down, strict=True)],
        },
    }


def signal_sample(histogram: Mapping[str, Any]) -> dict[str, Any]:
    """The signal sample of one histogram document.

    A bin that no generated event reached has yield 0 and error 0: it does not help to exclude the signal,
    whatever `mu`, and so errs on the side of the weaker limit. So has a bin in which negative weights win.
    """
    filled = [y > 0 for y in histogram["yields"]]
    yields = [y if there else 0.0 for y, there in zip(histogram["yields"], filled, strict=True)]
    errors = [e if there else 0.0 for e, there in zip(histogram["yields_mc_error"], filled, strict=True)]
    from_weights = {f"signal_{name}": shifts for name, shifts in histogram.get("relative_errors", {}).items()}
    return {
        "name": SAMPLE,
        "data": yields,
        "modifiers": [
            {"name": POI, "type": "normfactor", "data": None},
            {"name": "lumi", "type": "lumi", "data": None},
            {"name": "signal_mc", "type": "staterror", "data": errors},
            *(shared_error(name, yields, ends) for name, ends in SHARED_ERRORS.items() if name not in from_weights),
            *(weights_error(name, yields, shifts) for name, shifts in from_weights.items()),
        ],
    }


def signal_patch(histogram: Mapping[str, Any], workspace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """RFC 6902 operations that turn the background-only workspace into signal plus background."""
    names = [channel["name"] for channel in workspace["channels"]]
    if CHANNEL not in names:
        raise InputError(f"the workspace has no channel {CHANNEL!r}")
    index = names.index(CHANNEL)
    channel = workspace["channels"][index]
    bins = len(channel["samples"][0]["data"])
    if len(histogram["yields"]) != bins:
        raise InputError(f"the histogram has {len(histogram['yields'])} bins, the workspace {bins}")
    return [{"op": "add", "path": f"/channels/{index}/samples/-", "value": signal_sample(histogram)}]


def read_patch(path: Path) -> list[dict[str, Any]]:
    """The operations in a patch file."""
    try:
        operations = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if not isinstance(operations, list):
        raise InputError(f"{path.name} is not a list of patch operations")
    return operations


def run(*, histogram_path: Path, workspace_path: Path, patch_path: Path) -> None:
    """The patch stage."""
    operations = signal_patch(read_json(histogram_path, HISTOGRAM_SCHEMA), read_workspace(workspace_path))
    patch_path.write_text(json.dumps(operations, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
