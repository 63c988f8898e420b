"""What the signal may say to Pythia, what the veto counts, and what the counts are worth."""

from __future__ import annotations

import math
import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monojet import generate, histogram
from monojet.errors import InputError, StageError
from monojet.generate import Coupling, RecoilSlices

from recast_dm import signals

EDGES = generate.SLICE_EDGES_GEV
POINTS = (
    ("spin1-axial", {"m_med": 2000, "m_dm": 1}),
    ("spin1-vector", {"m_med": 1000, "m_dm": 600, "g_l": 0.1}),
    ("add", {"n": 2, "m_d": 9000}),
)


@pytest.mark.parametrize(("model", "values"), POINTS)
def test_what_the_signal_models_feed_is_accepted(model, values):
    found = signals.find(model)
    fed = found.feeds(found.point(values))["pythia8"]
    assert generate.check_settings(fed["settings"]) == tuple(fed["settings"])
    assert len(generate.parse_couplings(fed["couplings"])) == len(fed["couplings"])


@pytest.mark.parametrize(
    "word",
    [
        "Beams:eCM=14000",
        "beams:ECM=14000",
        "PDF:pSet=1",
        "Tune:pp=14",
        "Random:seed=1",
        "Print:quiet=off",
        "Next:numberCount=1",
        "Init:showProcesses=on",
        "Main:numberOfEvents=3",
        "PartonLevel:MPI=on",
        "HadronLevel:all=off",
        "ParticleDecays:tau0Max=1",
        "Zprime:vd=1",
        "Zprime:anutauPrime=1",
        "zprime:VD=1",
        "Parallelism:numThreads=8",
    ],
)
def test_the_analysis_keeps_its_own_settings(word):
    with pytest.raises(InputError, match="belongs to the analysis"):
        generate.check_settings([word])


@pytest.mark.parametrize(
    "word", ["", "32:m0", "32:m0 = 2000", "a=b\nc=d", "a=b;c", "a=$(id)", "a='b'", "32:m0=2000 ! x"]
)
def test_a_setting_is_one_plain_word(word):
    with pytest.raises(InputError, match="not a plain key=value word"):
        generate.check_settings([word])


def test_settings_of_the_signal_that_look_like_the_analysis_own_are_free():
    words = ("Zprime:gmZmode=3", "Zprime:universality=off", "PhaseSpace:pTHatMin=150", "32:onMode=off")
    assert generate.check_settings(words) == words


@pytest.mark.parametrize("word", ["18", "18=1", "18=1,2,3", "x=1,2", "-18=0,1", "18=a,1", "18=,1", " 18=0,1"])
def test_a_coupling_has_one_form(word):
    with pytest.raises(InputError, match="not of the form"):
        generate.parse_couplings([word])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["21=0,1"], "not a fermion"),
        (["9=0,1"], "not a fermion"),
        (["18=0,1", "18=0,1"], "given twice"),
        (["18=nan,1"], "not finite"),
        (["18=0,inf"], "not finite"),
    ],
)
def test_couplings_that_mean_nothing_are_refused(words, why):
    with pytest.raises(InputError, match=why):
        generate.parse_couplings(words)


def test_no_fermion_keeps_the_couplings_of_a_sequential_zprime():
    words = generate.zprime_settings([Coupling(fermion=18, g_v=0.0, g_a=1.0)], unit=0.2)
    found = dict(word.split("=") for word in words)
    quarks = ("d", "u", "s", "c", "b", "t", "bPrime", "tPrime")
    leptons = ("e", "nue", "mu", "numu", "tau", "nutau", "tauPrime", "nutauPrime")
    assert set(found) == {f"Zprime:{kind}{name}" for kind in "va" for name in quarks + leptons}
    assert {key: float(value) for key, value in found.items() if float(value)} == {"Zprime:anutauPrime": 5.0}


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.1, 0.4))
def test_couplings_survive_the_change_of_units(g_v, g_a, unit):
    words = generate.zprime_settings([Coupling(fermion=2, g_v=g_v, g_a=g_a)], unit)
    found = dict(word.split("=") for word in words)
    assert float(found["Zprime:vu"]) * unit == pytest.approx(g_v)
    assert float(found["Zprime:au"]) * unit == pytest.approx(g_a)


