"""Contours of a collider in the planes of direct and indirect detection, on the numbers of arXiv:1603.04156."""

from __future__ import annotations

import json

import pytest

from recast_dm import curves, schemas
from recast_dm.errors import UsageError
from recast_dm.report import scan as scans_
from recast_dm.report.planes import drawing, files, mapping
from recast_dm.signals.annihilation import THERMAL_SELF_CONJUGATE
from tests import scans

LIGHT = {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}


def scan(model="spin1-vector", line=None, fixed=None):
    """A scan whose contour is a line of (m_med, m_dm)."""
    document = scans.document(model=model, fixed=fixed)
    if line:
        band = {"central": [line]}
        document["contour"] = {"axes": ["m_med", "m_dm"], "observed": band, "expected": band, "method": "given"}
    return scans_.of_document(document)


def planes(found, known=(), wanted=None):
    drawn, absent = mapping.prepare(found, known, wanted)
    return {plane.name: plane for plane in drawn}, {each.quantity: each.why for each in absent}


@pytest.mark.parametrize(
    ("model", "name", "expected"),
    [("spin1-vector", "SI", 6.03e-41), ("spin1-axial", "SD-p", 2.06e-42), ("spin1-axial", "SD-n", 2.06e-42)],
)
def test_a_point_of_the_contour_is_where_the_formula_puts_it(model, name, expected):
    found, _ = planes(scan(model, [[1000.0, 100.0], [1010.0, 100.0]]))
    m_dm, sigma = found[name].line("observed").lines[0][0]
    assert (m_dm, sigma) == (100.0, pytest.approx(expected, rel=2e-3))
    assert found[name].unit == "cm2"


@pytest.mark.parametrize(("model", "expected"), [("spin1-vector", 2.24e-25), ("spin1-axial", 5.2e-27)])
def test_annihilation_of_dirac_dark_matter_is_halved(model, expected):
    found, _ = planes(scan(model, [[1000.0, 200.0], [1010.0, 200.0]]))
    plane = found["sigmav-total"]
    assert plane.line("observed").lines[0][0] == (200.0, pytest.approx(expected / 2, rel=0.01))
    assert (plane.factor, plane.self_conjugate) == (0.5, False)
    assert any("\u27e8\u03c3v\u27e9/2 is drawn" in note for note in plane.notes)


def test_both_branches_bound_the_region():
    """At one m_dm the contour has a light and a heavy mediator: two cross-sections, as their fourth powers."""
    found, _ = planes(scan(line=[[600.0, 200.0], [1000.0, 200.0], [1800.0, 200.0]]))
    values = [value for _, value in found["SI"].line("observed").lines[0]]
    assert max(values) / min(values) == pytest.approx(3.0**4)
    whole, _ = planes(scan())
    (ring,) = whole["SI"].region
    heights = [value for m_dm, value in ring if 195 < m_dm < 205]
    assert max(heights) / min(heights) > 10


