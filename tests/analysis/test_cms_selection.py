"""The CMS selection, cut by cut, on hand-made events; and what its counts become."""

import json

import numpy as np
import pytest
from cms_samples import bins, covariance
from cmsmonojet import merging, selection, signal
from cmsmonojet.selection import ALL_YEARS, CUTS, EDGES_GEV
from hypothesis import given
from hypothesis import strategies as st
from monojet.errors import InputError, StageError
from monojet.files import write_arrays, write_json
from monojet_samples import events

PI = float(np.pi)
GOOD = [(280.0, 0.5, PI)]


def passed(*described, b_tagged=None):
    these = events(*described)
    return selection.select(these, np.zeros(len(these.met), dtype=bool) if b_tagged is None else b_tagged)


def first_failed(event):
    """The first cut that the event does not pass."""
    masks = passed(event)
    return next((cut for cut in CUTS if not masks[cut][0]), None)


def test_a_monojet_event_passes():
    assert first_failed({}) is None


def test_the_bins_are_those_of_the_published_data():
    assert bins().edges_gev == EDGES_GEV


@pytest.mark.parametrize(
    ("event", "cut"),
    [
        ({"met": 250.0}, "ptmiss"),
        ({"leptons": [(11, 10.5, 2.49)]}, "no_lepton"),
        ({"leptons": [(13, 10.5, -2.39)]}, "no_lepton"),
        ({"photons": [(15.5, 2.4)]}, "no_photon"),
        ({"jets": []}, "leading_jet"),
        ({"jets": [(99.0, 0.0, PI)]}, "leading_jet"),
        ({"jets": [(200.0, 2.5, PI)]}, "leading_jet"),
        ({"jets": [*GOOD, (300.0, 3.0, 2.0)]}, "leading_jet"),
        ({"jets": [*GOOD, (31.0, 0.0, 0.49)]}, "jets_away_from_ptmiss"),
        ({"jets": [*GOOD, (31.0, 0.0, -0.49)]}, "jets_away_from_ptmiss"),
        ({"jets": [*GOOD, (31.0, -2.0, -1.0)]}, "hcal_2018"),
    ],
)
def test_each_cut_removes_what_it_should(event, cut):
    assert first_failed(event) == cut


@pytest.mark.parametrize(
    "event",
    [
        {"met": 250.1},
        {"leptons": [(11, 9.9, 0.0)]},
        {"leptons": [(11, 50.0, 2.51)]},
        {"leptons": [(13, 50.0, 2.41)]},
        {"photons": [(14.9, 0.0)]},
        {"photons": [(50.0, 2.51)]},
        {"jets": [(101.0, 2.39, PI)]},
        {"jets": [*GOOD, (31.0, 0.0, 0.51)]},
        {"jets": [*GOOD, (29.0, 0.0, 0.0)]},
        {"jets": [*GOOD, (31.0, 2.5, 0.0)]},
        {"jets": [*GOOD, *[(60.0, 0.0, 2.0)] * 3, (31.0, 0.0, 0.0)]},  # the fifth jet is not looked at
        {"jets": [*GOOD, *[(60.0, 0.0, 2.0)] * 9]},  # there may be many
        {"jets": [*GOOD, (29.0, -2.0, -1.0)]},
        {"jets": [*GOOD, (31.0, -2.0, -0.86)]},
        {"jets": [*GOOD, (31.0, -1.29, -1.0)]},
    ],
)
def test_what_is_just_inside_passes(event):
    assert first_failed(event) is None


def test_a_lepton_inside_of_a_jet_comes_from_hadrons_and_does_not_veto():
    def lepton(phi, pt):
        these = events({"jets": [(280.0, 0.5, PI)], "leptons": [(13, pt, 0.5)]})
        these.leptons.phi[:] = phi
        return bool(selection.has_lepton(these)[0])

    assert not lepton(PI, 20.0)
    assert lepton(PI, 150.0), "most of that jet is the lepton itself"
    assert lepton(PI - 0.5, 20.0)


