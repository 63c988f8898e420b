"""Scattering on a nucleon: what direct detection sees of a model point (arXiv:1603.04156, section 4).

Cross-sections in cm^2, masses in GeV; mu = m_N m/(m_N + m), m_N = .939 GeV. Loops that mix operators when there are
couplings to leptons are neglected. A pseudoscalar scatters only with its momentum: there is no limit to compare with.
"""

from __future__ import annotations

from math import pi, sqrt

from recast_dm.signals.constants import GEV2_IN_CM2, M_NUCLEON, VEV

QUARKS_IN_NUCLEON = 3.0
"""Valence quarks that a vector coupling counts."""

SPIN_FRACTION = 0.32
"""Sum over u, d, s of the share of the nucleon's spin: .84 - .43 - .09 for a proton (arXiv:1603.04156)."""

SCALAR_FORM = 1.16e-3
"""f(g_q = 1): what a Yukawa-like coupling to all quarks gives on a nucleon (arXiv:1603.04156)."""

HIGGS_FORM = 0.308
"""f_N of the Higgs boson's coupling to nucleons (arXiv:1708.02245)."""

M_HIGGS = 125.0
HIGGS_WIDTH = 4.07e-3
"""GeV. Width of the Standard Model's Higgs boson of 125 GeV (arXiv:1307.1347)."""


def reduced_mass(m_dm: float) -> float:
    """GeV.

    >>> round(reduced_mass(100.0), 4)
    0.9303
    """
    return M_NUCLEON * m_dm / (M_NUCLEON + m_dm)


def _contact(coupling: float, m_med: float, m_dm: float) -> float:
    """coupling^2 mu^2/(pi M^4)."""
    return coupling**2 * reduced_mass(m_dm) ** 2 / (pi * m_med**4) * GEV2_IN_CM2


def vector(g_q: float, g_dm: float, m_med: float, m_dm: float) -> float:
    """SI, the same on protons and neutrons: (3 g_q)^2 g_dm^2 mu^2/(pi M^4).

    >>> f"{vector(0.25, 1.0, 1000.0, 100.0):.3g}"
    '6.03e-41'
    """
    return _contact(QUARKS_IN_NUCLEON * g_q * g_dm, m_med, m_dm)


def axial(g_q: float, g_dm: float, m_med: float, m_dm: float) -> float:
    """SD, the same on protons and neutrons: 3 (.32 g_q)^2 g_dm^2 mu^2/(pi M^4).

    >>> f"{axial(0.25, 1.0, 1000.0, 100.0):.3g}"
    '2.06e-42'
    """
    return 3 * _contact(SPIN_FRACTION * g_q * g_dm, m_med, m_dm)


def scalar(g_q: float, g_dm: float, m_med: float, m_dm: float) -> float:
    """SI: (1.16e-3 g_q)^2 g_dm^2 mu^2/(pi M^4).

    >>> f"{scalar(1.0, 1.0, 125.0, 1000.0) / reduced_mass(1000.0) ** 2:.3g}"
    '6.83e-43'
    """
    return _contact(SCALAR_FORM * g_q * g_dm, m_med, m_dm)


def invisible_width(br_inv: float) -> float:
    """Gamma_inv in GeV that gives the Higgs boson a branching ratio to dark matter.

    >>> round(1e3 * invisible_width(0.1), 4)
    0.4522
    """
    return HIGGS_WIDTH * br_inv / (1 - br_inv)


def higgs_portal(br_inv: float, m_dm: float, spin: float) -> float:
    """SI, of a real scalar (spin 0) or a Majorana fermion (spin 1/2) below m_h/2 (arXiv:1708.02245).

    Scalar: 4 Gamma_inv m_N^4 f_N^2/(m_h^3 v^2 beta (m + m_N)^2); fermion:
    8 Gamma_inv m_N^4 m^2 f_N^2/(m_h^5 v^2 beta^3 (m + m_N)^2).

    >>> f"{higgs_portal(0.1, 50.0, 0):.2g} {higgs_portal(0.1, 50.0, 0.5):.2g}"
    '2.8e-46 2.5e-46'
    """
    beta = sqrt(1 - (2 * m_dm / M_HIGGS) ** 2)
    nucleon = M_NUCLEON**4 * HIGGS_FORM**2 / (VEV**2 * (m_dm + M_NUCLEON) ** 2)
    common = 4 * invisible_width(br_inv) * nucleon * GEV2_IN_CM2 / M_HIGGS**3
    return common / beta if spin == 0 else common * 2 * (m_dm / M_HIGGS) ** 2 / beta**3