def test_the_unit_of_the_couplings():
    """0.1884 at 1 TeV, where Pythia's alpha_em has run to 1/125.7."""
    coup_sm = SimpleNamespace(
        sin2thetaW=lambda: 0.2312, cos2thetaW=lambda: 0.7688, alphaEM=lambda q2: 1 / 125.7 if q2 == 1e6 else math.nan
    )
    assert generate.coupling_unit(coup_sm, 1000.0) == pytest.approx(0.1884, rel=5e-3)


@pytest.mark.parametrize(("pythia", "expected"), [(36.2, 55.5), (59.0, 55.5)])
def test_a_wrong_width_is_an_error(pythia, expected):
    with pytest.raises(StageError, match="mediator width"):
        generate.check_width(pythia, expected)


def info(*, accepted, selected, sigma, error):
    return SimpleNamespace(
        nAccepted=lambda: accepted, nSelected=lambda: selected, sigmaGen=lambda: sigma, sigmaErr=lambda: error
    )


def test_the_cross_section_is_that_before_the_veto():
    before, relative = 3.5e-10, 0.002
    accepted, selected = 1000, 50_000
    after = before * accepted / selected
    error = after * math.sqrt(relative**2 + (selected - accepted) / (accepted * selected))
    sigma, mc_error = generate.total_cross_section_pb(
        info(accepted=accepted, selected=selected, sigma=after, error=error)
    )
    assert sigma == pytest.approx(0.35)
    assert mc_error == pytest.approx(0.35 * relative)


@pytest.mark.parametrize(("accepted", "sigma"), [(0, 1e-10), (10, 0.0)])
def test_no_cross_section_is_an_error(accepted, sigma):
    with pytest.raises(StageError, match="cross-section of this signal is zero"):
        generate.total_cross_section_pb(info(accepted=accepted, selected=100, sigma=sigma, error=0.0))


def fill(slices, pts):
    for pt in pts:
        if slices.wants(pt):
            slices.keep()


@given(st.lists(st.floats(0, 3000), max_size=200), st.integers(1, 40))
def test_slices_count_every_event_once(pts, events):
    slices = RecoilSlices(edges_gev=EDGES, events=events)
    fill(slices, pts)
    assert slices.tries == len(pts)
    assert sum(slices.seen) == sum(pt >= EDGES[0] for pt in pts)
    assert slices.seen == np.histogram(pts, bins=[*EDGES, np.inf])[0].tolist()
    assert slices.kept == np.bincount(slices.labels, minlength=len(EDGES)).tolist()
    for seen, kept, quota in zip(slices.seen, slices.kept, slices.quotas, strict=True):
        assert (kept == min(seen, quota)) if slices.tries <= slices.patience else (kept >= min(seen, quota))


def test_only_the_slice_of_an_event_decides_not_its_place_in_it():
    one, other = (RecoilSlices(edges_gev=EDGES, events=8) for _ in range(2))
    low = [one.wants(pt) and (one.keep() or True) for pt in (151.0, 399.0, 200.0, 1500.0)]
    high = [other.wants(pt) and (other.keep() or True) for pt in (399.0, 150.0, 398.0, 1001.0)]
    assert low == high == [True, True, False, True]


def test_when_patience_ends_quotas_no_longer_hold():
    slices = RecoilSlices(edges_gev=(150.0, 400.0), events=2)
    fill(slices, [200.0] * (slices.patience + 2))
    assert slices.kept == [3, 0]  # one within its quota, two after patience


def test_a_signal_without_recoil_is_given_up():
    slices = RecoilSlices(edges_gev=EDGES, events=1)
    assert not any(slices.wants(10.0) for _ in range(slices.max_tries))
    assert not slices.exhausted
    assert slices.wants(10.0)
    assert slices.exhausted


