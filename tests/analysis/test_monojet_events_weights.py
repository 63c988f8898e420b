"""Events from outside, counted and weighed: shares, signs, matching, variations, and the histogram that they give."""

import itertools
import random

import numpy as np
import pytest
from monojet import histogram, limit, matching, patch, selection, tally, variations, weights
from monojet.errors import InputError, StageError
from monojet_samples import counting_yields

CARD = {"ickkw": "1", "xqcut": "30", "maxjetflavor": "5"}


# --- which events, once each ---


def test_shares_are_disjoint_and_whole():
    keys = [random.Random(n).getrandbits(64) for n in range(500)]
    shares = [tally.Share.parse(f"{k}/4") for k in (1, 2, 3, 4)]
    assert all(sum(share.holds(key) for share in shares) == 1 for key in keys)
    assert all(sum(share.holds(key) for key in keys) > 80 for share in shares)


@pytest.mark.parametrize("word", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/4", "a/b"])
def test_what_is_no_share_is_refused(word):
    with pytest.raises(InputError, match="shares such as 1/4"):
        tally.Share.parse(word)


def counted(*files):
    found = tally.Tally(share=tally.Share.parse("1/1"))
    ordinals = itertools.count(1)
    for file in files:
        found.begin_file()
        for weight in file:
            found.add("f:1", next(ordinals), weight)
    return found


def test_weights_of_one_size_are_signs():
    found = counted([2.0, 2.0, -2.0], [0.5, 0.5])  # two files of different normalisation
    assert found.unweighted
    assert found.own_weights == [1, 1, -1, 1, 1]
    assert (found.total, found.negative) == (3, 1)


def test_weights_of_several_sizes_stay_what_they_are():
    found = counted([2.0, 1.0, -0.5])
    assert not found.unweighted
    assert found.own_weights == [2.0, 1.0, -0.5]
    assert found.total == 2.5


def test_an_event_stands_once():
    found = tally.Tally(share=tally.Share.parse("1/2"))
    found.add("a.lhe:10", 7, 1.0)
    with pytest.raises(InputError, match=r"b\.lhe:10 is event 1 once more: is a file given twice"):
        found.add("b.lhe:10", 7, 1.0)


@pytest.mark.parametrize(("file", "said"), [([], "no event"), ([1.0, -1.0], "sum to 0"), ([-1.0], "sum to -1")])
def test_without_a_positive_sum_there_is_no_cross_section(file, said):
    with pytest.raises(InputError, match=said):
        _ = counted(file).total


def test_undeclared_particles_are_named():
    with pytest.raises(InputError, match=r"-9000006 \(3 times\), 53 \(2 times\).*declared are 52"):
        tally.refuse_undeclared({52: 9, 21: 9, 53: 2, -9000006: 3}, (52,), tally.USUAL)


@pytest.mark.parametrize(
    ("file", "given", "expected"), [(0.4, 0.0, (0.4, False)), (0.4, 0.7, (0.7, True)), (0.0, 0.7, (0.7, True))]
)
def test_the_users_cross_section_goes_before_the_files(file, given, expected):
    assert tally.check_sigma(file, given) == expected


@pytest.mark.parametrize("file", [0.0, -1.0, float("nan")])
def test_a_file_without_a_cross_section_needs_the_users(file):
    with pytest.raises(InputError, match="give sigma_pb"):
        tally.check_sigma(file, 0.0)


# --- matching ---


def test_one_multiplicity_needs_no_matching():
    assert matching.matching({}, {1: 100}, [(-52, 52)]) == matching.Matching(scheme="none", jets_max=1)


def test_several_multiplicities_without_matching_are_refused():
    with pytest.raises(InputError, match=r"10 events with 0, 5 events with 1\).*would count jets twice"):
        matching.matching({"ickkw": "0", "xqcut": "30"}, {0: 10, 1: 5}, [(-52, 52)])


def test_mlm_takes_its_scale_from_the_card_or_the_user():
    found = matching.matching(CARD, {0: 10, 1: 5, 2: 1}, [(-52, 52)])
    assert (found.scheme, found.scale_gev, found.jets_max) == ("mlm", 30.0, 2)
    assert {"JetMatching:qCut=30.0", "JetMatching:nJetMax=2", "JetMatching:nQmatch=5"} <= set(found.settings)
    assert matching.matching(CARD, {0: 10, 1: 5}, [], 45.0).scale_gev == 45.0


@pytest.mark.parametrize(
    ("card", "scale", "said"),
    [
        (CARD, 20.0, "the scale must be xqcut or more"),
        ({**CARD, "xqcut": "0"}, 0.0, "the scale must be xqcut or more"),
        ({**CARD, "xqcut": "auto"}, 0.0, "xqcut = 'auto', which is no number"),
        ({"ickkw": "1", "xqcut": "30"}, 0.0, "no maxjetflavor"),
        ({"ickkw": "3"}, 0.0, "merged by FxFx"),
        ({}, 30.0, "names no matching scheme"),
    ],
)
def test_matching_that_cannot_be(card, scale, said):
    with pytest.raises(InputError, match=said):
        matching.matching(card, {0: 10, 1: 5}, [(-52, 52)], scale)


def test_ckkw_l_needs_one_hard_process():
    card = {"ktdurham": "30", "dparameter": "0.4"}
    found = matching.matching(card, {0: 10, 1: 5}, [(-52, 52)])
    assert found.scheme == "ckkw-l"
    assert {"Merging:Process=pp>{x1,-52}{x2,52}", "Merging:TMS=30.0", "Merging:Dparameter=0.4"} <= set(found.settings)
    with pytest.raises(InputError, match="one hard process, and the events have 2: -52 52; -52 23 52"):
        matching.matching(card, {0: 10, 1: 5}, [(-52, 52), (-52, 23, 52)])
    assert "Merging:doPTLundMerging=on" in matching.matching({"ptlund": "20"}, {0: 1, 1: 1}, [(52,)]).settings


# --- variations ---


def group(text, combine, n):
    return [{"group": text, "combine": combine, "text": f"{text} {k}"} for k in range(n)]


def test_a_scale_envelope_never_shrinks():
    shifts = variations.relative_errors(
        group("scale", "envelope", 2), np.array([10.0, 5.0]), np.array([[11, 4], [12, 4.5]])
    )
    np.testing.assert_allclose(shifts["scale"], [[0.2, 0.0], [0.0, -0.2]])


def test_replicas_give_their_standard_deviation():
    members = np.array([[9.0], [11.0]] * 10)
    found = variations.relative_errors(group("NNPDF", "replicas", 20), np.array([10.0]), members)
    np.testing.assert_allclose(found["pdf"][:, 0], [np.std(members, ddof=1) / 10, -np.std(members, ddof=1) / 10])


def test_hessian_pairs_and_symmetric_members():
    members = np.array([[10.0], *([[10.2], [9.8]] * 6)])  # the central one, then six pairs
    pairs = variations.relative_errors(group("CT14", "hessian", 13), np.array([10.0]), members)["pdf"]
    symmetric = variations.relative_errors(group("PDF4LHC15", "symmhessian", 13), np.array([10.0]), members)["pdf"]
    np.testing.assert_allclose(pairs[0], 0.5 * np.sqrt(6 * 0.04**2))
    np.testing.assert_allclose(symmetric[0], np.sqrt(12 * 0.02**2))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mur=0.5 muf=1.0 pdf=247000", "scale"),
        ("mur=1.0 muf=1.0 pdf=247013", "replicas"),
        ("MUR2.0_MUF2.0_PDF260000", "scale"),
        ("MUR1.0_MUF1.0_PDF260007", "replicas"),
        ("alpsfact=0.5 scale", "unused"),
        ("isr:muRfac=0.5", "unused"),
        ("Weight_MERGING=30.0", "unused"),
    ],
)
def test_weights_are_known_by_what_the_file_says(text, kind):
    assert variations.kind({"group": "", "combine": "", "text": text}) == kind


