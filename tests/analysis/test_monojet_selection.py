"""The detector emulation and the selection, cut by cut, on hand-made events."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monojet import bench, detector, selection
from monojet.errors import InputError
from monojet.files import write_arrays, write_json
from monojet_samples import events, momenta

PI = float(np.pi)
LAST = selection.CUTS[-1]


def passing(*described):
    return selection.select(events(*described))[LAST].tolist()


def first_failed(event):
    """The first cut that the event does not pass."""
    masks = selection.select(events(event))
    return next((cut for cut in selection.CUTS if not masks[cut][0]), None)


def test_a_monojet_event_passes():
    assert passing({}) == [True]


@pytest.mark.parametrize(
    ("event", "cut"),
    [
        ({"met": 199.0}, "met"),
        ({"leptons": [(11, 7.5, 2.4)]}, "no_lepton"),
        ({"leptons": [(13, 7.5, -2.49)]}, "no_lepton"),
        ({"photons": [(11.0, 2.3)]}, "no_photon"),
        ({"jets": []}, "leading_jet"),
        ({"jets": [(149.0, 0.0, PI)]}, "leading_jet"),
        ({"jets": [(200.0, 2.5, PI)]}, "leading_jet"),
        ({"jets": [(300.0, 2.5, PI), (200.0, 0.0, PI)]}, "leading_jet"),
        ({"jets": [(200.0, 0.0, PI), *[(31.0, 2.7, 2.0)] * 4]}, "at_most_four_jets"),
        ({"jets": [(200.0, 0.0, PI), (31.0, 0.0, 0.39)]}, "jets_away_from_met"),
        ({"jets": [(200.0, 0.0, PI), (31.0, 0.0, -0.39)]}, "jets_away_from_met"),
        ({"met": 249.0, "jets": [(200.0, 0.0, PI), (31.0, 0.0, 0.59)]}, "jets_away_from_met"),
    ],
)
def test_each_cut_removes_what_it_should(event, cut):
    assert first_failed(event) == cut


@pytest.mark.parametrize(
    "event",
    [
        {"met": 201.0},
        {"leptons": [(11, 6.9, 0.0)]},
        {"leptons": [(11, 50.0, 2.48)]},
        {"leptons": [(13, 50.0, 2.51)]},
        {"photons": [(500.0, 2.38)]},
        {"jets": [(151.0, 2.39, PI)]},
        {"jets": [(300.0, 2.9, PI), (200.0, 0.0, PI)]},  # forward of 2.8 a jet does not count
        {"jets": [(200.0, 0.0, PI), *[(31.0, 2.7, 2.0)] * 3]},
        {"jets": [(200.0, 0.0, PI), *[(29.0, 0.0, 2.0)] * 9]},
        {"jets": [(200.0, 0.0, PI), (29.0, 0.0, 0.0)]},
        {"jets": [(200.0, 0.0, PI), (31.0, 2.9, 0.0)]},
        {"jets": [(200.0, 0.0, PI), (31.0, 0.0, 0.41)]},
        {"met": 251.0, "jets": [(200.0, 0.0, PI), (31.0, 0.0, 0.59)]},
        {"met": 249.0, "jets": [(200.0, 0.0, PI), (31.0, 0.0, 0.61)]},
    ],
)
def test_what_lies_just_inside_passes(event):
    assert first_failed(event) is None


def test_events_do_not_touch_their_neighbours():
    bad = {"leptons": [(13, 20.0, 0.0)]}
    crowded = {"jets": [(200.0, 0.0, PI), *[(50.0, 0.0, 2.0)] * 4]}
    assert passing({}, bad, {}, crowded, {}, {"jets": []}) == [True, False, True, False, True, False]


jet = st.tuples(st.floats(20, 500), st.floats(-3, 3), st.floats(-PI, PI))


@given(st.floats(150, 600), st.lists(jet, max_size=7))
def test_the_benchmarks_loop_selects_the_same(met, jets):
    assert passing({"met": met, "jets": jets}) == [bench.passes(jets, False, met, 0.0)]


def test_the_cut_flow_only_falls():
    masks = selection.select(events({}, {"met": 100.0}, {"photons": [(20.0, 0.0)]}, {"jets": []}))
    assert [int(masks[cut].sum()) for cut in selection.CUTS] == [4, 3, 3, 2, 1, 1, 1]


@given(st.floats(0, 5000))
def test_a_bin_holds_its_lower_edge(met):
    found = int(selection.met_bin(np.array([met]))[0])
    edges = (*selection.MET_EDGES_GEV, np.inf)
    assert (found == -1 and met < 200) or edges[found] <= met < edges[found + 1]


def test_counts_are_integers_in_slices_and_bins():
    met = np.array([210.0, 260.0, 260.0, 9000.0, 260.0])
    slices = np.array([0, 0, 1, 1, 0], dtype=np.int8)
    counts = selection.count(np.array([True, True, True, True, False]), met, slices, 2)
    assert counts.dtype == np.int64
    assert counts.shape == (2, 13)
    assert counts[0].tolist() == [1, 1] + [0] * 11
    assert counts[1].tolist() == [0, 1] + [0] * 10 + [1]


def photons(*particles):
    """Photons found among (pdg, pT, eta, phi) of one event."""
    pdg, pt, eta, phi = (np.array(column) for column in zip(*particles, strict=True))
    px, py, pz = momenta(pt=pt, eta=eta, phi=phi)
    return detector.find_photons(np.array([len(pdg)]), pdg.astype(int), px, py, pz)


PHOTON = (22, 50.0, 0.5, 0.1)
"""Its cone may hold 0.022 * 50 + 2.45 = 3.55 GeV."""


@pytest.mark.parametrize(
    ("neighbours", "isolated"),
    [
        ([], True),
        ([(211, 3.5, 0.6, 0.2)], True),
        ([(211, 3.6, 0.6, 0.2)], False),
        ([(211, 2.0, 0.6, 0.2), (22, 2.0, 0.4, 0.0)], False),
        ([(211, 100.0, 0.5, 0.51)], True),  # outside the cone
        ([(211, 100.0, 0.5, 0.49)], False),
    ],
)
def test_photon_isolation(neighbours, isolated):
    assert len(photons(PHOTON, *neighbours).pt) == isolated


def test_the_isolation_cone_closes_across_pi():
    assert len(photons((22, 50.0, 0.5, PI - 0.1), (211, 10.0, 0.5, -PI + 0.1)).pt) == 0


def test_soft_photons_are_no_candidates():
    assert len(photons((22, 9.9, 0.0, 0.0)).pt) == 0


def test_isolation_stays_within_an_event():
    pdg = np.array([22, 211, 22])
    px, py, pz = momenta(pt=[50.0, 10.0, 50.0], eta=[0.5, 0.5, 0.5], phi=[0.1, 0.1, 0.1])
    found = detector.find_photons(np.array([1, 0, 2]), pdg, px, py, pz)
    assert found.event.tolist() == [0]
    assert found.pt == pytest.approx([50.0])


def test_leptons_are_electrons_and_muons():
    px, py, pz = momenta(pt=[10.0] * 6, eta=[1.0] * 6, phi=[0.0] * 6)
    found = detector.find_leptons(np.arange(6), np.array([11, -13, 15, 211, 22, -11]), px, py, pz)
    assert found.event.tolist() == [0, 1, 5]
    assert found.pdg.tolist() == [11, 13, 11]
    assert found.eta == pytest.approx([1.0] * 3)


def test_jets_and_missing_momentum_are_smeared_as_documented():
    n = 40_000
    jets = detector.Jets(event=np.arange(n), pt=np.full(n, 400.0), eta=np.zeros(n), phi=np.zeros(n))
    before = np.full(n, -400.0)
    smeared, met_px, met_py = detector.smear(jets, before, np.zeros(n), np.random.default_rng(1))
    sigma = 400.0 * np.hypot(0.6 / 20, 0.03)
    assert smeared.pt.mean() == pytest.approx(400.0, abs=5 * sigma / np.sqrt(n))
    assert smeared.pt.std() == pytest.approx(sigma, rel=0.02)
    soft = met_px - before + (smeared.pt - 400.0)  # along the jet, missing momentum moves against it
    assert soft.std() == pytest.approx(8.0, rel=0.02)
    assert met_py.std() == pytest.approx(8.0, rel=0.02)
    assert abs(np.corrcoef(soft, met_py)[0, 1]) < 0.03
    assert smeared.phi.tolist() == jets.phi.tolist()


def test_a_jet_is_never_smeared_below_zero():
    n = 20_000
    jets = detector.Jets(event=np.zeros(n, dtype=int), pt=np.full(n, 0.2), eta=np.zeros(n), phi=np.zeros(n))
    smeared, _, _ = detector.smear(jets, np.zeros(1), np.zeros(1), np.random.default_rng(1))
    assert smeared.pt.min() == 0.0


def test_all_jets_of_an_event_move_its_missing_momentum():
    jets = detector.Jets(
        event=np.array([0, 0, 2]), pt=np.array([100.0, 50.0, 70.0]), eta=np.zeros(3), phi=np.array([0.0, PI / 2, PI])
    )
    random = np.random.default_rng(3)
    smeared, met_px, met_py = detector.smear(jets, np.zeros(3), np.zeros(3), random)
    again = np.random.default_rng(3)
    again.standard_normal(3)
    soft = 8.0 * again.standard_normal((2, 3))
    shift = smeared.pt - jets.pt
    assert met_px == pytest.approx(soft[0] - [shift[0], 0.0, -shift[2]])
    assert met_py == pytest.approx(soft[1] - [shift[1], 0.0, 0.0])


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """The select stage on three events whose detector response is hand-made."""
    seen = events({}, {"met": 100.0}, {"met": 1300.0, "jets": [(1250.0, 0.0, PI)]})
    monkeypatch.setattr(selection, "detect", lambda particles, seed: seen if seed == 7 else None)

    def run(slices=(0, 0, 1), kept=(2, 1)):
        write_arrays(tmp_path / "particles.npz", {"slice": np.array(slices, dtype=np.int8)})
        write_json(
            tmp_path / "generation.json",
            {"schema": "monojet/generation/1", "seed": 7, "kept": list(kept), "seen": [9, 1], "tried": 99},
        )
        selection.run(
            events_path=tmp_path / "particles.npz",
            generation_path=tmp_path / "generation.json",
            selection_path=tmp_path / "selection.json",
        )
        return json.loads((tmp_path / "selection.json").read_text())

    return run


def test_the_select_stage_counts(stage):
    document = stage()
    assert document["counts"] == [[0, 0, 1] + [0] * 10, [0] * 12 + [1]]
    assert document["cutflow"]["generated"] == [2, 1]
    assert document["cutflow"][LAST] == [1, 1]
    assert document["generation"]["tried"] == 99


def test_particles_of_another_sample_are_refused(stage):
    with pytest.raises(InputError, match="does not hold the events"):
        stage(kept=(1, 2))
