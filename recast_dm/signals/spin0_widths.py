"""Widths of a scalar or pseudoscalar mediator with Yukawa-like couplings to quarks.

Lagrangian of arXiv:1507.00966: g_dm phi chi-bar chi + g_q phi sum_q y_q/sqrt(2) q-bar q, with i gamma_5 between the
fermions for a pseudoscalar, y_q = sqrt(2) m_q/v. Masses and widths in GeV.
"""

from __future__ import annotations

from math import asin, log, pi, sqrt

from recast_dm.signals.constants import TOP, VEV


def yukawa(mass: float) -> float:
    """y = sqrt(2) m/v, v = 246.22 GeV.

    >>> round(yukawa(172.69), 3)
    0.992
    """
    return sqrt(2) * mass / VEV


def fermion_width(coupling: float, mediator: float, fermion: float, *, pseudoscalar: bool) -> float:
    """The width to a pair of Dirac fermions, one colour: g^2 M / 8 pi * beta^3 (pseudoscalar: beta).

    >>> round(fermion_width(1.0, 500.0, 1.0, pseudoscalar=False), 2)
    19.89
    """
    ratio = 4 * (fermion / mediator) ** 2
    if ratio >= 1:
        return 0.0
    beta = sqrt(1 - ratio)
    return coupling * coupling * mediator / (8 * pi) * (beta if pseudoscalar else beta * beta * beta)


def quark_width(coupling: float, mediator: float, quark: float, *, pseudoscalar: bool) -> float:
    """The width to a quark pair, three colours: 3 g_q^2 y_q^2 M / 16 pi * beta^3 (pseudoscalar: beta).

    >>> round(quark_width(1.0, 1000.0, 172.69, pseudoscalar=True), 1)
    55.1
    """
    return 3 * fermion_width(coupling * yukawa(quark) / sqrt(2), mediator, quark, pseudoscalar=pseudoscalar)


def gluon_width(
    coupling: float, mediator: float, alpha_s: float, *, pseudoscalar: bool, top_mass: float = TOP.mass
) -> float:
    """The width to two gluons through a top loop: alpha_s^2 g_q^2 M^3 / (32 pi^3 v^2) * |F|^2 (arXiv:1507.00966).

    >>> round(gluon_width(1.0, 125.0, 0.1126, pseudoscalar=False), 6)  # the Higgs boson at leading order, without b
    0.000195
    """
    form = form_factor(4 * (top_mass / mediator) ** 2, pseudoscalar=pseudoscalar)
    return (alpha_s * coupling * abs(form)) ** 2 * mediator**3 / (32 * pi**3 * VEV * VEV)


def form_factor(tau: float, *, pseudoscalar: bool) -> complex:
    """F of a quark loop, tau = 4 m^2/M^2: tau (1 + (1 - tau) f(tau)), for a pseudoscalar tau f(tau).

    f is arcsin^2(1/sqrt(tau)), or above threshold -(log((1 + b)/(1 - b)) - i pi)^2/4 with b = sqrt(1 - tau).
    A heavy quark gives 2/3 and 1:

    >>> round(form_factor(1e6, pseudoscalar=False).real, 4), round(form_factor(1e6, pseudoscalar=True).real, 4)
    (0.6667, 1.0)
    """
    triangle = _triangle(tau)
    return tau * triangle if pseudoscalar else tau * (1 + (1 - tau) * triangle)


def _triangle(tau: float) -> complex:
    if tau >= 1:
        return complex(asin(1 / sqrt(tau)) ** 2)
    root = sqrt(1 - tau)
    logarithm = complex(log((1 + root) / (1 - root)), -pi)
    return -0.25 * logarithm * logarithm
