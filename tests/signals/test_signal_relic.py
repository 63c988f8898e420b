"""The relic density: known limits, and our own parts against other ways to the same number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from recast_dm.signals import annihilation, find, plasma, relic
from recast_dm.signals.constants import GEV2_IN_CM3_PER_S

XS = np.geomspace(relic.START, relic.END, 50)


def omega(name, **values):
    model = find(name)
    return relic.omega_h2(model, model.point(values))


@pytest.mark.parametrize("m_dm", [20.0, 100.0, 1000.0])
def test_the_thermal_target(m_dm):
    """4.4e-26 cm^3/s for Dirac dark matter is the observed density to 10 %."""
    target = XS * 0 + annihilation.THERMAL_DIRAC / GEV2_IN_CM3_PER_S
    assert relic.omega_of_average(XS, target, m_dm) == pytest.approx(relic.OBSERVED, rel=0.1, abs=0)


def test_the_steps_are_those_of_a_stiff_solver():
    """scipy's Radau on ln Y."""
    m_dm, sigmav = 100.0, 4.4e-26 / GEV2_IN_CM3_PER_S

    def fall(log_x, log_y):
        x = np.exp(log_x)
        state = plasma.at(np.atleast_1d(m_dm / x))
        strength = np.sqrt(np.pi / 45) * relic.PLANCK_MASS * m_dm * state.root / x**2 * sigmav / 2
        balance = relic._equilibrium(np.atleast_1d(x), state.h)
        return -x * strength * (np.exp(log_y) - balance**2 * np.exp(-log_y))

    start = np.log(relic._equilibrium(XS[:1], plasma.at(m_dm / XS[:1]).h))
    solved = solve_ivp(fall, np.log((XS[0], XS[-1])), start, method="Radau", rtol=1e-7, atol=1e-9)
    expected = relic.ENTROPY_OVER_CRITICAL * m_dm * np.exp(solved.y[0, -1])
    assert relic.omega_of_average(XS, XS * 0 + sigmav, m_dm) == pytest.approx(expected, rel=0.005, abs=0)


def test_an_s_wave_follows_its_value_at_rest():
    """Away from the resonance the vector's density is that of <sigma v> at rest to 10 %."""
    model = find("spin1-vector")
    point = model.point({"m_med": 3000, "m_dm": 200})
    at_rest = model.feeds(point)["planes"]["sigmav"]["total"] / GEV2_IN_CM3_PER_S
    flat = relic.omega_of_average(XS, XS * 0 + at_rest, 200.0)
    assert relic.omega_h2(model, point) == pytest.approx(flat, rel=0.1, abs=0)


@pytest.mark.parametrize("x", [10.0, 30.0, 1000.0])
def test_the_average_of_a_p_wave(x):
    """sigma v = v^2 in the rest frame averages to 6/x for slow particles."""
    average = relic.thermal_average(lambda s: 2 * np.sqrt(1 - 4 * 100.0**2 / s), x, 100.0, 5000.0, 1.0)
    assert average == pytest.approx(6 / x, rel=3 / x + 1e-3)


def test_the_resonance_is_averaged_over():
    """A narrow one just above threshold: against a plain sum of a million terms."""
    model = find("spin1-vector")
    point = model.point({"m_med": 1000, "m_dm": 490, "g_q": 0.05, "g_dm": 0.1})
    sigma, width = relic.cross_section(model, point), model.widths(point).total
    energies = np.linspace(980.0, 980.0 * (1 + 20 / 25), 4_000_001)[1:]
    s, step = energies**2, energies[1] - energies[0]
    from scipy.special import kve

    bessel = kve(1, 25 * energies / 490) * np.exp(-25 * (energies / 490 - 2))
    plain = 25 / (8 * 490**5 * kve(2, 25) ** 2) * (sigma(s) * (s - 4 * 490**2) * energies**2 * 2 * bessel).sum() * step
    assert relic.thermal_average(sigma, 25.0, 490.0, 1000.0, width) == pytest.approx(plain, rel=0.002, abs=0)


def test_the_resonance_thins_out():
    assert omega("spin1-vector", m_med=1000, m_dm=490) < 1e-3 * omega("spin1-vector", m_med=1000, m_dm=100)


def test_stronger_couplings_leave_less():
    weak, strong = (omega("spin0-pseudoscalar", m_med=3000, m_dm=190, g_dm=g) for g in (0.5, 1.0))
    assert weak / strong == pytest.approx(4, rel=0.1, abs=0)


def test_no_answer_where_there_is_none():
    assert omega("spin1-axial", m_med=500, m_dm=600) is None
    assert omega("higgs-portal", m_dm=50) is None
    assert omega("add", n=2, m_d=5000) is None


@pytest.mark.parametrize(("temperature", "g"), [(1e4, 106.75), (0.001, 10.75), (0.005, 10.75)])
def test_degrees_of_freedom_that_are_known(temperature, g):
    assert plasma.at(np.array([temperature])).g[0] == pytest.approx(g, rel=0.05, abs=0)


def test_gases_alone():
    """A massless boson counts 1, a massless fermion 7/8, a heavy one nothing."""
    y = np.array([0.0, 40.0])
    for statistics, weight in ((1, 1.0), (-1, 7 / 8)):
        energy, entropy = plasma._gas(y, statistics)
        assert energy == pytest.approx([weight, 0], abs=1e-4)
        assert entropy == pytest.approx([weight, 0], abs=1e-4)
