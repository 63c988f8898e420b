"""What plots draw: the numbers first, then that the pictures hold them."""

from __future__ import annotations

import math

import pytest

from recast_dm import signals
from recast_dm.errors import UsageError
from recast_dm.report import plots
from recast_dm.report import scan as scans_
from recast_dm.report.plots import boundaries, files, quantities, relic_line
from recast_dm.report.plots.limit import LimitPlot
from recast_dm.report.plots.plane import PlanePlot
from recast_dm.signals import relic
from tests import scans


def prepared(document, kind=None, at=None, quantity=None):
    return plots.prepare(scans_.of_document(document), kind, at, quantity)


def test_a_limit_against_the_mass():
    plot = prepared(scans.document(), "limit", {"m_dm": 200.0}, "mu")
    assert isinstance(plot, LimitPlot)
    step = plot.steps[1]
    assert (step.x, step.observed) == (1000.0, pytest.approx(scans.mu_observed(1000, 200)))
    assert step.expected[2] == pytest.approx(step.observed / scans.OBSERVED)
    assert step.theory == 1
    last = plot.steps[-1]
    assert (last.observed, last.status, last.reason) == (
        None,
        "not covered",
        "m_med = 3000 GeV lies outside of the map",
    )


def test_where_it_is_excluded():
    plot = prepared(scans.document(m_dm=(1.0,)))
    assert isinstance(plot, LimitPlot)
    assert plot.crossings["observed"] == (pytest.approx(scans.CROSSING, abs=0.1),)
    assert plot.crossings["expected"] == (pytest.approx(scans.CROSSING + 480 * math.log(scans.OBSERVED), abs=0.1),)
    assert (
        plot.crossings["expected -1 sigma"][0] > plot.crossings["expected"][0] > plot.crossings["expected +1 sigma"][0]
    )


def test_a_limit_on_the_cross_section_stands_beside_the_theory():
    plot = prepared(scans.document(m_dm=(1.0,)), quantity="sigma")
    assert isinstance(plot, LimitPlot)
    step = plot.steps[2]
    assert step.theory == pytest.approx(scans.sigma(1500, 1))
    assert step.observed / step.theory == pytest.approx(scans.mu_observed(1500, 1))


def test_the_slice_with_the_most_limits_is_drawn():
    """The points of a search for a contour lie anywhere: an axis may have none at its least value."""
    document = scans.document()
    document["points"] = [
        p for p in document["points"] if p["parameters"]["m_dm"] > 1 or p["parameters"]["m_med"] < 600
    ]
    plot = prepared(document, "limit")
    assert (plot.scan.at["m_dm"], len(plot.steps)) == (200.0, 6)
    document["points"] = [p for p in document["points"] if p["parameters"]["m_dm"] == 1]
    alone = prepared(document, "limit")
    assert [step.x for step in alone.steps] == [500.0]
    assert plots.draw(alone).axes


def test_without_cross_sections_the_limit_is_on_mu():
    document = scans.document(m_dm=(1.0,))
    for point in document["points"]:
        if point["status"] == "done":
            point.update(sigma_pb=None, sigma_upper_obs_pb=None, sigma_upper_exp_pb=None)
    assert prepared(document).quantity == "mu"
    with pytest.raises(UsageError, match="no cross-sections"):
        prepared(document, quantity="sigma")


def test_a_k_factor_stands_beside_leading_order():
    document = scans.document(m_dm=(1.0,))
    for point in document["points"]:
        if point["status"] == "done":
            mu = [each / 1.5 for each in point["mu_upper_exp"]]
            point["k_factor"] = {"name": "drell-yan", "source": "here", "value": 1.5, "mu_upper_obs": 0.1}
            point["k_factor"] |= {"mu_upper_exp": mu, "excluded": True, "excluded_expected": True}
    plot = prepared(document)
    assert plot.steps[0].theory_k == pytest.approx(1.5 * plot.steps[0].theory)
    with_k, without = plot.crossings["observed, with K"][0], plot.crossings["observed"][0]
    assert with_k - without == pytest.approx(480 * math.log(1.5), abs=0.1)
    texts = " ".join(text.get_text() for text in plots.draw(plot).axes[0].get_legend().get_texts())
    assert "x K" in texts