# --- the histogram ---

ABOUT = {
    "format": "lhe", "files": ["a.lhe"], "events": 400, "unweighted": True, "negative": 0, "sum_of_weights": 400.0,
    "sigma_pb": 2.0, "sigma_pb_error": 0.02, "sigma_given": False, "vetoed": 0, "failed": 0, "variations": [],
}  # fmt: skip


def sample_of(numbers, share="1/1", ratios=None, **about):
    """A selection document of made-up events, numbered: weights by number, a MET of 205, 210, ... GeV."""
    numbers = np.array(numbers)
    weight = np.where(numbers % 10 == 0, -1.0, 1.0) if about.pop("signed", False) else np.ones(len(numbers))
    if not about.get("unweighted", True):
        weight = 1.0 + (numbers % 7) / 10
    met = 205.0 + 5.0 * (numbers % 100)
    passed = {cut: np.ones(len(numbers), dtype=bool) for cut in selection.CUTS}
    passed[selection.CUTS[-1]] = numbers % 4 > 0
    particles = {"key": numbers.astype(np.uint64), "weight": weight}
    if ratios is not None:
        particles["ratios"] = np.array([ratios(n) for n in numbers])
    slices = (weight < 0).astype(int)
    bins = selection.met_bin(met)
    number, of = map(int, share.split("/"))
    kept = np.bincount(slices, minlength=2).tolist()
    generation = {
        "seed": number, "tried": len(numbers), "seen": kept, "kept": kept, "slice_edges_gev": [],
        "pythia_version": "8.317", "events": {**ABOUT, "share": [number, of], "events_in_share": len(numbers), **about},
    }  # fmt: skip
    return {
        "generation": generation,
        "met_edges_gev": list(selection.MET_EDGES_GEV),
        "counts": selection.count(passed[selection.CUTS[-1]], met, slices, 2).tolist(),
        "cutflow": {cut: np.bincount(slices[mask], minlength=2).tolist() for cut, mask in passed.items()},
        "sums": weights.sums(particles, passed, bins, len(selection.MET_EDGES_GEV)),
    }


