"""The search's event selection (arXiv:2107.13021, monojet category) and the counts that leave it.

Missing transverse momentum above 250 GeV; no isolated electron or muon, no isolated photon, no b-tagged jet; a leading
jet with pT > 100 GeV and |eta| < 2.4; the four leading jets with pT > 30 GeV away from the missing transverse momentum
by more than 0.5 in azimuth. In 2018 a part of the hadron calorimeter was off: events with a jet there, or with less
than 470 GeV missing in its direction, are lost. Every event stands for all three years, and 2018 has its own counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monojet.detector import Events, Jets, detect, polar
from monojet.errors import InputError
from monojet.files import read_arrays, read_json, write_json
from monojet.generate import SCHEMA as GENERATION_SCHEMA
from monojet.selection import delta_phi

from cmsmonojet.search import BINS_A_YEAR

SCHEMA = "cmsmonojet/selection/1"
EDGES_GEV = (
    250.0, 280.0, 310.0, 340.0, 370.0, 400.0, 430.0, 470.0, 510.0, 550.0, 590.0,
    640.0, 690.0, 740.0, 790.0, 840.0, 900.0, 960.0, 1020.0, 1090.0, 1160.0, 1250.0,
)  # fmt: skip
"""Lower edges of the bins of missing transverse momentum; the last one has no upper edge."""
CUTS = (
    "generated",
    "ptmiss",
    "no_lepton",
    "no_b_jet",
    "no_photon",
    "jets_away_from_ptmiss",
    "leading_jet",
    "hcal_2018",
)
ALL_YEARS = CUTS[-2]
"""The last cut that holds in every year."""

B_TAG = {"b": 0.68, "c": 0.12, "light": 0.01}
"""How often the search's tagger (DeepCSV, medium) takes a jet of a flavour for a b jet: arXiv:1712.07158. Its abstract
gives 68 % at 1 %; charm is not checked against its tables."""
TAG_STREAM = 20_040
"""Tells the tagger's random numbers from the detector's of the same seed."""

HCAL_JET_PHI = (-1.57, -0.87)
HCAL_JET_ETA = (-3.0, -1.3)
HCAL_PTMISS_PHI = (-1.62, -0.62)
HCAL_PTMISS_GEV = 470.0
"""The part of the calorimeter that was off in 2018 (HEM15/16), for jets above 30 GeV and for missing momentum below
this. The map shows it too: its 2018 bins are smaller than those of 2016, after luminosity, by 18 % below 470 GeV and
by 2 % above (README)."""

Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]


def has_lepton(events: Events) -> Mask:
    """Events with an isolated electron (pT > 10, |eta| < 2.5) or muon (pT > 10, |eta| < 2.4)."""
    leptons = events.leptons
    hard = (leptons.pt > 10) & (np.abs(leptons.eta) < np.where(leptons.pdg == 11, 2.5, 2.4))
    hard[hard] = [
        _isolated(events.jets, *lepton)
        for lepton in zip(leptons.event[hard], leptons.pt[hard], leptons.eta[hard], leptons.phi[hard], strict=True)
    ]
    return _any(leptons.event[hard], events)


def _isolated(jets: Jets, event: int, pt: float, eta: float, phi: float) -> bool:
    """Whether no jet around the lepton (0.4) has twice its pT: those inside of jets come from hadrons."""
    begin, end = np.searchsorted(jets.event, (event, event + 1))
    distance = np.hypot(jets.eta[begin:end] - eta, delta_phi(jets.phi[begin:end], np.array(phi)))
    return not ((distance < 0.4) & (jets.pt[begin:end] > 2 * pt)).any()


def has_photon(events: Events) -> Mask:
    """Events with an isolated photon (pT > 15, |eta| < 2.5)."""
    photons = events.photons
    return _any(photons.event[(photons.pt > 15) & (np.abs(photons.eta) < 2.5)], events)


def jet_flavour(jets: Jets, particles: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """5 for jets with a bottom hadron within 0.4, 4 for those with charm and no bottom, 0 for the others."""
    event = np.repeat(np.arange(len(particles["heavy_counts"])), particles["heavy_counts"])
    _, eta, phi = polar(*(particles[f"heavy_{name}"].astype(np.float64) for name in ("px", "py", "pz")))
    flavour = np.zeros(len(jets.pt), dtype=np.int64)
    begin, end = (np.searchsorted(jets.event, event, side=side) for side in ("left", "right"))
    for hadron, quark in enumerate(particles["heavy_quark"]):
        near = slice(begin[hadron], end[hadron])
        distance = np.hypot(jets.eta[near] - eta[hadron], delta_phi(jets.phi[near], phi[hadron]))
        flavour[near] = np.where(distance < 0.4, np.maximum(flavour[near], quark), flavour[near])
    return flavour


def has_b_tag(events: Events, flavour: npt.NDArray[np.int64], random: np.random.Generator) -> Mask:
    """Events with a jet (pT > 20, |eta| < 2.4) that is tagged, as B_TAG says for its flavour."""
    jets = events.jets
    probability = np.select([flavour == 5, flavour == 4], [B_TAG["b"], B_TAG["c"]], B_TAG["light"])
    tagged = (jets.pt > 20) & (np.abs(jets.eta) < 2.4) & (random.random(len(jets.pt)) < probability)
    return _any(jets.event[tagged], events)


def leading_four(jets: Jets, events: int) -> Mask:
    """Of each event's jets with pT > 30 GeV and |eta| < 2.4, the four with the highest pT."""
    counted = np.flatnonzero((jets.pt > 30) & (np.abs(jets.eta) < 2.4))
    order = counted[np.lexsort((-jets.pt[counted], jets.event[counted]))]
    starts = np.concatenate([[0], np.cumsum(np.bincount(jets.event[order], minlength=events))])
    rank = np.arange(len(order)) - starts[jets.event[order]]
    chosen = np.zeros(len(jets.pt), dtype=bool)
    chosen[order[rank < 4]] = True
    return chosen


