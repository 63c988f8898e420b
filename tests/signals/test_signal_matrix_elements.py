"""Widths and annihilation against an independent way: squared matrix elements from Dirac matrices, summed numerically.

Nothing here knows the closed forms: spinor sums are traces of 4 x 4 matrices, the two-body phase space is a sum over
angles, and loops are integrals over a Feynman parameter. Each model is compared at 20 random points.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad

from recast_dm.errors import UsageError
from recast_dm.signals import find, pair_annihilation
from recast_dm.signals.constants import CHARGED_LEPTONS, GEV2_IN_CM3_PER_S, NEUTRINOS, QUARKS, VEV
from recast_dm.signals.spin0_widths import form_factor

POINTS = 20
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
GAMMA = [np.kron(np.diag([1, -1]), np.eye(2)).astype(complex)]
GAMMA += [np.kron(np.array([[0, 1], [-1, 0]]), sigma) for sigma in PAULI]
GAMMA5 = 1j * GAMMA[0] @ GAMMA[1] @ GAMMA[2] @ GAMMA[3]
ONE = np.eye(4)


def slash(p):
    return sum(METRIC[mu, mu] * p[mu] * GAMMA[mu] for mu in range(4))


def bar(vertex):
    return GAMMA[0] @ vertex.conj().T @ GAMMA[0]


def currents(p1, p2, mass, vertices):
    """Sum over spins of (u-bar(p1) V_i v(p2)) (u-bar(p1) V_j v(p2))^*, for every pair of vertices."""
    first, second = slash(p1) + mass * ONE, slash(p2) - mass * ONE
    return np.array([[np.trace(first @ v @ second @ bar(w)) for w in vertices] for v in vertices])


def back_to_back(energy, mass, cosine):
    """Two momenta of a pair in its rest frame."""
    momentum = math.sqrt(max((energy / 2) ** 2 - mass**2, 0.0))
    along = momentum * np.array([math.sqrt(1 - cosine**2), 0.0, cosine])
    return np.array([energy / 2, *along]), np.array([energy / 2, *-along])


def spin1_vertices(g_v, g_a):
    return [gamma @ (g_v * ONE + g_a * GAMMA5) for gamma in GAMMA]


def polarisations(q, mass):
    """-g + q q/M^2, indices down."""
    low = METRIC @ q
    return -METRIC + np.outer(low, low) / mass**2


def angles(n=8):
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return zip(nodes, weights / 2, strict=True)


def width(mediator, fermion, colours, vertices, *, spin):
    """1/(2 M) times |M|^2 over the two-body phase space."""
    if 2 * fermion >= mediator:
        return 0.0
    q = np.array([mediator, 0, 0, 0])
    squared = 0.0
    for cosine, weight in angles():
        traces = currents(*back_to_back(mediator, fermion, cosine), fermion, vertices)
        summed = np.einsum("mn,mn", polarisations(q, mediator), traces) if spin else traces[0, 0]
        squared += weight * summed.real / (3 if spin else 1)
    beta = math.sqrt(1 - 4 * (fermion / mediator) ** 2)
    return colours * squared * beta / (8 * math.pi) / (2 * mediator)


def rate(energy, m_dm, dark, m_med, gamma, fermion, colours, light, *, spin):
    """1/(2 E1 2 E2) times |M|^2 over phase space, the mean over spins of the pair: sigma times relative velocity."""
    if 2 * fermion >= energy:
        return 0.0
    s = energy**2
    incoming = currents(*back_to_back(energy, m_dm, 1.0)[::-1], m_dm, dark)
    over = (s - m_med**2) ** 2 + (m_med * gamma) ** 2
    exchange = polarisations(np.array([energy, 0, 0, 0]), m_med)
    squared = 0.0
    for cosine, weight in angles():
        outgoing = currents(*back_to_back(energy, fermion, cosine), fermion, light)
        if spin:
            summed = np.einsum("am,bn,ab,mn", exchange, exchange.conj(), incoming, outgoing)
        else:
            summed = incoming[0, 0] * outgoing[0, 0]
        squared += weight * summed.real / over / 4
    beta = math.sqrt(1 - 4 * fermion**2 / s)
    return colours * squared * beta / (8 * math.pi) / s


def random_points(name):
    """Points that the model accepts, over decades."""
    model, rng, found = find(name), np.random.default_rng(20), []
    while len(found) < POINTS:
        values = {
            p.name: math.exp(rng.uniform(math.log(max(p.lower.value, 1e-3)), math.log(p.upper.value)))
            for p in model.record.parameters
        }
        try:
            found.append((model, model.point(values)))
        except UsageError:
            continue
    return found


def vertices_of(model, coupling, *, neutrino=False):
    """The vertices of a mediator to a fermion with a coupling."""
    mediator = model.record.mediator
    if mediator.spin == 1:
        if neutrino:
            return spin1_vertices(coupling / 2, -coupling / 2)
        return spin1_vertices(0, coupling) if mediator.parity == "+" else spin1_vertices(coupling, 0)
    return [coupling * ONE] if mediator.parity == "+" else [coupling * GAMMA5]


def light_fermions(model, point):
    """(channel, mass, colours, vertices) of everything but dark matter and gluons."""
    spin = model.record.mediator.spin
    for quark in QUARKS:
        coupling = point["g_q"] if spin else point["g_q"] * quark.mass / VEV
        yield quark.name, quark.mass, 3, vertices_of(model, coupling)
    if spin:
        for lepton in CHARGED_LEPTONS:
            yield lepton.name, lepton.mass, 1, vertices_of(model, point["g_l"])
        for neutrino in NEUTRINOS:
            yield neutrino.name, 0.0, 1, vertices_of(model, point["g_l"], neutrino=True)


MODELS = ["spin1-axial", "spin1-vector", "spin0-scalar", "spin0-pseudoscalar"]


@pytest.mark.parametrize("name", MODELS)
def test_widths(name):
    for model, point in random_points(name):
        widths, spin = model.widths(point), model.record.mediator.spin
        dark = width(point["m_med"], point["m_dm"], 1, vertices_of(model, point["g_dm"]), spin=spin)
        assert widths["chi"] == pytest.approx(dark, rel=1e-6, abs=0)
        for channel, mass, colours, vertices in light_fermions(model, point):
            assert widths[channel] == pytest.approx(
                width(point["m_med"], mass, colours, vertices, spin=spin), rel=1e-6, abs=0
            )


@pytest.mark.parametrize("name", ["spin1-axial", "spin1-vector", "spin0-pseudoscalar"])
def test_annihilation_at_rest(name):
    for model, point in random_points(name):
        spin, m_dm, m_med = model.record.mediator.spin, point["m_dm"], point["m_med"]
        sigmav, gamma = dict(model.feeds(point)["planes"]["sigmav"]), model.widths(point).total
        dark = vertices_of(model, point["g_dm"])
        expected = dict.fromkeys(sigmav, 0.0)
        for channel, mass, colours, vertices in light_fermions(model, point):
            found = rate(2 * m_dm, m_dm, dark, m_med, gamma, mass, colours, vertices, spin=spin)
            key = "nunu" if channel.startswith("nu") else channel * 2
            expected[key] += found * GEV2_IN_CM3_PER_S
        for key in set(sigmav) - {"total", "gg"}:
            assert sigmav[key] == pytest.approx(expected[key], rel=1e-5, abs=1e-9 * sigmav["total"])


@pytest.mark.parametrize("name", MODELS)
def test_annihilation_at_every_energy(name):
    """sigma(s) of freeze-out, of which gluons are left out here: they are the width's."""
    for model, point in random_points(name)[:5]:
        spin, m_dm, m_med, gamma = model.record.mediator.spin, point["m_dm"], point["m_med"], model.widths(point).total
        dark, odd = vertices_of(model, point["g_dm"]), model.record.mediator.parity
        for stretch in (1.02, 1.5, 4.0):
            energy = 2 * m_dm * stretch
            expected = sum(
                rate(energy, m_dm, dark, m_med, gamma, mass, colours, vertices, spin=spin)
                for _, mass, colours, vertices in light_fermions(model, point)
            )
            s = np.array([energy**2])
            if spin:
                sigma = pair_annihilation.spin1(
                    point["g_q"], point["g_l"], point["g_dm"], m_med, m_dm, gamma, axial=odd == "+"
                )(s)[0]
            else:
                sigma = pair_annihilation.spin0(
                    point["g_q"], point["g_dm"], m_med, m_dm, gamma, pseudoscalar=odd == "-"
                )(s)[0]
                sigma -= _of_gluons(point, energy, gamma, pseudoscalar=odd == "-")
            velocity = 2 * math.sqrt(1 - 4 * m_dm**2 / energy**2)
            assert sigma * velocity == pytest.approx(expected, rel=2e-3, abs=0)


