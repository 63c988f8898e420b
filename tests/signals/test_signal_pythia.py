"""Cross-sections that Pythia finds with the words of the models, in the image of the ATLAS analysis.

These are the canaries of the signal models: a coupling that is off by a factor, a lepton coupling that is left out, and
another lowest virtuality (`32:mMin`) each change one of these numbers by more than its tolerance.
"""

from __future__ import annotations

import math

import pytest
import pythia_in_image

from recast_dm.signals import find, spin0_pythia
from recast_dm.signals.rescale import rescaled

pytestmark = pytest.mark.container

EVENTS = 6000
POINTS = {
    "A1 .5 TeV": ("spin1-axial", {"m_med": 500, "m_dm": 1}),
    "A1 1 TeV": ("spin1-axial", {"m_med": 1000, "m_dm": 1}),
    "A1 2 TeV": ("spin1-axial", {"m_med": 2000, "m_dm": 1}),
    "A1 2.5 TeV": ("spin1-axial", {"m_med": 2500, "m_dm": 1}),
    "A1 300 GeV": ("spin1-axial", {"m_med": 1000, "m_dm": 300}),
    "A1 off-shell": ("spin1-axial", {"m_med": 1000, "m_dm": 600}),
    "A .1": ("spin1-axial", {"m_med": 1000, "m_dm": 1, "g_q": 0.1}),
    "A2": ("spin1-axial", {"m_med": 1000, "m_dm": 1, "g_q": 0.1, "g_l": 0.1}),
    "A1 leptons": ("spin1-axial", {"m_med": 1000, "m_dm": 1, "g_l": 0.5}),
    "V1 1 TeV": ("spin1-vector", {"m_med": 1000, "m_dm": 1}),
    "V1 2 TeV": ("spin1-vector", {"m_med": 2000, "m_dm": 1}),
    "V1 300 GeV": ("spin1-vector", {"m_med": 1000, "m_dm": 300}),
    "S1 125": ("spin0-scalar", {"m_med": 125, "m_dm": 1}),
    "S 125 half": ("spin0-scalar", {"m_med": 125, "m_dm": 1, "g_q": 0.5}),
    "S1 500": ("spin0-scalar", {"m_med": 500, "m_dm": 1}),
    "S 500 half": ("spin0-scalar", {"m_med": 500, "m_dm": 1, "g_q": 0.5, "g_dm": 0.3}),
    "S 500 300": ("spin0-scalar", {"m_med": 500, "m_dm": 300}),
    "P1 125": ("spin0-pseudoscalar", {"m_med": 125, "m_dm": 1}),
    "P1 500": ("spin0-pseudoscalar", {"m_med": 500, "m_dm": 1}),
    "P 500 300": ("spin0-pseudoscalar", {"m_med": 500, "m_dm": 300}),
    "P 500 300 weak": ("spin0-pseudoscalar", {"m_med": 500, "m_dm": 300, "g_dm": 0.1}),
    "H .1": ("higgs-portal", {"m_dm": 50, "br_inv": 0.1}),
    "H .5": ("higgs-portal", {"m_dm": 50, "br_inv": 0.5}),
}


def fed(name):
    model, values = POINTS[name]
    return find(model).feeds(find(model).point(values))["pythia8"]


@pytest.fixture(scope="module")
def found():
    """{point: what Pythia found}, all in one container."""
    return pythia_in_image.cross_sections({name: fed(name) for name in POINTS}, EVENTS)


@pytest.mark.parametrize(
    ("name", "sigma_pb"),
    [
        ("A1 .5 TeV", 123.1),
        ("A1 1 TeV", 8.33),
        ("A1 2 TeV", 0.3526),
        ("A1 2.5 TeV", 0.1081),
        ("A1 300 GeV", 5.09),
        ("A1 off-shell", 0.0143),
        ("V1 1 TeV", 8.22),
        ("V1 2 TeV", 0.351),
        ("V1 300 GeV", 7.40),
    ],
)
def test_reference_cross_sections_of_spin_1(found, name, sigma_pb):
    """Leading order, 13 TeV, with the tail. Half of m_med as lowest virtuality loses 4 % at 1 TeV, 11 % at 2 TeV."""
    assert found[name]["sigma_pb"] == pytest.approx(sigma_pb, rel=0.035, abs=0)


