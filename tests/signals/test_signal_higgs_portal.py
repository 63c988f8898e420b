"""The Higgs portal: widths that make a branching ratio, scattering, and the words of a point."""

from __future__ import annotations

import pytest

from recast_dm.errors import UsageError
from recast_dm.signals.higgs_portal import HIGGS_PORTAL


def test_words_of_a_point():
    fed = HIGGS_PORTAL.feeds(HIGGS_PORTAL.point({"m_dm": 50, "br_inv": 0.5, "dm_spin": "0.5"}))
    assert fed["pythia8"] == {
        "settings": [
            "HiggsSM:all=on",
            "1000022:m0=50",
            "1000022:mayDecay=off",
            "25:m0=125",
            "25:mWidth=0.00407",
            "25:14:bRatio=1",
            "25:onMode=off",
            "25:onIfAny=1000022",
        ],
        "couplings": [],
        "recoil_id": 25,
        "invisible_ids": [1000022],
        "expected_width_gev": 0.00814,
        "cross_section_factor": 1.0,
    }
    assert "efficiency-map" not in fed


@pytest.mark.parametrize("br", [0.0001, 0.1, 0.5, 0.95])
def test_the_widths_make_the_branching_ratio(br):
    widths = HIGGS_PORTAL.widths(HIGGS_PORTAL.point({"m_dm": 10, "br_inv": br}))
    assert widths["chi"] / widths.total == pytest.approx(br)


def test_scattering_at_the_published_point():
    scalar, fermion = (
        HIGGS_PORTAL.feeds(HIGGS_PORTAL.point({"m_dm": 50, "dm_spin": spin}))["planes"] for spin in (0, 0.5)
    )
    assert scalar["SI"] == pytest.approx(2.8e-46, rel=0.02, abs=0)
    assert fermion["SI"] == pytest.approx(2.5e-46, rel=0.02, abs=0)
    assert scalar["self_conjugate"] is fermion["self_conjugate"] is True
    assert scalar["sigmav"] is None


def test_only_two_spins():
    with pytest.raises(UsageError, match=r"dm_spin = 0\.25 is no choice: higgs-portal takes 0 or 0\.5"):
        HIGGS_PORTAL.point({"m_dm": 50, "dm_spin": 0.25})


@pytest.mark.parametrize(
    ("m_dm", "br", "names"), [(50, 0.1, []), (62, 0.1, ["threshold"]), (1, 0.2, ["invisible-decays"])]
)
def test_findings(m_dm, br, names):
    point = HIGGS_PORTAL.point({"m_dm": m_dm, "br_inv": br})
    assert [finding.name for finding in HIGGS_PORTAL.validity(point) if not finding.ok] == names
