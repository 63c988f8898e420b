"""Workspaces and signals that the tests, the campaigns and the bench of the statistics share."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recast_dm.statistics import gaussian
from recast_dm.statistics.workspace import Model

SPECS = Path(__file__).parents[1] / "specs"
CMS = SPECS / "cms-exo-20-004/data"
SUSY = SPECS / "atlas-susy-2018-31/data"
LUMINOSITY_FB = 137.0
SIGMA_PB = {1000: 8.33, 1500: 1.413, 2000: 0.3526, 2250: 0.1906}
"""LO cross-sections of pp -> Z' -> chi chi, axial-vector, g_q = 0.25, g_dm = 1, m_dm = 1 GeV, 13 TeV: our Pythia 8."""


def signal_patch(yields: Sequence[float] | np.ndarray, channel: int = 0, poi: str = "mu") -> list[dict[str, Any]]:
    modifiers = [{"name": poi, "type": "normfactor", "data": None}]
    sample = {"name": "signal", "data": [float(x) for x in yields], "modifiers": modifiers}
    return [{"op": "add", "path": f"/channels/{channel}/samples/-", "value": sample}]


@cache
def cms_workspace() -> dict[str, Any]:
    bins = yaml.safe_load((CMS / "bins.yaml").read_text())["bins"]
    covariance = np.loadtxt(CMS / "covariance_66x66.csv", delimiter=",", skiprows=1, usecols=range(1, 67))
    return gaussian.workspace(
        channel="monojet",
        observed=[each["observed"] for each in bins],
        background=[each["background"] for each in bins],
        covariance=covariance,
    )


