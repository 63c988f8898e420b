"""Detector emulation: jets and missing transverse momentum smeared, isolated photons found, nothing else.

The resolutions are those with which a recast of this search reproduces its published cross-section limits
(README, "Closure"); they are no measurement of ATLAS's resolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

JET_STOCHASTIC = 0.6
"""Stochastic term of the jet resolution, in sqrt(GeV)."""
JET_CONSTANT = 0.03
SOFT_MET_GEV = 8.0
"""Resolution of the soft part of the missing transverse momentum, for each component."""
JET_RADIUS = 0.4
PHOTON_PT_MIN_GEV = 10.0
PHOTON_CONE = 0.4
JET_PT_MIN_GEV = 15.0
"""Jets softer than this are part of the soft term."""
DETECTOR_STREAM = 20180600
"""Tells the detector's random numbers from others of the same seed."""


@dataclass(frozen=True, kw_only=True)
class Jets:
    """Jets of many events: `event` says to which event each belongs, in ascending order."""

    event: npt.NDArray[np.int64]
    pt: Array
    eta: Array
    phi: Array


@dataclass(frozen=True, kw_only=True)
class Leptons:
    """Electrons and muons of many events, laid out as `Jets`; `pdg` is 11 or 13."""

    event: npt.NDArray[np.int64]
    pdg: npt.NDArray[np.int64]
    pt: Array
    eta: Array
    phi: Array


@dataclass(frozen=True, kw_only=True)
class Photons:
    """Isolated photons of many events, laid out as `Jets`."""

    event: npt.NDArray[np.int64]
    pt: Array
    eta: Array


@dataclass(frozen=True, kw_only=True)
class Events:
    """Reconstructed events: jets, leptons, photons, and missing transverse momentum (`met_*`: one row an event)."""

    jets: Jets
    leptons: Leptons
    photons: Photons
    met_px: Array
    met_py: Array

    @property
    def met(self) -> Array:
        """Magnitude of the missing transverse momentum, GeV."""
        return np.hypot(self.met_px, self.met_py)


def jet_resolution(pt: Array) -> Array:
    """Relative jet resolution sigma(pT)/pT = 0.6/sqrt(pT) + 3 % in quadrature.

    >>> float(jet_resolution(np.array([400.0]))[0].round(4))
    0.0424
    """
    return np.hypot(JET_STOCHASTIC / np.sqrt(pt), JET_CONSTANT)


