"""Direct and indirect detection: the published constants, and the check values of each plane."""

from __future__ import annotations

import math

import pytest

from recast_dm.signals import annihilation, direct, find
from recast_dm.signals.alphas import alpha_s
from recast_dm.signals.constants import GEV2_IN_CM3_PER_S, M_NUCLEON, VEV
from recast_dm.signals.spin0_widths import form_factor


def planes(name, **values):
    model = find(name)
    return model.feeds(model.point(values))["planes"]


def test_vector_and_axial_at_the_check_points():
    v1 = planes("spin1-vector", m_med=1000, m_dm=100)
    a1 = planes("spin1-axial", m_med=1000, m_dm=100)
    assert v1["SI"] == pytest.approx(6.03e-41, rel=2e-3, abs=0)
    assert a1["SD-p"] == a1["SD-n"] == pytest.approx(2.06e-42, rel=2e-3, abs=0)
    assert (v1["SD-p"], v1["SD-n"], a1["SI"]) == (None, None, None)


@pytest.mark.parametrize(
    ("cross_section", "g_q", "m_med", "constant", "ours"),
    [
        (direct.vector, 0.25, 1000.0, 6.9e-41, 6.97e-41),
        (direct.axial, 0.25, 1000.0, 2.4e-42, 2.38e-42),
        (direct.scalar, 1.0, 125.0, 6.9e-43, 6.83e-43),
    ],
)
def test_the_constant_forms_of_1603_04156(cross_section, g_q, m_med, constant, ours):
    """sigma = constant (g_q g_dm/...)^2 (.../M)^4 (mu/1 GeV)^2."""
    for m_dm in (5.0, 100.0, 1e4):
        found = cross_section(g_q, 1.0, m_med, m_dm) / direct.reduced_mass(m_dm) ** 2
        assert found == pytest.approx(constant, rel=0.015, abs=0)
        assert found == pytest.approx(ours, rel=2e-3, abs=0)
    assert cross_section(g_q, 1.0, 2 * m_med, 10.0) == pytest.approx(cross_section(g_q, 0.25, m_med, 10.0), abs=0)


def test_heavy_dark_matter_scatters_with_the_nucleons_mass():
    assert direct.reduced_mass(1e9) == pytest.approx(M_NUCLEON)
    assert direct.reduced_mass(M_NUCLEON) == pytest.approx(M_NUCLEON / 2)


def test_annihilation_at_the_check_points():
    vector = planes("spin1-vector", m_med=1000, m_dm=200)["sigmav"]
    axial = planes("spin1-axial", m_med=1000, m_dm=200)["sigmav"]
    assert vector["total"] == pytest.approx(2.24e-25, rel=3e-3, abs=0)
    assert axial["total"] == pytest.approx(5.2e-27, rel=0.01, abs=0)
    assert axial["tt"] / axial["total"] > 0.99  # with the mass squared


def test_without_leptons_there_are_no_taus():
    assert planes("spin1-vector", m_med=1000, m_dm=200)["sigmav"]["tautau"] == 0
    with_leptons = planes("spin1-vector", m_med=1000, m_dm=200, g_l=0.25)["sigmav"]
    assert with_leptons["tautau"] == pytest.approx(with_leptons["uu"] / 3, rel=1e-3, abs=0)
    assert with_leptons["nunu"] == pytest.approx(3 * with_leptons["ee"] / 2, rel=1e-3, abs=0)


def test_dirac_dark_matter_compares_half_of_it():
    assert planes("spin1-vector", m_med=1000, m_dm=200)["self_conjugate"] is False
    assert annihilation.comparable(2.24e-25, self_conjugate=False) == 1.12e-25
    assert annihilation.comparable(2.24e-25, self_conjugate=True) == 2.24e-25
    assert annihilation.comparable(annihilation.THERMAL_DIRAC, self_conjugate=False) == (
        annihilation.THERMAL_SELF_CONJUGATE
    )


def test_a_scalar_scatters_and_a_pseudoscalar_annihilates():
    scalar, pseudo = (planes(f"spin0-{kind}", m_med=500, m_dm=100) for kind in ("scalar", "pseudoscalar"))
    assert scalar["SI"] > 0
    assert scalar["sigmav"] is None
    assert pseudo["SI"] is None
    assert pseudo["sigmav"]["total"] > 0


def test_gluons_in_the_form_of_the_paper():
    """alpha_s^2 g_q^2 g_dm^2 m^4 |F_P|^2/(2 pi^3 v^2 D), arXiv:1603.04156."""
    m_med, m_dm, width, g_q, g_dm = 600.0, 120.0, 30.0, 0.7, 0.9
    found = annihilation.pseudoscalar(g_q, g_dm, m_med, m_dm, width)["gg"]
    over = (m_med**2 - 4 * m_dm**2) ** 2 + (m_med * width) ** 2
    loop = abs(form_factor((172.69 / m_dm) ** 2, pseudoscalar=True)) ** 2
    expected = (alpha_s(2 * m_dm) * g_q * g_dm * m_dm**2) ** 2 * loop / (2 * math.pi**3 * VEV**2 * over)
    assert found == pytest.approx(expected * GEV2_IN_CM3_PER_S, rel=1e-9, abs=0)


def test_units():
    assert pytest.approx(0.3893793721e-27 * 2.99792458e10, rel=1e-3, abs=0) == GEV2_IN_CM3_PER_S


@pytest.mark.parametrize("name", ["add", "sbottom-higgs"])
def test_models_without_planes(name):
    assert find(name).record.planes.dd == ()
