"""Degrees of freedom of the hot plasma: g(T) of the energy density, h(T) of the entropy density.

Ideal gases of the Standard Model's particles with their masses, and of hadrons instead of gluons and light quarks below
the crossover, which is at 214 MeV as in L. Husdal, arXiv:1609.04979, where the integrals are. Neutrinos share the
photons' temperature, which holds above some MeV. Interactions, which take a few percent off just above the crossover
(hep-ph/0501232), are neglected: they matter for dark matter of less than some 10 GeV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import pi
from typing import TYPE_CHECKING

from recast_dm.signals.constants import CHARGED_LEPTONS, M_W, M_Z, QUARKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CROSSOVER = 0.214
"""GeV, arXiv:1609.04979."""

SHARPNESS = 8.0
"""The share of quarks and gluons is 1/(1 + (CROSSOVER/T)^8): a crossover, not a step."""

_BOSONS = ((2.0, 0.0), (6.0, M_W), (3.0, M_Z), (1.0, 125.25))
_FERMIONS = ((6.0, 0.0), *((4.0, lepton.mass) for lepton in CHARGED_LEPTONS))
_HADRONS = (
    (3.0, 0.138, 1),  # pi
    (4.0, 0.496, 1),  # K
    (1.0, 0.548, 1),  # eta
    (9.0, 0.775, 1),  # rho
    (3.0, 0.783, 1),  # omega
    (12.0, 0.894, 1),  # K*
    (8.0, 0.939, -1),  # p, n
    (1.0, 0.958, 1),  # eta'
    (3.0, 1.019, 1),  # phi
    (4.0, 1.116, -1),  # Lambda
    (12.0, 1.193, -1),  # Sigma
    (32.0, 1.232, -1),  # Delta
)
"""Spin and charge states, mass in GeV, statistics: Review of Particle Physics 2022."""


@dataclass(frozen=True, slots=True)
class Plasma:
    """At temperatures: g, h, and `root`, sqrt(g_*) = h/sqrt(g) (1 + d ln h/d ln T / 3) of Gondolo and Gelmini."""

    g: Array
    h: Array
    root: Array


def at(temperatures: Array) -> Plasma:
    """The plasma at temperatures in GeV, interpolated in ln T.

    >>> import numpy as np
    >>> at(np.array([1e4, 1e-3])).g.round(1).tolist()
    [106.7, 10.7]
    """
    import numpy as np

    logs, g, h, slope = _table()
    energy, entropy, rise = (np.interp(np.log(temperatures), logs, column) for column in (g, h, slope))
    return Plasma(energy, entropy, entropy / np.sqrt(energy) * (1 + rise / 3))


@cache
def _table() -> tuple[Array, Array, Array, Array]:
    """ln T, g, h and d ln h/d ln T from 1 MeV to 10 TeV."""
    import numpy as np

    logs = np.linspace(np.log(1e-3), np.log(1e4), 400)
    temperatures = np.exp(logs)
    free = 1 / (1 + (CROSSOVER / temperatures) ** SHARPNESS)
    g, h = np.zeros_like(logs), np.zeros_like(logs)
    for states, mass, statistics, share in _gases(free):
        energy, entropy = _gas(mass / temperatures, statistics)
        g += states * share * energy
        h += states * share * entropy
    return logs, g, h, np.gradient(np.log(h), logs)


def _gases(free: Array) -> list[tuple[float, float, int, Array]]:
    """(states, mass, +1 for bosons or -1, the share of the plasma that has it)."""
    everywhere = free * 0 + 1
    return [
        *((states, mass, 1, everywhere) for states, mass in _BOSONS),
        *((states, mass, -1, everywhere) for states, mass in _FERMIONS),
        (16.0, 0.0, 1, free),
        *((12.0, quark.mass, -1, free if quark.mass < 1 else everywhere) for quark in QUARKS),
        *((states, mass, statistics, 1 - free) for states, mass, statistics in _HADRONS),
    ]


def _gas(y: Array, statistics: int) -> tuple[Array, Array]:
    """Energy and entropy of one state at y = m/T, as shares of a massless boson's.

    15/pi^4 int u^2 k/(e^u -+ 1) du and 45/(4 pi^4) int k (4 u^2 - y^2)/3/(e^u -+ 1) du, k = sqrt(u^2 - y^2).
    """
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(60)
    z, dz = 3.25 * (nodes + 1), 3.25 * weights  # u = y + z^2 takes the root out of the integrand
    u = y[:, None] + z * z
    momentum = np.sqrt(u * u - y[:, None] ** 2)
    filled = 2 * z * dz * momentum / (np.exp(np.minimum(u, 600.0)) - statistics)
    energy = 15 / pi**4 * (filled * u * u).sum(axis=1)
    entropy = 45 / (4 * pi**4) * (filled * (4 * u * u - y[:, None] ** 2) / 3).sum(axis=1)
    return energy, entropy