@pytest.mark.parametrize(("met", "phi", "kept"), [(469, -1.0, False), (471, -1.0, True), (300, -0.6, True)])
def test_in_2018_missing_momentum_in_the_dead_direction_is_lost_below_470(met, phi, kept):
    these = events({"jets": [(280.0, 0.5, 2.0)]})
    these.met_px[:], these.met_py[:] = met * np.cos(phi), met * np.sin(phi)
    masks = selection.select(these, np.zeros(1, dtype=bool))
    assert masks[ALL_YEARS][0]
    assert masks["hcal_2018"][0] == kept


def test_b_tags_veto():
    assert passed({}, {}, b_tagged=np.array([True, False]))["no_b_jet"].tolist() == [False, True]


def heavy(*rows):
    """Heavy hadrons (quark, pT, eta, phi), event by event."""
    flat = [hadron for row in rows for hadron in row]
    quark, pt, eta, phi = np.array(flat, dtype=float).reshape(-1, 4).T
    return {
        "heavy_counts": np.array([len(row) for row in rows], dtype=np.int32),
        "heavy_quark": quark.astype(np.int8),
        "heavy_px": pt * np.cos(phi),
        "heavy_py": pt * np.sin(phi),
        "heavy_pz": pt * np.sinh(eta),
    }


def test_a_jet_has_the_flavour_of_the_heaviest_hadron_near_it():
    these = events(
        {"jets": [(200.0, 0.5, PI), (50.0, 1.0, 2.0)]}, {"jets": [(200.0, 0.5, PI)]}, {"jets": [(200.0, 0.5, PI)]}
    )
    hadrons = heavy([(4, 20, 0.5, PI - 0.1), (5, 20, 0.4, -PI + 0.1)], [(4, 20, 0.5, PI)], [(5, 20, 1.0, PI)])
    assert selection.jet_flavour(these.jets, hadrons).tolist() == [5, 0, 4, 0]


@pytest.mark.parametrize(("flavour", "name"), [(5, "b"), (4, "c"), (0, "light")])
def test_tags_are_as_frequent_as_they_should_be(flavour, name):
    n = 20_000
    these = events(*[{"jets": [(50.0, 0.0, 2.0), (50.0, 2.5, 2.0), (19.0, 0.0, 2.0)]}] * n)
    tagged = selection.has_b_tag(these, np.full(3 * n, flavour), np.random.default_rng(1))
    wanted = selection.B_TAG[name]
    assert tagged.mean() == pytest.approx(wanted, abs=4 * np.sqrt(wanted / n))


def document(seed=1, **changes):
    """A `cmsmonojet/selection/1` document: a spectrum that falls, of which 2018 lost a part."""
    counts = np.outer([200, 400, 100, 30], np.exp(-0.2 * np.arange(22))).astype(int)
    lost = (0.2 * counts).astype(int)
    return {
        "schema": selection.SCHEMA,
        "generation": {
            "seed": seed,
            "tried": 200_000,
            "seen": [27_000, 5400, 1150, 420],
            "kept": [2000, 2000, 1150, 420],
            "slice_edges_gev": [150.0, 400.0, 700.0, 1000.0],
        },
        "counts": counts.tolist(),
        "counts_2018": (counts - lost).tolist(),
        **changes,
    }


def test_efficiencies_hold_the_share_of_their_year():
    merged = merging.merge([document()], bins().share)
    y2016, y2017, y2018 = np.split(merged.bins, 3)
    assert y2017 == pytest.approx(y2016 * 41.5 / 36.3)
    assert (y2018 < y2016 * 59.7 / 36.3).all()
    everything = merged.weight @ merged.counts
    assert y2016 == pytest.approx(36.3 / 137.5 * everything)
    by_hand = 0.94 * (np.array([27_000, 5400, 1150, 420]) / 200_000 / np.array([2000, 2000, 1150, 420]))
    assert everything[0] == pytest.approx(by_hand @ np.array(document()["counts"])[:, 0])