def test_leptons_widen_the_mediator(found):
    """g_l = .5 adds 4.5 times a lepton's width, and takes that from the rate."""
    model, values = POINTS["A1 leptons"]
    with_leptons = find(model).widths(find(model).point(values)).total
    without = find(model).widths(find(model).point({**values, "g_l": 0})).total
    assert with_leptons - without == pytest.approx(4.5 * 0.25 * 1000 / (12 * math.pi), rel=1e-3, abs=0)
    ratio = found["A1 1 TeV"]["sigma_pb"] / found["A1 leptons"]["sigma_pb"]
    assert ratio == pytest.approx(with_leptons / without, rel=0.05, abs=0)


@pytest.mark.parametrize("name", ["A .1", "A2"])
def test_rescaling_meets_a_direct_computation(found, name):
    """Limits on mu go with the inverse of the rate, at 1 TeV to 3 % and the MC errors of both."""
    axial = find("spin1-axial")
    one, other = (axial.point(POINTS[point][1]) for point in ("A1 1 TeV", name))
    factor = rescaled(axial, one, axial, other).factor
    assert found["A1 1 TeV"]["sigma_pb"] / found[name]["sigma_pb"] == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("name", POINTS)
def test_widths_are_the_formulas(found, name):
    """Pythia adds QCD corrections to a Z'; the spin-0 mediators are told their widths."""
    expected = fed(name)["expected_width_gev"]
    if expected:
        assert found[name]["width_gev"] == pytest.approx(
            expected, rel=0.05 if "1" in find(POINTS[name][0]).record.family else 0.03
        )


@pytest.mark.parametrize("name", POINTS)
def test_every_event_has_dark_matter(found, name):
    assert found[name]["invisible"] == 1
    assert found[name]["sigma_pb"] > 0


@pytest.mark.parametrize(("name", "pseudoscalar"), [("S1 125", False), ("P1 125", True)])
def test_gluon_fusion_in_the_narrow_width_approximation(found, name, pseudoscalar):
    """pi^2 Gamma_gg/(8 M^3) tau dL/dtau BR, with the gluons' width as Pythia's alpha_s makes it."""
    mediator = spin0_pythia.Mediator(m_med=125.0, m_dm=1.0, g_q=1.0, g_dm=1.0, pseudoscalar=pseudoscalar)
    made = math.pi**2 * mediator.pythia_gluons(125.0) / (8 * 125.0**3) * spin0_pythia.luminosity(125.0)
    share = mediator.chi(125.0) / (mediator.chi(125.0) + mediator.quarks(125.0) + mediator.gluons(125.0))
    assert found[name]["sigma_pb"] == pytest.approx(made * share * 0.3893793721e9, rel=0.08, abs=0)


@pytest.mark.parametrize(("one", "other"), [("S1 125", "S 125 half"), ("S1 500", "S 500 half")])
def test_the_rate_goes_with_g_q_squared_and_the_branching_ratio(found, one, other):
    def rate(name):
        model, values = POINTS[name]
        point = find(model).point(values)
        widths = find(model).widths(point)
        return point["g_q"] ** 2 * widths["chi"] / widths.total

    ratio = found[one]["sigma_pb"] / found[other]["sigma_pb"]
    assert ratio == pytest.approx(rate(one) / rate(other), rel=0.06, abs=0)


def test_off_shell_the_rate_goes_with_g_dm_squared(found):
    """Of the weaker one a third of Pythia's rate would be gluons': the factor takes it out."""
    ratio = found["P 500 300"]["sigma_pb"] / found["P 500 300 weak"]["sigma_pb"]
    assert ratio == pytest.approx(100, rel=0.1, abs=0)
    assert found["S 500 300"]["sigma_pb"] < found["P 500 300"]["sigma_pb"]  # a p-wave at threshold


def test_the_higgs_boson_keeps_its_branching_ratio(found):
    """Nothing is left to multiply by hand: .5 is five times .1."""
    assert found["H .5"]["sigma_pb"] / found["H .1"]["sigma_pb"] == pytest.approx(5, rel=0.05, abs=0)
    assert 25 < found["H .1"]["sigma_pb"] / 0.1 < 45  # all of its production at leading order