def merged(*samples):
    return histogram.merge(samples, lumi_fb=100.0)


def test_unweighted_events_are_counted():
    found = merged(sample_of(range(400)))
    assert found["sigma_pb"] == 2.0
    assert sum(found["yields"]) == pytest.approx(2.0 * 1000 * 100 * 0.75)
    assert found["acceptance_times_efficiency"] == 0.75
    assert sum(found["counts"][0]) == 300
    assert found["yields_mc_error"][0] == pytest.approx(found["yields"][0] / np.sqrt(found["counts"][0][0]))


def test_a_share_of_the_events_is_not_all_of_them():
    with pytest.raises(InputError, match="of 2 shares of the events there are 1"):
        merged(sample_of(range(200), "1/2"))
    with pytest.raises(InputError, match="different files"):
        merged(sample_of(range(200), "1/2"), sample_of(range(200, 400), "2/2", files=["b.lhe"]))


@pytest.mark.parametrize("unweighted", [True, False])
def test_order_changes_no_bit(unweighted):
    numbers = list(range(400))
    shuffled = random.Random(1).sample(numbers, 400)
    about = {"unweighted": unweighted, "sum_of_weights": 400.0 if unweighted else 519.8}
    assert merged(sample_of(shuffled, **about)) == merged(sample_of(numbers, **about))


def test_negative_weights_count_with_their_sign_and_in_the_errors():
    about = {"signed": True, "negative": 40, "sum_of_weights": 320.0}
    found = merged(sample_of(range(400), **about))
    plus, minus = np.array(found["counts"])
    per_event = 2.0 * 1000 * 100 / 320
    assert minus.sum() == 20  # every tenth event, of which every second is a fourth
    np.testing.assert_allclose(found["yields"], per_event * (plus - minus))
    np.testing.assert_allclose(found["yields_mc_error"], per_event * np.sqrt(plus + minus))
    assert found["acceptance_times_efficiency"] == pytest.approx((plus.sum() - minus.sum()) / 320)


def test_the_cross_section_is_that_after_matching():
    survivors = range(300)  # of 400
    found = merged(sample_of(survivors, vetoed=100))
    assert found["sigma_pb"] == pytest.approx(1.5)
    assert found["sigma_pb_mc_error"] == pytest.approx(0.015 + 1.5 * np.sqrt(0.25 / (0.75 * 400)))
    assert sum(found["yields"]) == pytest.approx(1.5e5 * 0.75)
    given = merged(sample_of(survivors, vetoed=100, sigma_given=True, sigma_pb_error=0.0))
    assert (given["sigma_pb"], given["sigma_pb_mc_error"]) == (2.0, 0.0)


def test_without_survivors_there_is_no_histogram():
    with pytest.raises(StageError, match="none of 0 generated events"):
        merged(sample_of([]))


def test_weighted_events_have_the_error_of_their_squares():
    found = merged(sample_of(range(400), unweighted=False, sum_of_weights=519.8))
    numbers = np.arange(400)
    weight = (1 + (numbers % 7) / 10)[numbers % 4 > 0]
    total = (1 + (numbers % 7) / 10).sum()
    assert not found["unweighted"]
    assert sum(found["yields"]) == pytest.approx(found["sigma_pb"] * 1e5 * weight.sum() / total)
    errors = np.square(found["yields_mc_error"]).sum()
    assert errors == pytest.approx((found["sigma_pb"] * 1e5 / total) ** 2 * np.square(weight).sum())


