"""Rescaling in couplings: the factor, where it may be trusted, and what cannot be rescaled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.errors import UsageError
from recast_dm.signals import find
from recast_dm.signals.rescale import rescaled

AXIAL, VECTOR = find("spin1-axial"), find("spin1-vector")
SCALAR, PSEUDOSCALAR = find("spin0-scalar"), find("spin0-pseudoscalar")
COUPLINGS = st.floats(0.01, 1.0)


def point(model, m_med=1000, m_dm=1, **couplings):
    return model.point({"m_med": m_med, "m_dm": m_dm, **couplings})


def findings(scaling):
    return {finding.name: finding.ok for finding in scaling.findings}


def test_a_known_factor():
    """g_q = .25 to .1 at 1 TeV: widths 26.5 + 29.0 to 26.5 + 4.6, so (.0625 * .478)/(.01 * .851)."""
    scaling = rescaled(AXIAL, point(AXIAL), AXIAL, point(AXIAL, g_q=0.1))
    assert scaling.factor == pytest.approx(0.0625 * 26.526 / 55.504 / (0.01 * 26.526 / 31.162), rel=1e-3)
    assert all(findings(scaling).values())


def test_leptons_take_their_share():
    with_leptons = rescaled(AXIAL, point(AXIAL, g_q=0.1), AXIAL, point(AXIAL, g_q=0.1, g_l=0.1))
    assert with_leptons.factor == pytest.approx((31.162 + 4.5 * 0.01 * 26.526) / 31.162, rel=1e-3)


@given(COUPLINGS, COUPLINGS, COUPLINGS, COUPLINGS)
def test_there_and_back(g_q, g_dm, other_q, other_dm):
    one, two = point(AXIAL, g_q=g_q, g_dm=g_dm), point(AXIAL, g_q=other_q, g_dm=other_dm)
    there, back = rescaled(AXIAL, one, AXIAL, two).factor, rescaled(AXIAL, two, AXIAL, one).factor
    assert there * back == pytest.approx(1)
    assert rescaled(AXIAL, one, AXIAL, one).factor == 1


def test_light_dark_matter_does_not_tell_vector_from_axial():
    scaling = rescaled(AXIAL, point(AXIAL, m_med=3000), VECTOR, point(VECTOR, m_med=3000))
    assert scaling.factor == pytest.approx(1, abs=0.01)


def test_heavy_dark_matter_does():
    """At 1 TeV and 300 GeV the direct cross-sections are 5.09 and 7.40 pb, widths 43.4 and 55.8 GeV."""
    scaling = rescaled(AXIAL, point(AXIAL, m_dm=300), VECTOR, point(VECTOR, m_dm=300))
    assert 1 / scaling.factor == pytest.approx(7.40 / 5.09, rel=0.02)


def test_a_pseudoscalar_is_made_with_its_own_loop():
    """A heavy top gives (1/(2/3))^2 = 2.25 times the rate."""
    scaling = rescaled(SCALAR, point(SCALAR, m_med=125), PSEUDOSCALAR, point(PSEUDOSCALAR, m_med=125))
    assert 1 / scaling.factor == pytest.approx((1.0 / (2 / 3)) ** 2, rel=0.05)


def test_what_is_not_to_be_trusted_is_said():
    wide = rescaled(AXIAL, point(AXIAL), AXIAL, point(AXIAL, g_q=1.0))
    assert findings(wide) == {"rescaled-narrow": False, "rescaled-on-shell": True, "rescaled-kinematics": True}
    off = rescaled(AXIAL, point(AXIAL, m_dm=600), AXIAL, point(AXIAL, m_dm=600, g_q=0.1))
    assert findings(off)["rescaled-on-shell"] is False
    assert off.factor == pytest.approx(6.25)


@pytest.mark.parametrize(
    ("old_model", "old", "new_model", "new", "message"),
    [
        (AXIAL, {}, SCALAR, {}, "of different families"),
        (AXIAL, {}, AXIAL, {"m_dm": 2}, "other masses have other kinematics"),
        (AXIAL, {"m_dm": 600}, VECTOR, {"m_dm": 600}, "off the mass shell"),
    ],
)
def test_what_cannot_be_rescaled(old_model, old, new_model, new, message):
    with pytest.raises(UsageError, match=message):
        rescaled(old_model, point(old_model, **old), new_model, point(new_model, **new))


def test_models_without_couplings_to_quarks():
    add = find("add")
    one = add.point({"n": 2, "m_d": 5000})
    with pytest.raises(UsageError, match="add has no resonance with a coupling g_q"):
        rescaled(add, one, add, one)
