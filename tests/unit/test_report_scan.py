"""Scan documents as values, and the lines on which mu = 1."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recast_dm import schemas
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.report import contours
from recast_dm.report import scan as scans_
from tests import scans


def test_the_synthetic_documents_are_scan_documents():
    for document in (scans.document(), scans.couplings(), scans.document(m_dm=(1.0,))):
        assert schemas.problem("scan-1", document) is None


def test_points_axes_and_what_has_no_limit():
    found = scans_.of_document(scans.document())
    assert list(found.axes) == ["m_med", "m_dm"]
    assert found.at == {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
    assert len(found.done) == 30
    assert {row.reason for row in found.not_covered} == {"m_med = 3000 GeV lies outside of the map"}
    assert found.correlation_models == ("covariance",)
    assert found.rows[0].expected(0) == pytest.approx(found.rows[0].mu_obs / scans.OBSERVED)
    heavy = next(row for row in found.rows if row.parameters["m_med"] == 500 and row.parameters["m_dm"] == 1000)
    assert heavy.broken == ("unitarity-dm", "on-shell")


def test_a_slice():
    cut = scans_.of_document(scans.document()).cut({"m_dm": 200.0})
    assert list(cut.axes) == ["m_med"]
    assert cut.at["m_dm"] == 200.0
    assert [row.parameters["m_med"] for row in cut.rows] == list(scans.M_MED)
    with pytest.raises(UsageError, match="no m_dm = 7"):
        scans_.of_document(scans.document()).cut({"m_dm": 7})
    with pytest.raises(UsageError, match="g_q does not vary"):
        cut.cut({"g_q": 0.25})


@pytest.mark.parametrize("spoil", [{"points": []}, {"model": 3}, {"grid": {"other": [1, 2]}}])
def test_what_is_no_scan_document(spoil):
    with pytest.raises(IntegrityError, match="not a scan document"):
        scans_.of_document({**scans.document(), **spoil})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0, -1.0])
def test_limits_that_are_none(number):
    document = scans.document()
    document["points"][3]["mu_upper_exp"][0] = number
    with pytest.raises(IntegrityError, match="not a scan document"):
        scans_.of_document(document)


def test_a_file_and_a_directory(tmp_path):
    (tmp_path / "scan.json").write_text(json.dumps(scans.document()))
    assert scans_.is_scan(tmp_path)
    assert scans_.read(tmp_path).model == scans_.read(tmp_path / "scan.json").model == "spin1-axial"
    (tmp_path / "other.json").write_text("{}")
    assert not scans_.is_scan(tmp_path / "other.json")


def test_a_contour_lies_where_the_invented_limit_is_one():
    found = scans_.of_document(
        scans.document(m_med=[*map(float, range(500, 2600, 50))], m_dm=[*map(float, range(1, 1000, 40))])
    )
    field = contours.field([(row.parameters["m_med"], row.parameters["m_dm"], row.mu_obs) for row in found.rows])
    assert field is not None
    (line,) = field.lines()
    for m_med, m_dm in line:
        lighter, heavier = (scans.mu_observed(m_med, max(m_dm + step, 0)) for step in (-20, 20))
        assert lighter < 1.001
        assert heavier > 0.999
    assert min(m_dm for _, m_dm in line) == 1.0
    assert max(m_med for m_med, _ in line) == pytest.approx(scans.CROSSING, abs=0.01)


def test_scattered_points_give_the_line_of_the_grid():
    """log mu = x - y: whichever points are taken, the line is the diagonal."""
    random = np.random.default_rng(1)
    places = [*random.uniform(0, 1, (60, 2)), (0, 0), (0, 1), (1, 0), (1, 1)]
    field = contours.field([(x, y, 10 ** (x - y)) for x, y in places])
    assert field is not None
    for line in field.lines():
        for x, y in line:
            assert x == pytest.approx(y, abs=1e-6)


def test_too_few_points_make_no_field():
    assert contours.field([(0, 0, 1.0), (0, 1, 2.0)]) is None
    assert contours.field([(0, 0, 1.0), (1, 1, 2.0)]) is None


def test_a_region_is_closed_along_the_edges_of_the_scan():
    field = contours.field([(x, y, 10 ** (x - 1.0)) for x in (0, 2) for y in (0, 1)])
    assert field is not None
    (ring,) = field.regions()
    assert {tuple(round(v, 9) for v in p) for p in ring} == {(0, 0), (1, 0), (1, 1), (0, 1)}


def test_known_places_of_the_line_are_kept_to():
    points = [(x, y, 10 ** (3 * (x - 0.5))) for x in (0, 1) for y in (0, 1)]
    bent = [(0.4, 0.0), (0.4, 1.0)]
    field = contours.field(points, on_line=bent)
    assert field is not None
    assert max(x for line in field.lines() for x, _ in line) == pytest.approx(0.4, abs=0.01)