def lost_in_2018(events: Events) -> Mask:
    """Events that the dead part of the calorimeter costs the data of 2018."""
    jets, met_phi = events.jets, np.arctan2(events.met_py, events.met_px)
    there = (jets.pt > 30) & _within(jets.phi, HCAL_JET_PHI) & _within(jets.eta, HCAL_JET_ETA)
    fake = (events.met < HCAL_PTMISS_GEV) & _within(met_phi, HCAL_PTMISS_PHI)
    return _any(jets.event[there], events) | fake


def _within(values: Array, ends: tuple[float, float]) -> Mask:
    return (values > ends[0]) & (values < ends[1])


def _any(event: npt.NDArray[np.int64], events: Events) -> Mask:
    found: Mask = np.bincount(event, minlength=len(events.met)) > 0
    return found


def select(events: Events, b_tagged: Mask) -> dict[str, Mask]:
    """Which events pass each cut of CUTS and all the cuts before it."""
    jets, n = events.jets, len(events.met)
    met_phi = np.arctan2(events.met_py, events.met_px)
    leading_pt = np.zeros(n)
    np.maximum.at(leading_pt, jets.event, jets.pt)
    leads = (jets.pt == leading_pt[jets.event]) & (jets.pt > 100) & (np.abs(jets.eta) < 2.4)
    near = leading_four(jets, n) & (delta_phi(jets.phi, met_phi[jets.event]) < 0.5)
    masks = (
        np.ones(n, dtype=bool),
        events.met > EDGES_GEV[0],
        ~has_lepton(events),
        ~b_tagged,
        ~has_photon(events),
        ~_any(jets.event[near], events),
        _any(jets.event[leads], events),
        ~lost_in_2018(events),
    )
    return dict(zip(CUTS, itertools.accumulate(masks, np.logical_and), strict=True))


def count(passed: Mask, met: Array, slices: npt.NDArray[Any], n_slices: int) -> npt.NDArray[np.int64]:
    """Integer counts, one row a slice and one column a bin, of the events that passed."""
    counts = np.zeros((n_slices, BINS_A_YEAR), dtype=np.int64)
    bins = np.searchsorted(np.array(EDGES_GEV), met[passed], side="right") - 1
    np.add.at(counts, (slices[passed], bins), 1)
    return counts


def run(*, events_path: Path, generation_path: Path, selection_path: Path) -> None:
    """The select stage: counts in slices and bins, with and without the loss of 2018, beside the generator's counts."""
    generation = read_json(generation_path, GENERATION_SCHEMA)
    particles = read_arrays(events_path)
    n_slices = len(generation["kept"])
    slices = particles["slice"]
    if np.bincount(slices, minlength=n_slices).tolist() != generation["kept"]:
        raise InputError(f"{events_path.name} does not hold the events that {generation_path.name} counts")
    events = detect(particles, generation["seed"])
    if "heavy_counts" not in particles:
        raise InputError(f"{events_path.name} holds no bottom and charm hadrons, without which no jet has a flavour")
    random = np.random.default_rng([generation["seed"], TAG_STREAM])
    passed = select(events, has_b_tag(events, jet_flavour(events.jets, particles), random))
    document = {
        "schema": SCHEMA,
        "generation": generation,
        "edges_gev": EDGES_GEV,
        "counts": count(passed[ALL_YEARS], events.met, slices, n_slices).tolist(),
        "counts_2018": count(passed[CUTS[-1]], events.met, slices, n_slices).tolist(),
        "cutflow": {cut: np.bincount(slices[mask], minlength=n_slices).tolist() for cut, mask in passed.items()},
    }
    write_json(selection_path, document)