@given(st.permutations([1, 2, 3]))
def test_samples_merge_in_any_order(seeds):
    parts = [document(seed, counts=(np.array(document()["counts"]) * seed).tolist()) for seed in seeds]
    in_order = [document(seed, counts=(np.array(document()["counts"]) * seed).tolist()) for seed in (1, 2, 3)]
    assert (merging.merge(parts, bins().share).bins == merging.merge(in_order, bins().share).bins).all()


def test_what_cannot_be_merged_is_refused():
    with pytest.raises(InputError, match="same seed"):
        merging.merge([document(), document()], bins().share)
    other = document(2)
    other["generation"]["slice_edges_gev"] = [150.0]
    with pytest.raises(InputError, match="different slices"):
        merging.merge([document(), other], bins().share)
    nothing = np.zeros((4, 22), dtype=int).tolist()
    with pytest.raises(StageError, match="none of 5570"):
        merging.merge([document(counts=nothing, counts_2018=nothing)], bins().share)


def test_the_error_of_a_limit_is_what_replicas_of_the_counts_spread():
    """Each event counts once for all years: replicas of independent years would spread less."""
    merged = merging.merge([document()], bins().share)
    spread = covariance() + np.diag(bins().background)
    inverse = np.linalg.inv(spread)
    random = np.random.default_rng(3)
    lost = merged.counts - merged.counts_2018
    limits = []
    for _ in range(4000):
        kept = random.poisson(merged.counts_2018)
        replica = merging.Merged(
            counts=kept + random.poisson(lost), counts_2018=kept, weight=merged.weight, share=merged.share
        ).bins
        limits.append((replica @ inverse @ replica) ** -0.5)
    assert merged.error_of_limit(spread) == pytest.approx(np.std(limits) / np.mean(limits), rel=0.05)


def test_the_signal_of_events_names_its_way_and_its_error():
    found = signal.from_events([document()], bins(), covariance())
    assert found.way == "events"
    assert 0 < found.mu_mc_error < 0.2
    assert [(each.source, each.relative) for each in found.uncertainties] == [
        ("events, MC statistics", found.mu_mc_error)
    ]
    assert found.bins.sum() == pytest.approx(merging.merge([document()], bins().share).bins.sum())


def sample(place, **changes):
    """The files of the generate stage, with two events of one jet each."""
    pt = 300.0
    arrays = {
        "counts": np.array([1, 1], dtype=np.int32),
        "pdg": np.array([211, 211], dtype=np.int32),
        "px": np.array([-pt, -pt], dtype=np.float32),
        "py": np.zeros(2, dtype=np.float32),
        "pz": np.zeros(2, dtype=np.float32),
        "e": np.array([pt, pt], dtype=np.float32),
        "slice": np.array([0, 0], dtype=np.int8),
        **heavy([], []),
        **changes,
    }
    write_arrays(place / "particles.npz", {name: array for name, array in arrays.items() if array is not None})
    kept = {"seed": 1, "kept": [2, 0, 0, 0]}
    write_json(place / "generation.json", {"schema": "monojet/generation/1", **kept})
    return {
        "events_path": place / "particles.npz",
        "generation_path": place / "generation.json",
        "selection_path": place / "selection.json",
    }


def test_samples_without_flavours_or_with_other_counts_are_refused(tmp_path, monkeypatch):
    def no_jets(particles, seed):
        return events({}, {})

    monkeypatch.setattr(selection, "detect", no_jets)  # jets take fastjet, which only the image has
    selection.run(**sample(tmp_path))
    written = json.loads((tmp_path / "selection.json").read_text())
    assert written["cutflow"]["leading_jet"] == [2, 0, 0, 0]
    assert np.sum(written["counts"]) == 2
    with pytest.raises(InputError, match="no jet has a flavour"):
        selection.run(**sample(tmp_path, heavy_counts=None))
    with pytest.raises(InputError, match="does not hold the events"):
        selection.run(**sample(tmp_path, slice=np.array([0, 1], dtype=np.int8)))
