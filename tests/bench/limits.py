"""Limits: our likelihoods beside pyhf with numpy and scipy, and with jax, on one core and the same models.

CPU seconds of one hypotest (CLs observed and five expected), building the model included. Ours are timed on all
points; pyhf on a sample of them. Where pyhf's number is another than ours, its own likelihood decides: a spot check
minimises it from our optimum, and its column is the largest difference that it finds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recast_dm.backends import tool_environment
from recast_dm.statistics import check, found, independent
from recast_dm.statistics.asymptotic import Hypotest, Test, hypotests
from recast_dm.statistics.limit import Limit
from recast_dm.statistics.workspace import Model
from tests.bench.timing import TOOLS, table
from tests.likelihoods import ATLAS_SIGNAL, atlas_model, cms_efficiencies, cms_model, susy_model, susy_patches

LOCKS = Path(__file__).parent / "locks"
ONE_CORE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
HEAD = (
    "likelihood",
    "points",
    "ours, ms",
    *(f"pyhf {backend}{what}" for backend in ("numpy", "jax") for what in (", ms", ": times ours", ": CLs other by")),
    "spot check",
)


@dataclass(frozen=True, slots=True)
class Case:
    """Models, ours on all of them at once, and how many pyhf is asked for."""

    name: str
    models: Sequence[Model]
    ours: Callable[[Sequence[Model]], list[Hypotest]]
    sample: int


def cases() -> tuple[Case, ...]:
    strengths = np.linspace(0.3, 1.2, 1000)
    return (
        Case(
            "13 independent bins, ATLAS monojet",
            [atlas_model(strength * np.array(ATLAS_SIGNAL)) for strength in strengths],
            together,
            5,
        ),
        Case("66 bins with covariance, CMS monojet", [cms_point(*masses) for masses in cms_efficiencies()], singly, 3),
        Case("HistFactory, ATLAS SUSY-2018-31 A", [susy_model(name) for name in susy_patches()], singly, 6),
    )


def cms_point(m_med: float, m_dm: float) -> Model:
    """A signal of the size that the search excludes: 200 events."""
    efficiencies = cms_efficiencies()[m_med, m_dm]
    return cms_model(m_med, m_dm, 200 / (1000 * 137.0 * float(efficiencies.sum())))


def together(models: Sequence[Model]) -> list[Hypotest]:
    shape = independent.shape_of(models[0])
    assert shape is not None
    signals = np.array([model.patch[0]["value"]["data"] for model in models])
    return hypotests(independent.Independent(shape, signals))


def singly(models: Sequence[Model]) -> list[Hypotest]:
    return [Test(found.bind(model)).hypotest() for model in models]


def measure(*, quick: bool = False) -> None:
    jax = tool_environment.ensure("jax", LOCKS / "tool-jax.txt", TOOLS)
    rows, limits, failures = [], [], []
    for case in cases():
        models = case.models[:: 20 if quick else 1]
        case.ours(models[:1])
        ours, seconds = timed(lambda case=case, models=models: case.ours(models))
        chosen = np.linspace(0, len(models) - 1, case.sample).astype(int).tolist()
        tasks = [{"workspace": models[n].workspace, "patch": models[n].patch} for n in chosen]
        pythons = {"numpy": Path(sys.executable), "jax": jax}
        peers = {backend: theirs(python, backend, tasks) for backend, python in pythons.items()}
        rows.append(row(case, models, chosen, ours, seconds / len(models), peers))
        failures += [
            f"pyhf {name}, {case.name}: {each['failed']}" for name, of in peers.items() for each in of if each["failed"]
        ]
        limits.append((case.name, str(len(models)), *limit_seconds(models)))
    table("One hypotest on one core", HEAD, rows)
    table("Upper limits, observed and five expected, on one core", ("likelihood", "points", "s", "ms each"), limits)
    print("pyhf's failures: " + ("; ".join(failures) or "none in these samples") + "\n")


def timed(action: Callable[[], list[Hypotest]]) -> tuple[list[Hypotest], float]:
    began = time.process_time()
    return action(), time.process_time() - began


def theirs(python: Path, backend: str, tasks: Sequence[object]) -> list[dict]:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "tasks.json"
        file.write_text(json.dumps(tasks))
        words = [str(python), str(Path(__file__).parent / "pyhf_side.py"), backend, str(file)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env={**os.environ, **ONE_CORE})
    return json.loads(done.stdout)


def row(
    case: Case,
    models: Sequence[Model],
    chosen: Sequence[int],
    ours: Sequence[Hypotest],
    seconds: float,
    peers: dict[str, list[dict]],
) -> tuple[str, ...]:
    cells = [case.name, str(len(models)), f"{1000 * seconds:.3g}"]
    for of in peers.values():
        median = float(np.median([each["seconds"] for each in of]))
        off = [difference(each["cls"], ours[n]) for n, each in zip(chosen, of, strict=True) if each["cls"]]
        cells += [f"{1000 * median:.0f}", f"{median / seconds:.0f}", f"{max(off, default=float('nan')):.1e}"]
    checked = max(check.compare(models[n], limit(models[n], ours[n]))[0] for n in chosen)
    return *cells, f"{checked:.0e}"


def difference(theirs_: Sequence[float], ours: Hypotest) -> float:
    return float(np.abs(np.array(theirs_) - np.array([ours.cls_obs, *ours.cls_exp])).max())


def limit(model: Model, at_one: Hypotest) -> Limit:
    upper = Test(found.bind(model)).upper_limits()
    return Limit(
        sigma_pb=1.0,
        sigma_pb_mc_error=0.0,
        cls_obs=at_one.cls_obs,
        cls_exp=at_one.cls_exp,
        mu_upper_obs=upper.observed,
        mu_upper_exp=upper.expected,
        mu_upper_obs_mc_error=0.0,
        mu_upper_exp_mc_error=0.0,
        correlation_model="any",
    )


def limit_seconds(models: Sequence[Model]) -> tuple[str, str]:
    """All limits, one model after the other, as a limit stage sets them."""
    began = time.process_time()
    for model in models:
        Test(found.bind(model)).upper_limits()
    seconds = time.process_time() - began
    return f"{seconds:.1f}", f"{1000 * seconds / len(models):.1f}"