def test_weights_give_back_a_known_total():
    """An exponential spectrum of mean 200 GeV: the share above any value is known."""
    draw = random.Random(5)
    slices = RecoilSlices(edges_gev=EDGES, events=4000)
    kept_pt = []
    while len(kept_pt) < 4000:
        pt = draw.expovariate(1 / 200.0)
        if slices.wants(pt):
            slices.keep()
            kept_pt.append(pt)
    weight = histogram.slice_efficiencies(slices.tries, slices.seen, slices.kept)
    weights = weight[np.array(slices.labels)]
    assert weights.sum() == pytest.approx(sum(slices.seen) / slices.tries, rel=1e-12)
    for threshold in (150.0, 300.0, 600.0, 900.0, 1200.0):
        chosen = weights[np.array(kept_pt) > threshold]
        error = math.hypot(math.sqrt((chosen**2).sum()), math.exp(-threshold / 400) / math.sqrt(slices.tries))
        assert abs(chosen.sum() - math.exp(-threshold / 200)) < 4 * error
        assert error < 0.12 * math.exp(-threshold / 200)


class Hooks:
    COMPLETE = 1


@pytest.fixture
def fake_pythia(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", SimpleNamespace(UserHooks=Hooks))


class Record(list):
    """An event record of (id, pT); every particle is its own last copy."""

    size = list.__len__

    def __getitem__(self, i):
        pdg, pt = list.__getitem__(self, i)
        return SimpleNamespace(idAbs=lambda: abs(pdg), iBotCopyId=lambda: i, pT=lambda: pt)


def test_the_hook_asks_once_with_the_pt_of_the_recoil(fake_pythia):
    slices = RecoilSlices(edges_gev=EDGES, events=4)
    hook = generate.recoil_slices_hook(slices, recoil_id=32)
    event = Record([(90, 0.0), (2212, 0.0), (2212, 0.0), (1, 0.0), (-1, 0.0), (32, 500.0)])
    assert hook.canVetoPT()
    assert hook.scaleVetoPT() == generate.VETO_SCALE_GEV
    assert not hook.doVetoPT(5, event)  # the shower of a decay: not asked
    assert slices.tries == 0
    assert not hook.doVetoPT(2, event)
    hook.onEndEvent(0)  # Pythia failed later: not kept
    assert (slices.seen, slices.kept) == ([0, 1, 0, 0], [0, 0, 0, 0])
    assert not hook.doVetoPT(2, event)
    hook.onEndEvent(Hooks.COMPLETE)
    assert (slices.seen, slices.kept) == ([0, 2, 0, 0], [0, 1, 0, 0])
    assert hook.doVetoPT(2, event)  # beyond the quota: vetoed, counted
    assert slices.seen == [0, 3, 0, 0]


def test_an_event_without_the_recoil_is_vetoed(fake_pythia):
    slices = RecoilSlices(edges_gev=EDGES, events=4)
    hook = generate.recoil_slices_hook(slices, recoil_id=32)
    assert hook.doVetoPT(2, Record([(90, 0.0), (2212, 0.0), (2212, 0.0), (1, 500.0)]))
    assert (slices.tries, sum(slices.seen)) == (1, 0)


def test_a_setting_that_pythia_refuses_is_named():
    pythia = SimpleNamespace(readString=lambda word: word != "32:colour=red")
    with pytest.raises(InputError, match="32:colour=red"):
        generate.read_settings(pythia, ["32:m0=1", "32:colour=red"])


@pytest.mark.parametrize("events", [0, -5])
def test_a_sample_has_events(events):
    signal = generate.Signal(
        pythia_settings=(), zprime_couplings=(), recoil_id=32, invisible_ids=(18,), expected_width_gev=0.0
    )
    with pytest.raises(InputError, match="at least one"):
        generate.sample(signal, seed=1, events=events)


def test_events_of_a_top_loop_are_refused():
    """Measured beside the CMS maps: 3 to 17 times their events between 470 and 1160 GeV for a scalar of 500 GeV."""
    signal = SimpleNamespace(pythia_settings=("HiggsBSM:gg2A3=on", "36:m0=500"))
    with pytest.raises(InputError, match=r"a top loop makes this mediator.*Take an analysis with efficiency maps"):
        generate.run(signal, seed=1, events=10, events_path=None, generation_path=None)