def test_edges_are_mapped_as_curves():
    """Half-way along an edge in m_med, sigma is that of half-way: not the mean of the ends."""
    found, _ = planes(scan(line=[[500.0, 100.0], [2500.0, 100.0]]))
    line = found["SI"].line("observed").lines[0]
    assert len(line) == mapping.PIECES * 2000 / 2500 + 1
    middle = line[len(line) // 2][1]
    assert middle == pytest.approx(line[0][1] / 3**4)


def test_planes_that_a_model_is_not_in():
    _, absent = planes(scan("spin0-pseudoscalar", fixed={"g_q": 1.0, "g_dm": 1.0}), wanted=["SI", "SD-p", "SD-n"])
    assert all("scatters only with its momentum" in why for why in absent.values())
    assert len(absent) == 3
    found, absent = planes(scan("spin0-scalar", fixed={"g_q": 1.0, "g_dm": 1.0}))
    assert set(found) == {"SI"}
    assert "p-wave" in absent["sigmav"]
    _, absent = planes(scan("spin1-vector"))
    assert set(absent) == {"SD-p", "SD-n"}


def test_channels_have_their_own_curves():
    found, _ = planes(scan("spin1-vector"), curves.shipped())
    assert set(found) == {"SI", "sigmav-total", "sigmav-bb"}, "no leptons at g_l = 0, no W bosons"
    assert {curve.channel for curve in found["sigmav-bb"].curves} == {"bb"}
    leptons, _ = planes(scan("spin1-vector", fixed={**LIGHT, "g_l": 0.1}), curves.shipped(), ["sigmav"])
    assert {"sigmav-tautau", "sigmav-mumu"} <= set(leptons)


def test_light_quarks_stand_beside_bb_as_a_proxy():
    """A vector couples alike to all quarks: five flavours are five times bb, far above their masses."""
    found, _ = planes(scan(line=[[1500.0, 400.0], [1600.0, 400.0]]), curves.shipped(), ["sigmav"])
    plane = found["sigmav-bb"]
    alone, together = plane.line("observed").lines[0][0], plane.line(mapping.PROXY_ROLE).lines[0][0]
    assert together == (400.0, pytest.approx(5 * alone[1], rel=1e-3))
    assert any("not used in the verdict" in note for note in plane.notes)
    axial, _ = planes(scan("spin1-axial", fixed={**LIGHT, "g_l": 0.1}), curves.shipped(), ["sigmav"])
    assert axial["sigmav-tautau"].line(mapping.PROXY_ROLE) is None


def test_what_is_neglected_and_assumed_is_said():
    found, _ = planes(scan())
    text = " ".join(found["SI"].notes)
    for words in ("95 % CL", "loops that mix operators", "all of the dark matter", "0.3 GeV"):
        assert words in text
    assert "1603.04156" in found["SI"].formula


def test_curves_are_labelled_and_unused_ones_dashed():
    found, _ = planes(scan("spin1-axial"), curves.shipped(), ["SD-p"])
    axes = drawing.draw(found["SD-p"]).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    icecube = next(line for label, line in lines.items() if label.startswith("IceCube"))
    lz = next(line for label, line in lines.items() if label.startswith("LZ"))
    assert icecube.is_dashed()
    assert not lz.is_dashed()
    assert lz.get_label() == "LZ 2024, 90 % CL, digitised, arXiv:2410.17036"
    assert icecube.get_label().endswith("not used")
    assert "collider, observed (95 % CL)" in lines


def test_the_thermal_target_is_drawn_where_limits_are_for_self_conjugate_dark_matter():
    found, _ = planes(scan(), curves.shipped(), ["sigmav"])
    axes = drawing.draw(found["sigmav-bb"]).axes[0]
    (thermal,) = (line for line in axes.get_lines() if line.get_label() == "thermal target")
    assert set(thermal.get_ydata()) == {THERMAL_SELF_CONJUGATE}
    assert "/2" in axes.get_ylabel()


def test_places_outside_of_the_model_are_left_out():
    found, _ = planes(scan(line=[[1000.0, 100.0], [20000.0, 100.0]]), wanted=["SI"])
    (line,) = found["SI"].line("observed").lines
    assert line[0] == (100.0, pytest.approx(6.03e-41, rel=2e-3))
    assert line[-1][1] >= 6.03e-41 / 10.0**4 * 0.99, "a mediator is at most 10 TeV heavy"


def test_planes_need_two_parameters():
    with pytest.raises(UsageError, match="two parameters"):
        mapping.prepare(scans_.of_document(scans.document(m_dm=(1.0,))), ())
    with pytest.raises(UsageError, match="no plane 'XY'"):
        mapping.prepare(scan(), (), ["XY"])


def test_numbers_lie_beside_the_figure(tmp_path):
    found, _ = mapping.prepare(scan(), curves.shipped(), ["SI"])
    (document,) = files.save(found, tmp_path / "planes", ".svg", {"source": "x", "analysis": "a", "model": "m"})
    assert [path.rpartition("/")[2] for path in document["files"]] == ["SI.svg", "SI.csv", "SI.json"]
    beside = json.loads((tmp_path / "planes/SI.json").read_text())
    assert schemas.problem("plane-1", beside) is None
    rows = (tmp_path / "planes/SI.csv").read_text().splitlines()
    assert rows[0] == "series,line,m_dm_gev,value_cm2,confidence_level,used"
    assert sum(row.startswith("lz-2024-si,") for row in rows) == len(curves.shipped()[4].masses)
