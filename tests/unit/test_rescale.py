"""A scan turned into that of other couplings."""

from __future__ import annotations

import pytest

from recast_dm import schemas, signals
from recast_dm.errors import UsageError
from recast_dm.reinterpret.rescale import rescaled
from tests import scans


@pytest.fixture
def document():
    return scans.document()


def point_at(document, **where):
    return next(p for p in document["points"] if all(p["parameters"][n] == v for n, v in where.items()))


def test_it_is_a_scan_document(document):
    found = rescaled(document, settings={"g_q": 0.1, "g_l": 0.1})
    assert schemas.problem("scan-1", found) is None
    assert found["fixed"] == {"g_q": 0.1, "g_dm": 1.0, "g_l": 0.1}
    assert found["rescaled"]["from"]["fixed"]["g_q"] == 0.25


def test_mu_grows_as_the_rate_falls(document):
    axial = signals.find("spin1-axial")
    rates = []
    for g_q in (0.25, 0.1):
        widths = axial.widths(axial.point({"m_med": 1000, "m_dm": 1, "g_q": g_q}))
        assert widths is not None
        rates.append(g_q**2 * widths["chi"] / widths.total)
    before, after = (
        point_at(each, m_med=1000, m_dm=1) for each in (document, rescaled(document, settings={"g_q": 0.1}))
    )
    assert after["mu_upper_obs"] / before["mu_upper_obs"] == pytest.approx(rates[0] / rates[1])
    assert after["mu_upper_obs"] * after["sigma_pb"] == pytest.approx(before["mu_upper_obs"] * before["sigma_pb"])
    assert after["cls_obs"] is None
    assert after["excluded"] == (after["mu_upper_obs"] < 1)


def test_the_same_couplings_change_nothing(document):
    before = [p for p in document["points"] if p["status"] == "done"]
    after = [p for p in rescaled(document, settings={"g_q": 0.25})["points"] if p["status"] == "done"]
    assert [p["mu_upper_obs"] for p in after] == pytest.approx([p["mu_upper_obs"] for p in before])


def test_what_is_outside_says_so(document):
    wide = point_at(rescaled(document, settings={"g_q": 1.0}), m_med=1000, m_dm=1)
    assert [each["name"] for each in wide["validity"] if not each["ok"]] == ["narrow-width", "rescaled-narrow"]
    off = point_at(rescaled(document, settings={"g_q": 0.1}), m_med=1000, m_dm=600)
    assert "rescaled-on-shell" in [each["name"] for each in off["validity"] if not each["ok"]]


def test_a_coupling_mass_plane(document):
    found = rescaled(document, axes={"g_q": [0.05, 0.1, 0.25]}, at={"m_dm": 1})
    assert schemas.problem("scan-1", found) is None
    assert list(found["grid"]) == ["m_med", "g_q"]
    assert len(found["points"]) == 3 * len(scans.M_MED)


def test_what_is_not_covered_stays_so(document):
    before = [p for p in document["points"] if p["status"] == "not covered"]
    after = [p for p in rescaled(document, settings={"g_q": 0.1})["points"] if p["status"] == "not covered"]
    assert before
    assert [p["reason"] for p in after] == [p["reason"] for p in before]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"settings": {"m_med": 500.0}}, "m_med is no coupling"),
        ({"settings": {"g_x": 1.0}}, "no parameter 'g_x'"),
        ({"at": {"m_dm": 17.0}, "settings": {"g_q": 0.1}}, "no point there"),
        ({"axes": {"m_dm": [1.0]}}, "m_dm is no coupling"),
        ({"model": "spin0-scalar"}, "different families"),
    ],
)
def test_what_cannot_be_rescaled(document, words, said):
    with pytest.raises(UsageError, match=said):
        rescaled(document, **words)