@cache
def cms_efficiencies() -> dict[tuple[float, float], np.ndarray]:
    with (CMS / "efficiency_TRV1.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    return {(float(row[0]), float(row[1])): np.array([float(x) for x in row[2:]]) for row in rows}


def cms_model(m_med: float, m_dm: float = 1.0, sigma_pb: float | None = None) -> Model:
    sigma = SIGMA_PB[int(m_med)] if sigma_pb is None else sigma_pb
    yields = 1000 * sigma * LUMINOSITY_FB * cms_efficiencies()[m_med, m_dm]
    return Model(cms_workspace(), signal_patch(yields), "cms")


@cache
def susy_background() -> dict[str, Any]:
    return json.loads((SUSY / "BkgOnly.json").read_text())


@cache
def susy_patches() -> dict[str, list[dict[str, Any]]]:
    document = json.loads(gzip.decompress((SUSY / "patchset.json.gz").read_bytes()))
    return {patch["metadata"]["name"]: patch["patch"] for patch in document["patches"]}


def susy_model(name: str) -> Model:
    return Model(susy_background(), susy_patches()[name], "susy")


def counting(
    observed: Sequence[float],
    background: Sequence[float],
    error: Sequence[float],
    signal: Sequence[float],
    rho: float = 0.0,
) -> Model:
    """Bins with one error each, any two of them correlated by rho."""
    b, d = np.array(background, dtype=float), np.array(error, dtype=float)
    shifts = {}
    if rho < 1:
        shifts |= {f"bin{i}": np.sqrt(1 - rho) * d * (np.arange(len(d)) == i) for i in range(len(d))}
    if rho > 0:
        shifts["common"] = np.sqrt(rho) * d
    modifiers = [
        {"name": name, "type": "histosys", "data": {"hi_data": (b + v).tolist(), "lo_data": (b - v).tolist()}}
        for name, v in shifts.items()
    ]
    workspace = {
        "channels": [{"name": "SR", "samples": [{"name": "b", "data": b.tolist(), "modifiers": modifiers}]}],
        "observations": [{"name": "SR", "data": [float(x) for x in observed]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    return Model(workspace, signal_patch(signal))


@cache
def _atlas_yields() -> tuple[list[float], list[float], list[float]]:
    document = yaml.safe_load((SPECS / "atlas-exot-2018-06/data/yields.yaml").read_text())["exclusive"]
    return tuple([float(each[key]) for each in document] for key in ("observed", "background", "bkg_error"))


def atlas_model(signal: Sequence[float], rho: float = 0.0) -> Model:
    """ATLAS' thirteen monojet bins, 139 fb-1."""
    return counting(*_atlas_yields(), signal, rho)


ATLAS_SIGNAL = (3300, 2500, 1900, 2600, 1700, 700, 330, 170, 90, 50, 29, 18, 30)
"""Events that a mediator of some 1 TeV would leave in these bins, roughly: for tests only."""


def random_model(seed: int) -> Model:
    """A workspace of one to three channels with every kind of modifier, and a signal of about the size of its limit."""
    return _Dice(seed).model()


class _Dice:
    """Draws a model: what pyhf allows, with yields and errors as analyses have them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.sizes = self.random.integers(1, 5, size=self.random.integers(1, 4)).tolist()
        self.lumi = bool(self.random.random() < 0.4)

    def model(self) -> Model:
        channels, observations = [], []
        free = len(self.sizes) > 1 and self.random.random() < 0.5
        shape = len(self.sizes) > 1 and self.sizes[0] == self.sizes[1] and self.random.random() < 0.5
        for index, size in enumerate(self.sizes):
            samples = [self.background(index, k, size) for k in range(self.random.integers(1, 4))]
            if free:  # one background's size is measured by the last channel, which has no signal
                samples[0]["modifiers"].append({"name": "k_b0", "type": "normfactor", "data": None})
            if shape and index < 2:
                samples[-1]["modifiers"].append({"name": "shape", "type": "shapefactor", "data": None})
            channels.append({"name": f"channel{index}", "samples": samples})
            total = np.sum([sample["data"] for sample in samples], axis=0)
            counts = self.random.poisson(total * self.random.normal(1, 0.05, size).clip(0.8, 1.2))
            observations.append({"name": f"channel{index}", "data": counts.astype(float).tolist()})
        workspace = {
            "channels": channels,
            "observations": observations,
            "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": self.parameters()}}],
            "version": "1.0.0",
        }
        return Model(workspace, self.patch(channels))

    def parameters(self) -> list[dict[str, Any]]:
        if not self.lumi:
            return []
        return [{"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.8, 1.2]], "inits": [1.0]}]

    def background(self, channel: int, k: int, size: int) -> dict[str, Any]:
        data = 10 ** self.random.uniform(0.8, 2.6) * np.exp(-0.5 * np.arange(size)) + 3
        modifiers = self.systematics(data)
        if self.random.random() < 0.6:
            modifiers.append(
                {
                    "name": f"stat{channel}",
                    "type": "staterror",
                    "data": (data * self.random.uniform(0.01, 0.1)).tolist(),
                }
            )
        elif self.random.random() < 0.4:
            errors = (data * self.random.uniform(0.02, 0.2, size)).tolist()
            modifiers.append({"name": f"shape{channel}_{k}", "type": "shapesys", "data": errors})
        return {"name": f"b{k}", "data": data.tolist(), "modifiers": modifiers}

    def systematics(self, data: np.ndarray) -> list[dict[str, Any]]:
        modifiers: list[dict[str, Any]] = []
        for name in ("jes", "jer", "scale"):
            if self.random.random() < 0.5:
                up, down = self.random.normal(0, 0.08, (2, len(data))).clip(-0.25, 0.25)
                shifted = {"hi_data": (data * (1 + up)).tolist(), "lo_data": (data * (1 - down)).tolist()}
                modifiers.append({"name": name, "type": "histosys", "data": shifted})
        for name in ("scale", "xs", "pdf"):
            if self.random.random() < 0.4:
                size = self.random.uniform(0.01, 0.2)
                data_ = {"hi": 1 + size, "lo": 1 - size * self.random.uniform(0.5, 1.2)}
                modifiers.append({"name": name, "type": "normsys", "data": data_})
        if self.lumi:
            modifiers.append({"name": "lumi", "type": "lumi", "data": None})
        return modifiers

    def patch(self, channels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A signal in all channels but the last (where there are two or more), near what the data can exclude."""
        operations = []
        hit = range(max(1, len(channels) - 1))
        errors = self.random.random() < 0.5
        strength = self.random.uniform(0.5, 3)
        for index in hit:
            total = np.sum([sample["data"] for sample in channels[index]["samples"]], axis=0)
            data = strength * (np.sqrt(total) + 0.05 * total) * self.random.uniform(0.2, 1.5, len(total))
            modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
            modifiers += self.systematics(data) if errors else []
            if errors and self.random.random() < 0.5:
                modifiers.append({"name": f"mc{index}", "type": "staterror", "data": (0.05 * data).tolist()})
            sample = {"name": "signal", "data": data.tolist(), "modifiers": modifiers}
            operations.append({"op": "add", "path": f"/channels/{index}/samples/-", "value": sample})
        return operations
