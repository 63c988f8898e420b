"""The spin-0 models: widths against anchors, words for Pythia, and the factor on its cross-section."""

from __future__ import annotations

import math

import pytest

from recast_dm.errors import UsageError
from recast_dm.signals import spin0_pythia
from recast_dm.signals.constants import TOP
from recast_dm.signals.spin0 import PSEUDOSCALAR, SCALAR
from recast_dm.signals.spin0_pythia import Mediator

MODELS = pytest.mark.parametrize("model", [SCALAR, PSEUDOSCALAR], ids=["scalar", "pseudoscalar"])


def point(model, m_med=500, m_dm=1, **couplings):
    return model.point({"m_med": m_med, "m_dm": m_dm, **couplings})


def settings(model, **values):
    return dict(word.split("=") for word in model.feeds(point(model, **values))["pythia8"]["settings"])


def mediator(m_med, m_dm, *, g_q=1.0, g_dm=1.0, pseudoscalar=False):
    return Mediator(m_med=m_med, m_dm=m_dm, g_q=g_q, g_dm=g_dm, pseudoscalar=pseudoscalar)


@MODELS
def test_light_dark_matter(model):
    """g^2 M/8 pi."""
    assert model.widths(point(model, m_med=800))["chi"] == pytest.approx(800 / (8 * math.pi), rel=1e-4, abs=0)


def test_the_top_makes_a_scalar_narrower_than_a_pseudoscalar():
    scalar, pseudo = SCALAR.widths(point(SCALAR)), PSEUDOSCALAR.widths(point(PSEUDOSCALAR))
    beta2 = 1 - 4 * (TOP.mass / 500) ** 2
    assert scalar["t"] / pseudo["t"] == pytest.approx(beta2)
    assert SCALAR.widths(point(SCALAR, m_med=300))["t"] == 0


def test_widths_to_gluons_go_with_the_third_power_of_a_light_mediator():
    one, two = (PSEUDOSCALAR.widths(point(PSEUDOSCALAR, m_med=m))["g"] for m in (50, 60))
    assert two / one == pytest.approx((60 / 50) ** 3, rel=0.1, abs=0)


def test_words_of_a_point_on_shell():
    fed = SCALAR.feeds(point(SCALAR, m_dm=10))["pythia8"]
    words = dict(word.split("=") for word in fed["settings"])
    assert words["HiggsBSM:gg2H2"] == "on"
    assert words["Higgs:runningLoopMass"] == words["Higgs:clipWings"] == "off"
    assert words["35:m0"] == "500"
    assert words["35:mMin"] == "20.1"
    assert words["15:m0"] == "10"
    assert words["35:onIfAny"] == "15"
    assert words["35:5:bRatio"] == "1"  # the quarks' channel
    assert words["35:4:bRatio"] == words["35:7:bRatio"] == "0"
    scale = float(words["HiggsH2:coup2u"])
    assert scale == pytest.approx(244.25 / 246.22, rel=1e-4, abs=0)
    assert float(words["HiggsH2:coup2l"]) == pytest.approx(244.25 / 10, rel=1e-4, abs=0)
    assert (fed["recoil_id"], fed["invisible_ids"]) == (35, [15])
    assert fed["expected_width_gev"] == SCALAR.widths(point(SCALAR, m_dm=10)).total


def test_words_of_a_point_off_shell():
    words = settings(PSEUDOSCALAR, m_dm=300)
    assert words["36:mMin"] == "600.1"
    assert words["36:16:meMode"] == "101"
    assert words["37:m0"] == "14000"
    assert (words["36:onMode"], words["36:onIfAny"], words["36:16:onMode"]) == ("off", "15", "on")
    assert PSEUDOSCALAR.feeds(point(PSEUDOSCALAR, m_dm=300))["pythia8"]["expected_width_gev"] == 0


def test_a_light_mediator_has_its_quarks_in_the_channel_of_b():
    assert settings(SCALAR, m_med=200)["35:4:bRatio"] == "1"


@pytest.mark.parametrize("pseudoscalar", [False, True])
def test_far_from_thresholds_there_is_nothing_to_correct(pseudoscalar):
    assert spin0_pythia.correction(mediator(125.0, 1.0, pseudoscalar=pseudoscalar)) == pytest.approx(1, abs=1e-3)
    assert spin0_pythia.correction(mediator(500.0, 1.0, pseudoscalar=pseudoscalar)) == pytest.approx(1, abs=0.04)


def test_off_shell_the_factor_takes_out_a_stronger_coupling_and_gluons():
    weak, strong = (mediator(500.0, 300.0, g_dm=g) for g in (0.01, 1.0))
    assert weak.generated_g_dm() > 0.01
    ratio = spin0_pythia.correction(weak) / spin0_pythia.correction(strong)
    assert ratio < 0.01


def test_the_integral_is_fine_enough(monkeypatch):
    """A tenth as fine a grid gives the same to 1 %."""
    ours = spin0_pythia.correction(mediator(2000.0, 1.0))
    grid = spin0_pythia._virtualities
    monkeypatch.setattr(spin0_pythia, "_virtualities", lambda each: grid(each, 1600))
    assert spin0_pythia.correction.__wrapped__(mediator(2000.0, 1.0)) == pytest.approx(ours, rel=0.002, abs=0)


def test_luminosity_falls():
    values = [spin0_pythia.luminosity(mass) for mass in (10, 100, 345.6, 1000, 5000, 13000)]
    assert values == sorted(values, reverse=True)
    assert spin0_pythia.luminosity(700.0) == pytest.approx(6.7013)


@MODELS
def test_findings(model):
    found = {finding.name: finding.ok for finding in model.validity(point(model, m_med=100, m_dm=80, g_dm=3.5))}
    assert found["perturbative"] is True
    assert found["on-shell"] is False
    assert not {f.name: f.ok for f in model.validity(point(model, m_med=600, g_q=2, g_dm=3))}["narrow-width"]


@MODELS
def test_points_that_cannot_be(model):
    with pytest.raises(UsageError, match="wider than heavy"):
        point(model, m_med=3000, g_q=3.5, g_dm=3.5)
    with pytest.raises(UsageError, match=r"2 m_dm is less than 0\.1 GeV below"):
        point(model, m_med=500, m_dm=249.96)


def test_benchmarks():
    assert dict(SCALAR.record.benchmark("S1").values) == {"g_q": 1.0, "g_dm": 1.0}
    assert dict(PSEUDOSCALAR.record.benchmark("P1").values) == {"g_q": 1.0, "g_dm": 1.0}
