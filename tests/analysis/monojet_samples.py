"""Hand-made samples of the monojet analysis: selections, yields, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monojet import detector, selection
from monojet.generate import SLICE_EDGES_GEV
from monojet.workspace import Yields

YIELDS = Path(__file__).parents[2] / "specs/atlas-exot-2018-06/data/yields.yaml"

AXIAL_COUNTS = (
    (155, 130, 90, 65, 11, 0, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 0, 45, 400, 250, 130, 12, 0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0, 2, 50, 340, 250, 140, 23, 0, 0),
    (0, 0, 0, 0, 0, 0, 0, 0, 1, 18, 90, 72, 140),
)
"""Selected events of one sample in slices and bins. Made up: a spectrum that falls like that of a heavy mediator."""


def selection_document(*, seed: int, counts: Sequence[Sequence[int]] = AXIAL_COUNTS, **generation: Any) -> Any:
    """A `monojet/selection/1` document; the sample's counts can be replaced by name."""
    return {
        "schema": selection.SCHEMA,
        "generation": {
            "schema": "monojet/generation/1",
            "seed": seed,
            "sigma_pb": 0.3526,
            "sigma_pb_mc_error": 0.001,
            "width_gev": 114.0,
            "tried": 200_000,
            "seen": [27_000, 5400, 1150, 420],
            "kept": [1000, 1000, 1000, 420],
            "slice_edges_gev": list(SLICE_EDGES_GEV),
            "pythia_version": "8.317",
            **generation,
        },
        "met_edges_gev": list(selection.MET_EDGES_GEV),
        "counts": [list(row) for row in counts],
        "cutflow": {cut: [sum(row) for row in counts] for cut in selection.CUTS},
    }


def axial_selections() -> list[Any]:
    return [selection_document(seed=seed) for seed in (1, 2, 3, 4)]


def counting_yields() -> Yields:
    return Yields(
        lumi_fb=139.0,
        regions=("A", "B", "C", "D"),
        met_edges_gev=(200.0, 400.0, 600.0, 800.0),
        observed=(1030.0, 290.0, 55.0, 9.0),
        background=(1000.0, 300.0, 50.0, 8.0),
        background_error=(30.0, 12.0, 4.0, 1.5),
    )


def four_bins(scale: float = 1.0, factor: int = 1) -> dict[str, Any]:
    """A histogram for `counting_yields`: cross-section times `scale`, `factor` times the generated events."""
    counts = np.array([[40, 20, 4, 0], [0, 30, 60, 50]]) * factor
    weights = np.array([1.0, 0.2]) * scale / factor
    return {
        "schema": "monojet/histogram/1",
        "sigma_pb": 0.5 * scale,
        "sigma_pb_mc_error": 0.001 * scale,
        "counts": counts.tolist(),
        "weights": weights.tolist(),
        "yields": (weights @ counts).tolist(),
        "yields_mc_error": np.sqrt(weights**2 @ counts).tolist(),
        "acceptance_times_efficiency": 0.1,
    }


def momenta(*, pt: Sequence[float], eta: Sequence[float], phi: Sequence[float]) -> Any:
    """(px, py, pz) of massless particles."""
    pt_, eta_, phi_ = (np.asarray(x, dtype=np.float64) for x in (pt, eta, phi))
    return pt_ * np.cos(phi_), pt_ * np.sin(phi_), pt_ * np.sinh(eta_)


def objects(rows: Sequence[Sequence[Sequence[float]]], columns: int) -> tuple[Any, list[Any]]:
    """Event numbers and the columns of objects that are listed event by event."""
    event = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = np.array([values for row in rows for values in row], dtype=np.float64).reshape(-1, columns)
    return event, list(flat.T)


def events(*described: Mapping[str, Any]) -> detector.Events:
    """Reconstructed events from `met` (GeV, along +x), `jets` (pT, eta, phi), `leptons` (pdg, pT, eta), `photons`.

    An event is a good monojet event where nothing else is said.
    """
    good = {"met": 300.0, "jets": [(280.0, 0.5, np.pi)], "leptons": [], "photons": []}
    full = [{**good, **event} for event in described]
    of_jet, (pt, eta, phi) = objects([event["jets"] for event in full], 3)
    of_lepton, (pdg, lepton_pt, lepton_eta) = objects([event["leptons"] for event in full], 3)
    of_photon, (photon_pt, photon_eta) = objects([event["photons"] for event in full], 2)
    return detector.Events(
        jets=detector.Jets(event=of_jet, pt=pt, eta=eta, phi=phi),
        leptons=detector.Leptons(
            event=of_lepton, pdg=pdg.astype(np.int64), pt=lepton_pt, eta=lepton_eta, phi=0 * lepton_pt
        ),
        photons=detector.Photons(event=of_photon, pt=photon_pt, eta=photon_eta),
        met_px=np.array([event["met"] for event in full], dtype=np.float64),
        met_py=np.zeros(len(full)),
    )