def polar(px: Array, py: Array, pz: Array) -> tuple[Array, Array, Array]:
    """(pT, eta, phi) of momenta with pT > 0."""
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def cluster(counts: npt.NDArray[Any], px: Array, py: Array, pz: Array, e: Array) -> Jets:
    """Anti-kt jets (R = 0.4) above JET_PT_MIN_GEV of each event's particles."""
    import awkward as ak
    import fastjet

    if len(px) == 0:  # which fastjet takes for one event
        return Jets(event=np.zeros(0, dtype=np.int64), pt=np.zeros(0), eta=np.zeros(0), phi=np.zeros(0))
    particles = ak.zip({"px": px, "py": py, "pz": pz, "E": e}, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    jets = fastjet.ClusterSequence(ak.unflatten(particles, counts), definition).inclusive_jets(JET_PT_MIN_GEV)
    event = np.repeat(np.arange(len(counts)), ak.to_numpy(ak.num(jets.px)))
    pt, eta, phi = polar(*(ak.to_numpy(ak.flatten(jets[name])) for name in ("px", "py", "pz")))
    return Jets(event=event, pt=pt, eta=eta, phi=phi)


def find_leptons(event: npt.NDArray[np.int64], pdg: npt.NDArray[Any], px: Array, py: Array, pz: Array) -> Leptons:
    """Electrons and muons among the particles, with their true momenta."""
    flavour = np.abs(pdg)
    chosen = np.flatnonzero((flavour == 11) | (flavour == 13))
    pt, eta, phi = polar(px[chosen], py[chosen], pz[chosen])
    return Leptons(event=event[chosen], pdg=flavour[chosen].astype(np.int64), pt=pt, eta=eta, phi=phi)


def find_photons(counts: npt.NDArray[Any], pdg: npt.NDArray[Any], px: Array, py: Array, pz: Array) -> Photons:
    """Photons above PHOTON_PT_MIN_GEV with less than 2.2 % of their pT + 2.45 GeV in a cone of 0.4 around them.

    The calorimeter isolation of ATLAS' tight working point (arXiv:1908.00005), on generated particles.
    """
    start = np.concatenate([[0], np.cumsum(counts)])
    event = np.repeat(np.arange(len(counts)), counts)
    candidates = np.flatnonzero((pdg == 22) & (np.hypot(px, py) > PHOTON_PT_MIN_GEV))
    pt, eta, phi = polar(px, py, pz)
    size = counts[event[candidates]]
    of = np.repeat(np.arange(len(candidates)), size)
    other = np.arange(len(of)) - np.repeat(np.cumsum(size) - size - start[event[candidates]], size)
    photon = candidates[of]
    d_phi = np.abs((phi[other] - phi[photon] + np.pi) % (2 * np.pi) - np.pi)
    near = (np.hypot(eta[other] - eta[photon], d_phi) < PHOTON_CONE) & (other != photon)
    cone = np.bincount(of[near], weights=pt[other[near]], minlength=len(candidates))
    isolated = candidates[cone < 0.022 * pt[candidates] + 2.45]
    return Photons(event=event[isolated], pt=pt[isolated], eta=eta[isolated])


class NormalsOfEvents:
    """Standard normal numbers that depend on each event's own key alone, not on the events beside it.

    Answers the two questions of `smear`: one number for each jet, then two for each event.
    """

    def __init__(self, keys: npt.NDArray[np.uint64], jets_in_event: npt.NDArray[np.int64]) -> None:
        drawn = [
            np.random.default_rng([int(key), DETECTOR_STREAM]).standard_normal(2 + jets)
            for key, jets in zip(keys, jets_in_event, strict=True)
        ]
        self._soft = np.array([numbers[:2] for numbers in drawn]).reshape(-1, 2).T
        self._jets = np.concatenate([np.zeros(0), *(numbers[2:] for numbers in drawn)])

    def standard_normal(self, size: int | tuple[int, int]) -> Array:
        """As that of numpy's generators."""
        return self._jets if isinstance(size, int) else self._soft


def smear(
    jets: Jets, met_px: Array, met_py: Array, random: np.random.Generator | NormalsOfEvents
) -> tuple[Jets, Array, Array]:
    """Smear the jets, move the missing transverse momentum with them, and smear its soft part."""
    factor = np.maximum(0.0, 1.0 + jet_resolution(jets.pt) * random.standard_normal(len(jets.pt)))
    shift = (factor - 1.0) * jets.pt
    events = len(met_px)
    soft = SOFT_MET_GEV * random.standard_normal((2, events))
    met_px = met_px - np.bincount(jets.event, weights=shift * np.cos(jets.phi), minlength=events) + soft[0]
    met_py = met_py - np.bincount(jets.event, weights=shift * np.sin(jets.phi), minlength=events) + soft[1]
    return Jets(event=jets.event, pt=jets.pt * factor, eta=jets.eta, phi=jets.phi), met_px, met_py


def detect(particles: dict[str, npt.NDArray[Any]], seed: int) -> Events:
    """Reconstruct a sample of `generate`: the missing transverse momentum balances all visible particles.

    The random numbers depend on the seed of the sample alone, and differ from Pythia's. Events from outside have a
    `key` each, and random numbers that depend on that alone: so it does not matter which events stand beside them.
    """
    counts = particles["counts"]
    px, py, pz, e = (particles[name].astype(np.float64) for name in ("px", "py", "pz", "e"))
    event = np.repeat(np.arange(len(counts)), counts)
    met_px = -np.bincount(event, weights=px, minlength=len(counts))
    met_py = -np.bincount(event, weights=py, minlength=len(counts))
    clustered = cluster(counts, px, py, pz, e)
    random: np.random.Generator | NormalsOfEvents = np.random.default_rng([seed, DETECTOR_STREAM])
    if "key" in particles:
        random = NormalsOfEvents(particles["key"], np.bincount(clustered.event, minlength=len(counts)))
    jets, met_px, met_py = smear(clustered, met_px, met_py, random)
    return Events(
        jets=jets,
        leptons=find_leptons(event, particles["pdg"], px, py, pz),
        photons=find_photons(counts, particles["pdg"], px, py, pz),
        met_px=met_px,
        met_py=met_py,
    )