def _of_gluons(point, energy, gamma, *, pseudoscalar):
    """What gluons add: the initial state's part times their width at this mass, interpolated as it is there."""
    masses, widths = pair_annihilation._gluons(point["g_q"], point["m_dm"], pseudoscalar=pseudoscalar)
    beta = math.sqrt(1 - 4 * point["m_dm"] ** 2 / energy**2)
    over = (energy**2 - point["m_med"] ** 2) ** 2 + (point["m_med"] * gamma) ** 2
    initial = 1 / beta if pseudoscalar else beta
    return point["g_dm"] ** 2 * initial * energy * np.interp(energy, masses, widths) / (2 * over)


@pytest.mark.parametrize("tau", [1e-3, 0.05, 0.3, 0.9, 1.1, 1.9, 7.6, 100.0])
@pytest.mark.parametrize("pseudoscalar", [False, True])
def test_loops_are_integrals_over_feynman_parameters(tau, pseudoscalar):
    """2 int dx dy (1 - 4 x y)/(1 - 4 x y/tau - i eps) over x + y < 1, without the 4 x y for a pseudoscalar."""
    a = 4 / tau
    cuts = [0.5 - 0.5 * math.sqrt(1 - tau), 0.5 + 0.5 * math.sqrt(1 - tau)] if tau < 1 else []

    def inner(x):
        """int_0^(1-x) dy/(1 - a x y - i eps) = -log(1 - a x (1 - x) - i eps)/(a x)."""
        return -complex(np.log(complex(1 - a * x * (1 - x), -1e-15))) / (a * x)

    parts = [quad(lambda x, p=p: p(inner(x)), 0, 1, points=cuts or None, limit=400)[0] for p in (np.real, np.imag)]
    integral = complex(*parts)
    expected = 2 * integral if pseudoscalar else 2 * (a / 4 / 2 * 4 / a * 4 / a + (1 - 4 / a) * integral)
    assert abs(form_factor(tau, pseudoscalar=pseudoscalar)) == pytest.approx(abs(expected), rel=1e-5, abs=0)


def test_the_matrices_are_dirac_matrices():
    for mu, nu in product(range(4), repeat=2):
        anticommutator = GAMMA[mu] @ GAMMA[nu] + GAMMA[nu] @ GAMMA[mu]
        assert np.allclose(anticommutator, 2 * METRIC[mu, nu] * ONE)
