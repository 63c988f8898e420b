"""The search's event selection (arXiv:2102.10874, section 5) and the counts that leave it.

Missing transverse momentum above 200 GeV; no electron, muon or photon; a leading jet with pT > 150 GeV and
|eta| < 2.4; at most four jets with pT > 30 GeV and |eta| < 2.8; every such jet away from the missing
transverse momentum, by 0.4 in azimuth (0.6 below 250 GeV).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet.detector import Events, detect
from monojet.errors import InputError
from monojet.files import read_arrays, read_json, write_json
from monojet.generate import SCHEMA as GENERATION_SCHEMA
from monojet.weights import sums

SCHEMA = "monojet/selection/1"

MET_EDGES_GEV = (200.0, 250.0, 300.0, 350.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0, 1200.0)
"""Lower edges of the thirteen exclusive bins EM00 to EM12; the last one has no upper edge."""

CUTS = ("generated", "met", "no_lepton", "no_photon", "leading_jet", "at_most_four_jets", "jets_away_from_met")

Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]


def delta_phi(a: Array, b: Array) -> Array:
    """Azimuthal distance in [0, pi].

    >>> delta_phi(np.array([3.0]), np.array([-3.0])).round(3).tolist()
    [0.283]
    """
    return np.abs((a - b + np.pi) % (2 * np.pi) - np.pi)


def has_lepton(events: Events) -> Mask:
    """Events with an electron (pT > 7, |eta| < 2.47) or a muon (pT > 7, |eta| < 2.5), wherever it comes from."""
    leptons = events.leptons
    eta_max = np.where(leptons.pdg == 11, 2.47, 2.5)
    hard = (leptons.pt > 7) & (np.abs(leptons.eta) < eta_max)
    found: Mask = np.bincount(leptons.event[hard], minlength=len(events.met)) > 0
    return found


def has_photon(events: Events) -> Mask:
    """Events with an isolated photon (pT > 10, |eta| < 2.37)."""
    central = np.abs(events.photons.eta) < 2.37
    found: Mask = np.bincount(events.photons.event[central], minlength=len(events.met)) > 0
    return found


def select(events: Events) -> dict[str, Mask]:
    """Which events pass each cut of CUTS and all the cuts before it."""
    jets, met, n = events.jets, events.met, len(events.met)
    met_phi = np.arctan2(events.met_py, events.met_px)
    counted = (jets.pt > 30) & (np.abs(jets.eta) < 2.8)
    leading_pt = np.zeros(n)
    np.maximum.at(leading_pt, jets.event[counted], jets.pt[counted])
    leads = counted & (jets.pt == leading_pt[jets.event]) & (jets.pt > 150) & (np.abs(jets.eta) < 2.4)
    near = counted & (delta_phi(jets.phi, met_phi[jets.event]) < np.where(met < 250, 0.6, 0.4)[jets.event])
    masks = (
        np.ones(n, dtype=bool),
        met > MET_EDGES_GEV[0],
        ~has_lepton(events),
        ~has_photon(events),
        np.bincount(jets.event[leads], minlength=n) > 0,
        np.bincount(jets.event[counted], minlength=n) <= 4,
        np.bincount(jets.event[near], minlength=n) == 0,
    )
    return dict(zip(CUTS, itertools.accumulate(masks, np.logical_and), strict=True))


def met_bin(met: Array) -> npt.NDArray[np.int64]:
    """Bin number of each event, -1 below the first edge; everything above the last edge is in the last bin.

    >>> met_bin(np.array([199.0, 200.0, 1199.0, 1200.0, 5000.0])).tolist()
    [-1, 0, 11, 12, 12]
    """
    return np.searchsorted(np.array(MET_EDGES_GEV), met, side="right") - 1


def count(passed: Mask, met: Array, slices: npt.NDArray[Any], n_slices: int) -> npt.NDArray[np.int64]:
    """Integer counts, one row a slice and one column a bin, of the events that passed."""
    counts = np.zeros((n_slices, len(MET_EDGES_GEV)), dtype=np.int64)
    np.add.at(counts, (slices[passed], met_bin(met[passed])), 1)
    return counts


def run(*, events_path: Path, generation_path: Path, selection_path: Path) -> None:
    """The select stage: write the counts in slices and bins, with the generator's counts beside them."""
    generation = read_json(generation_path, GENERATION_SCHEMA)
    particles = read_arrays(events_path)
    n_slices = len(generation["kept"])
    slices = particles["slice"]
    if np.bincount(slices, minlength=n_slices).tolist() != generation["kept"]:
        raise InputError(f"{events_path.name} does not hold the events that {generation_path.name} counts")
    events = detect(particles, generation["seed"])
    passed = select(events)
    document = {
        "schema": SCHEMA,
        "generation": generation,
        "met_edges_gev": MET_EDGES_GEV,
        "counts": count(passed[CUTS[-1]], events.met, slices, n_slices).tolist(),
        "cutflow": {cut: np.bincount(slices[mask], minlength=n_slices).tolist() for cut, mask in passed.items()},
    }
    if "weight" in particles:
        document["sums"] = sums(particles, passed, met_bin(events.met), len(MET_EDGES_GEV))
    write_json(selection_path, document)