def test_a_plane_has_contours_boundaries_and_notes():
    plot = prepared(scans.document())
    assert isinstance(plot, PlanePlot)
    assert {curve.role for curve in plot.curves} == {"observed", "expected", "expected -1 sigma", "expected +1 sigma"}
    assert {curve.role for curve in plot.boundaries} >= {"unitarity-dm", "on-shell"}
    assert plot.notes == ("not covered: 6 of 36 points: m_med = 3000 GeV lies outside of the map",)
    for m_med, m_dm in plot.curve("on-shell").lines[0]:
        assert 2 * m_dm == pytest.approx(m_med, abs=0.3)  # the model refuses what is closer
    for m_med, m_dm in plot.curve("unitarity-dm").lines[0]:
        assert m_dm == pytest.approx(math.sqrt(math.pi / 2) * m_med, abs=1e-3)


def test_the_contour_of_the_document_goes_before_ours():
    document = scans.document()
    line = [[[600.0, 100.0], [1500.0, 500.0], [1900.0, 1.0]]]
    band = {"central": line, "low": [[[600, 90], [1890, 1]]], "high": [[[600, 110], [1910, 1]]]}
    document["contour"] = {"axes": ["m_med", "m_dm"], "observed": band, "expected": {"central": line}, "method": "gp"}
    plot = prepared(document)
    assert plot.method == "gp"
    assert plot.curve("observed").lines == (((600.0, 100.0), (1500.0, 500.0), (1900.0, 1.0)),)
    assert plot.curve("observed, low").lines == (((600.0, 90.0), (1890.0, 1.0)),)
    document["contour"]["axes"] = ["m_dm", "m_med"]
    assert prepared(document).curve("observed").lines[0][0] == (100.0, 600.0)


def test_a_coupling_against_the_mass():
    plot = prepared(scans.couplings(), "coupling")
    assert (plot.x, plot.y, plot.log_y) == ("m_med", "g_q", True)
    for m_med, g_q in plot.curve("observed").lines[0]:
        assert scans.mu_observed(m_med, 1.0) * (0.25 / g_q) ** 2 == pytest.approx(1, rel=0.01)
    with pytest.raises(UsageError, match="is a coupling"):
        prepared(scans.document(), "coupling")


def test_a_plane_needs_two_axes():
    with pytest.raises(UsageError, match="two parameters that vary"):
        prepared(scans.document(), "plane", {"m_dm": 1.0})
    with pytest.raises(UsageError, match="no plot of kind 'pie'"):
        prepared(scans.document(), "pie")


def test_the_relic_line_is_where_the_density_is_the_observed_one(monkeypatch):
    """On a coarse mesh, away from the resonance."""
    for name, nodes in (("MEDIATORS", 3), ("RATIOS", (0.22, 0.3, 0.38)), ("RESONANT", ())):
        monkeypatch.setattr(relic_line, name, nodes)
    scan = scans_.of_document(scans.document(m_med=(900.0, 1000.0, 1100.0), m_dm=(200.0, 300.0, 450.0)))
    (curve,) = relic_line.of(scan)
    model = signals.find("spin1-axial")
    for m_med, m_dm in curve.lines[0]:
        point = model.point({**scan.at, "m_med": m_med, "m_dm": m_dm})
        assert relic.omega_h2(model, point) == pytest.approx(0.12, rel=0.1)
    plot = plots.prepare(scan, "plane", relic=True)
    assert plot.curve("relic").lines == curve.lines
    labels = [text.get_text() for text in plots.draw(plot).axes[0].get_legend().get_texts()]
    assert any("relic density" in label for label in labels)


def test_a_coupling_plane_has_no_relic_line():
    assert relic_line.of(scans_.of_document(scans.couplings())) == ()


def test_a_model_that_is_not_installed_has_no_boundaries():
    assert boundaries.of(scans_.of_document(scans.document(model="nobodys")), "m_med", "m_dm") == ()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_bytes(suffix):
    first, again = (files.picture(plots.figure(scans.document(m_dm=(1.0,))), suffix) for _ in range(2))
    assert first == again
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])


def test_names_with_mathematics_in_them_are_drawn_as_they_are():
    document = scans.document(m_dm=(1.0,))
    document |= {"analysis": "a$x_{b$ \x07 {c}", "title": r"$\frac{"}
    document["references"] = {"arxiv": r"$\undefined"}
    for point in document["points"]:
        point["validity"].append({"name": r"na$me_{", "ok": False, "text": "x"})
    assert files.picture(plots.figure(document), "png", dpi=40)
    assert quantities.symbol("m$^") == r"m\$^"


def test_tables_hold_numbers_in_full():
    plot = prepared(scans.document(m_dm=(1.0,)))
    lines = files.table(*plot.table()).decode().splitlines()
    assert lines[0].startswith("m_med,observed_pb,expected_minus_2_pb")
    assert float(lines[1].split(",")[1]) == plot.steps[0].observed
    assert lines[-1] == "3000.0,,,,,,,,,not covered,m_med = 3000 GeV lies outside of the map,"
