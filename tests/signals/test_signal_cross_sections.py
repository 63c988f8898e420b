"""Cross-sections of each generated model at 20 random points, against an integral of our own over parton luminosities.

sigma = sum over partons of int d ln s  tau dL/dtau  sigma-hat(s), with the luminosities of Pythia's PDF and sigma-hat
of the matrix elements: no phase-space generator, no decay table, no coupling in Pythia's units.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import pythia_in_image

from recast_dm.errors import UsageError
from recast_dm.signals import find, spin0_pythia
from recast_dm.signals.spin0_widths import fermion_width, gluon_width

pytestmark = pytest.mark.container

MODELS = ("spin1-axial", "spin1-vector", "spin0-scalar", "spin0-pseudoscalar")
POINTS = 20
EVENTS = 2500
MASSES = np.geomspace(8.0, 12000.0, 70)
PB = 0.3893793721e9


def random_points(name):
    """Points on and off the mass shell with couplings that matter; thresholds are kept at a distance."""
    model, rng, found = find(name), np.random.default_rng(7), []
    heaviest = 3000 if name.startswith("spin1") else 1200
    while len(found) < POINTS:
        m_med = math.exp(rng.uniform(math.log(100), math.log(heaviest)))
        ratio = rng.uniform(0.55, 0.8) if len(found) % 4 == 3 else rng.uniform(0.01, 0.45)
        values = {"m_med": m_med, "m_dm": ratio * m_med, "g_q": rng.uniform(0.1, 1.0), "g_dm": rng.uniform(0.2, 1.5)}
        if name.startswith("spin1"):
            values |= {"g_q": rng.uniform(0.05, 0.4), "g_l": rng.uniform(0, 0.3)}
        try:
            found.append(model.point(values))
        except UsageError:
            continue
    return model, found


@pytest.fixture(scope="module")
def luminosity():
    table = pythia_in_image.luminosities(MASSES.tolist())
    logs = {int(parton): np.log(values) for parton, values in table.items()}
    return lambda parton, mass: np.exp(np.interp(np.log(mass), np.log(MASSES), logs[parton]))


@pytest.fixture(scope="module")
def found():
    feeds = {}
    for name in MODELS:
        model, points = random_points(name)
        feeds |= {f"{name} {n}": dict(model.feeds(point)["pythia8"]) for n, point in enumerate(points)}
    return pythia_in_image.cross_sections(feeds, EVENTS)


def masses(point, width):
    """(masses, steps in ln s) from threshold on, dense at the pole."""
    pole, low = point["m_med"], max(10.0, 2 * point["m_dm"] + 0.1)
    around = pole + width * np.tan(np.linspace(-1.55, 1.55, 1500))
    edges = np.unique([*np.geomspace(low, 12000.0, 3000), *around[(around > low) & (around < 12000.0)]])
    return (edges[1:] + edges[:-1]) / 2, 2 * np.log(edges[1:] / edges[:-1])


def spin1(point, width, luminosity, *, axial):
    mass, step = masses(point, width)
    s = mass**2
    beta = np.sqrt(1 - 4 * point["m_dm"] ** 2 / s)
    pair = s - 4 * point["m_dm"] ** 2 if axial else s + 2 * point["m_dm"] ** 2
    over = (s - point["m_med"] ** 2) ** 2 + (s * width / point["m_med"]) ** 2
    sigma = (point["g_q"] * point["g_dm"]) ** 2 * beta * pair / (12 * math.pi * over) / 3
    return PB * sum((luminosity(quark, mass) * sigma * step).sum() for quark in range(1, 6))


def spin0(point, luminosity, model):
    mediator, odd = model.mediator(point), model.pseudoscalar
    mass, step = masses(point, model.widths(point).total)
    each = mass.tolist()
    gluons = [gluon_width(point["g_q"], m, spin0_pythia._pythia_alpha_s(m), pseudoscalar=odd) for m in each]
    dark = np.array([fermion_width(point["g_dm"], m, point["m_dm"], pseudoscalar=odd) for m in each])
    total = dark + np.array([mediator.quarks(m) + mediator.gluons(m) for m in each])
    over = (mass**2 - point["m_med"] ** 2) ** 2 + (mass * total) ** 2
    return PB * (luminosity(21, mass) * 8 * math.pi * np.array(gluons) / 64 * dark / over * step).sum()


@pytest.mark.parametrize("name", MODELS)
def test_cross_sections(found, luminosity, name):
    model, points = random_points(name)
    ratios = []
    for n, point in enumerate(points):
        answer = found[f"{name} {n}"]
        if name.startswith("spin1"):
            expected = spin1(point, answer["width_gev"], luminosity, axial=name == "spin1-axial")
        else:
            expected = spin0(point, luminosity, model)
        ratios.append(answer["sigma_pb"] / expected)
    assert ratios == pytest.approx([1.0] * POINTS, rel=0.08)
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
