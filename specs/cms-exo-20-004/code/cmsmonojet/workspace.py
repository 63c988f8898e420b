"""The background-only likelihood: a pyhf workspace from the bins and their covariance, one channel a year.

CMS publishes the post-fit background b of the 66 bins and its covariance V = sum_k lambda_k e_k e_k^T. So they expect

    b + sum_k sqrt(lambda_k) e_k alpha_k,    alpha_k ~ N(0, 1)

where alpha_k moves all three years together. In pyhf these are `histosys` modifiers with symmetric variations, for
which its interpolation is exactly linear, and which channels share by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monojet.errors import InputError
from monojet.files import write_json

from cmsmonojet import search
from cmsmonojet.search import BINS_A_YEAR, CORRELATION_MODEL, NAMES, YEARS, Search

POI = "mu"
Array = npt.NDArray[np.float64]


def channel(year: int) -> str:
    """The channel of a year.

    >>> channel(2018)
    'monojet_2018'
    """
    return f"monojet_{year}"


def read_covariance(path: Path) -> Array:
    """The covariance of the background (66, 66), in events squared. Raises InputError."""
    columns = range(1, len(NAMES) + 1)
    try:
        names = path.read_text(encoding="utf-8").splitlines()[0].split(",")[1:]
        covariance = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2)
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if tuple(names) != NAMES or covariance.shape != (len(NAMES), len(NAMES)):
        raise InputError(f"{path.name} is not the covariance of the {len(NAMES)} bins in their order")
    return covariance


def shifts(covariance: Array) -> Array:
    """One row for each independent shift of all bins by one standard deviation, the largest first.

    >>> shifts(np.diag([4.0, 9.0])).tolist()
    [[0.0, 3.0], [2.0, 0.0]]
    """
    if not np.allclose(covariance, covariance.T, rtol=1e-6, atol=0.0):
        raise InputError("the covariance is not symmetric")
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= 0:
        raise InputError(f"the covariance is not positive definite: its least eigenvalue is {values[0]:.3g}")
    rows: Array = (vectors * np.sqrt(values)).T[::-1]
    largest = np.abs(rows).argmax(axis=1)
    rows = rows * np.sign(rows[np.arange(len(rows)), largest])[:, None]  # an eigenvector has no sign of its own
    return rows + 0.0


def background_only(bins: Search, covariance: Array) -> dict[str, Any]:
    """A pyhf workspace without signal; the patch of `signal` adds the signal and with it the parameter of interest."""
    background, moved = np.array(bins.background), shifts(covariance)
    if len(moved) != len(background):
        raise InputError(f"the covariance has {len(moved)} bins, the search {len(background)}")
    parts = {channel(year): slice(i * BINS_A_YEAR, (i + 1) * BINS_A_YEAR) for i, year in enumerate(YEARS)}
    return {
        "channels": [
            {"name": name, "samples": [_sample(background[part], moved[:, part])]} for name, part in parts.items()
        ],
        "observations": [{"name": name, "data": list(bins.observed[part])} for name, part in parts.items()],
        "measurements": [
            {"name": f"monojet, correlation model {CORRELATION_MODEL}", "config": {"poi": POI, "parameters": []}}
        ],
        "version": "1.0.0",
    }


def _sample(background: Array, moved: Array) -> dict[str, Any]:
    modifiers = [
        {
            "name": f"background_{k:02d}",
            "type": "histosys",
            "data": {"hi_data": (background + shift).tolist(), "lo_data": (background - shift).tolist()},
        }
        for k, shift in enumerate(moved)
    ]
    return {"name": "background", "data": background.tolist(), "modifiers": modifiers}


def run(*, bins_path: Path, covariance_path: Path, workspace_path: Path) -> None:
    """The workspace stage."""
    write_json(workspace_path, background_only(search.read(bins_path), read_covariance(covariance_path)))