SCALES = [{"id": str(n), "group": "scale", "combine": "envelope", "text": "", "kind": "scale"} for n in (1, 2)]


def test_variations_move_the_shape_and_the_cross_section_apart():
    """All weights times 1.2: the cross-section moves, the shape does not. Half of the events up: the shape moves."""
    both = [lambda n: [1.2, 0.9], lambda n: [1.2 if n % 100 < 9 else 1.0, 1.0]]
    flat, steep = (merged(sample_of(range(400), variations=SCALES, ratios=r)) for r in both)
    np.testing.assert_allclose(flat["relative_errors"]["scale"], 0, atol=1e-12)
    np.testing.assert_allclose(flat["sigma_relative_errors"]["scale"], [0.2, -0.1])
    up = 1.018  # 9 % of the events are 20 % up
    assert steep["sigma_relative_errors"]["scale"] == pytest.approx([up - 1, 0.0])
    assert steep["relative_errors"]["scale"][0][0] == pytest.approx(1.2 / up - 1)
    assert steep["relative_errors"]["scale"][1][3] == pytest.approx(1.0 / up - 1)


# --- the likelihood ---


def four_bin_signal(**more):
    return {"yields": [40.0, 30.0, 20.0, 10.0], "yields_mc_error": [4.0, 3.0, 2.0, 1.0], **more}


def modifiers(signal):
    return {m["name"]: m for m in patch.signal_sample(signal)["modifiers"]}


def test_without_variations_the_patch_is_as_ever():
    assert list(modifiers(four_bin_signal())) == [
        "mu", "lumi", "signal_mc", "signal_experimental", "signal_radiation", "signal_pdf"
    ]  # fmt: skip


def test_variations_become_modifiers_and_the_files_pdf_replaces_the_general_one():
    errors = {"scale": [[0.1] * 4, [-0.2] * 4], "pdf": [[0.05] * 4, [-0.05] * 4]}
    found = modifiers(four_bin_signal(relative_errors=errors))
    assert found["signal_scale"]["data"]["hi_data"] == pytest.approx([44, 33, 22, 11])
    assert found["signal_scale"]["data"]["lo_data"] == pytest.approx([32, 24, 16, 8])
    assert found["signal_pdf"]["data"]["hi_data"] == pytest.approx([42, 31.5, 21, 10.5])
    assert len(found) == 7


def test_bins_in_which_negative_weights_win_do_not_exclude():
    found = patch.signal_sample({"yields": [40.0, -3.0, 20.0, 0.0], "yields_mc_error": [4.0, 3.0, 2.0, 0.0]})
    assert found["data"] == [40.0, 0.0, 20.0, 0.0]
    assert modifiers({"yields": [40.0, -3.0], "yields_mc_error": [4.0, 3.0]})["signal_mc"]["data"] == [4.0, 0.0]


def test_the_limit_says_what_the_cross_section_may_be_off():
    assert limit.of_cross_section({}, 0.02) == {}
    found = limit.of_cross_section({"scale": [0.1, -0.2], "pdf": [0.0, 0.0]}, 0.02)["uncertainties"]
    assert [(each["source"], each["relative"]) for each in found] == [
        ("Monte-Carlo statistics", 0.02),
        ("cross-section", 0.2),
    ]
    assert found[1]["how"] == "weights of the events: scale +10.0% -20.0%, pdf +0.0% +0.0%"


def test_the_bootstrap_of_weighted_events_is_that_of_their_errors():
    """Where all weights are equal both ways are one."""
    bins = limit.closed_form.Counting(
        observed=np.array(counting_yields().observed),
        background=np.array(counting_yields().background),
        error=np.array(counting_yields().background_error),
        rho=0.0,
    )
    counts = np.array([400, 300, 200, 100])
    alike = {"yields": (0.1 * counts).tolist(), "yields_mc_error": (0.1 * np.sqrt(counts)).tolist()}
    counted = limit.bootstrap(bins, {**alike, "counts": [counts.tolist()], "weights": [0.1]})
    weighted = limit.bootstrap(bins, {**alike, "counts": [[0] * 4], "weights": [0.0], "unweighted": False})
    assert weighted == pytest.approx(counted, rel=0.2)
    larger = limit.bootstrap(
        bins,
        {
            **alike,
            "yields_mc_error": (0.2 * np.sqrt(counts)).tolist(),
            "counts": [],
            "weights": [],
            "unweighted": False,
        },
    )
    assert larger == pytest.approx([2 * error for error in weighted], rel=0.25)
