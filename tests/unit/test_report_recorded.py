"""Plots, planes and the report of a scan that was really run: the CMS maps under the axial mediator A1."""

from __future__ import annotations

import json

import pytest

from recast_dm import curves
from recast_dm.report import plots
from recast_dm.report import scan as scans_
from recast_dm.report.html import material, report
from recast_dm.report.planes import mapping
from tests import scans


@pytest.fixture(scope="module")
def scan():
    return scans_.of_document(scans.recorded())


def test_the_mass_limit_of_the_a1_benchmark(scan):
    """At LO the monojet maps alone exclude mediators up to 1.85 TeV, and 2.15 TeV are expected: within 3 %."""
    found = plots.prepare(scan, "limit", {"m_dm": 1.0}).crossings
    assert found["observed"] == (pytest.approx(1850, rel=0.03),)
    assert found["expected"] == (pytest.approx(2150, rel=0.03),)
    assert found["expected -1 sigma"][0] > found["expected"][0] > found["expected +1 sigma"][0]


def test_the_contour_ends_where_the_map_ends(scan):
    plot = plots.prepare(scan, "plane")
    line = [point for line in plot.curve("observed").lines for point in line]
    assert max(m_med for m_med, _ in line) == pytest.approx(plots.prepare(scan, "limit").crossings["observed"][0])
    assert all(2 * m_dm < m_med for m_med, m_dm in line), "off-shell points are not in the map"
    assert len(scan.not_covered) == 11
    assert plot.notes[0].startswith("not covered: 11 of 54 points: ")


def test_the_spin_dependent_plane_reaches_below_direct_detection(scan):
    """What the collider is for: at light dark matter it sees smaller cross-sections than any direct search."""
    (plane,), _ = mapping.prepare(scan, curves.shipped(), ["SD-p"])
    lowest = min(value for line in plane.line("observed").lines for _, value in line)
    assert lowest < min(min(curve.limits) for curve in plane.curves if curve.used)


def test_the_report_has_the_closure_and_the_citations(tmp_path):
    file = tmp_path / "scan.json"
    document = scans.recorded()
    document["points"] = [point for point in document["points"] if point["parameters"]["m_dm"] == 1]
    document["grid"]["m_dm"] = [1]
    file.write_text(json.dumps(document))
    html = report.write(material.of_scan(scans_.read(file), file, list)).html
    assert "disagrees (within 25 %)" in html
    assert "arXiv:2107.13021" in html
    assert "points done again with pyhf" in html
