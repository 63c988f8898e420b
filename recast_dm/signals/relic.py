"""The relic density of a model point: our own integral of the Boltzmann equation.

P. Gondolo and G. Gelmini, Nucl. Phys. B360 (1991) 145. With x = m/T and Y = (n + n-bar)/entropy,

    dY/dx = -sqrt(pi/45) M_P m sqrt(g_*)/x^2 <sigma v> (Y^2 - Y_eq^2),

where for a Dirac fermion <sigma v> is half of that of a chi chi-bar pair, and the thermal average is exact,

    <sigma v> = x/(8 m^5 K_2(x)^2) int sigma(s) (s - 4 m^2) sqrt(s) K_1(x sqrt(s)/m) ds,

over the cross-section at every energy (`pair_annihilation`): it knows thresholds and the resonance. sqrt(g_*) and the
entropy are those of `plasma`. Kinetic equilibrium is assumed throughout, which fails close to the resonance
(arXiv:1706.07433); pairs of mediators are not made here, so that there is no answer for m_dm >= m_med, and just below
m_med the density comes out too high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recast_dm.signals import pair_annihilation, plasma
from recast_dm.signals.constants import QUARKS
from recast_dm.signals.found import resolved
from recast_dm.signals.model import SignalModel
from recast_dm.signals.point import Point

if TYPE_CHECKING:
    from recast_dm.signals.pair_annihilation import Array, CrossSection

OBSERVED = 0.12
"""Omega h^2 of dark matter (Planck, arXiv:1807.06209)."""

PLANCK_MASS = 1.220890e19
ENTROPY_OVER_CRITICAL = 2.744e8
"""Omega h^2 = this m/GeV Y: 2891.2 cm^-3 over 1.05368e-5 GeV cm^-3 (Review of Particle Physics 2022)."""

DIRAC_STATES = 4.0
START, END, STEPS = 10.0, 1e5, 10000
"""From equilibrium to where annihilation has stopped, in x. The steps are good to .3 %."""


def omega_h2(model: SignalModel, point: Point) -> float | None:
    """Omega h^2 of a point; None where the model has no such dark matter, or the answer is not known (m_dm >= m_med).

    >>> from recast_dm.signals import find
    >>> vector = find("spin1-vector")
    >>> round(omega_h2(vector, vector.point({"m_med": 1000, "m_dm": 200})), 4)
    0.0242
    """
    model, point = resolved(model, point)
    sigma = cross_section(model, point)
    if sigma is None or point["m_dm"] >= point["m_med"]:
        return None
    return of_cross_section(sigma, point["m_dm"], point["m_med"], _width(model, point))


def cross_section(model: SignalModel, point: Point) -> CrossSection | None:
    """sigma(s) of chi chi-bar at a point, or None where this package does not have it."""
    mediator, dark = model.record.mediator, model.record.dm
    values = point.parameters()
    if mediator is None or dark is None or dark.self_conjugate or "m_med" not in values or "g_q" not in values:
        return None
    masses = {"m_med": values["m_med"], "m_dm": values["m_dm"], "width": _width(model, point)}
    couplings = {"g_q": values["g_q"], "g_dm": values["g_dm"]}
    if mediator.spin == 1:
        g_l, axial = values.get("g_l", 0.0), mediator.parity == "+"
        return pair_annihilation.spin1(g_l=g_l, axial=axial, **couplings, **masses)
    return pair_annihilation.spin0(pseudoscalar=mediator.parity == "-", **couplings, **masses)


def _width(model: SignalModel, point: Point) -> float:
    widths = model.widths(point)
    return 0.0 if widths is None else widths.total


def of_cross_section(sigma: CrossSection, m_dm: float, m_med: float, width: float) -> float:
    """Omega h^2 of Dirac dark matter with a cross-section (GeV^-2) that has a resonance at m_med. Masses in GeV."""
    import numpy as np

    xs = np.geomspace(START, END, 90)
    averages = np.array([thermal_average(sigma, x, m_dm, m_med, width) for x in xs.tolist()])
    return omega_of_average(xs, averages, m_dm)


def omega_of_average(xs: Array, averages: Array, m_dm: float) -> float:
    """Omega h^2 of Dirac dark matter from <sigma v> of its pairs in GeV^-2 at values of x, which rise.

    The thermal target: 4.4e-26 cm^3/s give the observed density (arXiv:1204.3622).

    >>> import numpy as np
    >>> from recast_dm.signals.constants import GEV2_IN_CM3_PER_S
    >>> x = np.geomspace(10, 1e5, 50)
    >>> round(omega_of_average(x, x * 0 + 4.4e-26 / GEV2_IN_CM3_PER_S, 100.0), 2)
    0.11
    """
    import numpy as np

    grid = np.geomspace(xs[0], xs[-1], STEPS)
    half = np.interp(np.log(grid), np.log(xs), averages) / 2
    state = plasma.at(m_dm / grid)
    strength = np.sqrt(np.pi / 45) * PLANCK_MASS * m_dm * state.root / grid**2 * half
    return ENTROPY_OVER_CRITICAL * m_dm * _frozen(grid, strength, _equilibrium(grid, state.h))


def _frozen(grid: Array, strength: Array, equilibrium: Array) -> float:
    """Y at the end: implicit steps, each the positive root of a quadratic equation."""
    y = float(equilibrium[0])
    for step, rate, balance in zip(
        (grid[1:] - grid[:-1]).tolist(), strength[1:].tolist(), equilibrium[1:].tolist(), strict=True
    ):
        a = rate * step
        y = 2 * (y + a * balance * balance) / (1 + (1 + 4 * a * (y + a * balance * balance)) ** 0.5)
    return y


def _equilibrium(x: Array, h: Array) -> Array:
    """Y_eq = 45 g/(4 pi^4 h) x^2 K_2(x) for particles and antiparticles together."""
    import numpy as np
    from scipy.special import kve

    boltzmann: Array = kve(2, x) * np.exp(-np.minimum(x, 700.0))
    return boltzmann * x * x * 45 * DIRAC_STATES / (4 * np.pi**4 * h)


def thermal_average(sigma: CrossSection, x: float, m_dm: float, m_med: float, width: float) -> float:
    """<sigma v> in GeV^-2 at x = m/T.

    A cross-section a/v at rest (v = 2 beta) averages to a nearly everywhere:

    >>> import numpy as np
    >>> flat = lambda s: 1 / (2 * np.sqrt(1 - 4 * 100.0**2 / s))
    >>> round(thermal_average(flat, 1e4, 100.0, 1000.0, 10.0), 3)
    1.0
    """
    import numpy as np
    from scipy.special import kve

    energies, weights = _energies(x, m_dm, m_med, width)
    s = energies * energies
    bessel = kve(1, x * energies / m_dm) * np.exp(-x * (energies / m_dm - 2))
    integrand = sigma(s) * (s - 4 * m_dm**2) * energies * bessel * 2 * energies
    return float(x / (8 * m_dm**5 * kve(2, x) ** 2) * (integrand * weights).sum())


def _energies(x: float, m_dm: float, m_med: float, width: float) -> tuple[Array, Array]:
    """Nodes and weights in sqrt(s) from 2 m to where the Boltzmann factor has died, panels where something happens."""
    import numpy as np

    low, high = 2 * m_dm, 2 * m_dm * (1 + 20 / x)
    pole = [m_med + sign * width * step for sign in (-1, 1) for step in (0, 0.5, 1, 2, 5, 15, 50, 200)]
    thermal = [low + m_dm / x * step for step in (0.02, 0.1, 0.3, 1, 2, 4, 8, 14, 22)]
    edges = [2 * quark.mass for quark in QUARKS]
    inside = sorted({edge for edge in (*pole, *thermal, *edges) if low < edge < high})
    ends = np.array([low, *inside, high])
    nodes, weights = np.polynomial.legendre.leggauss(12)
    half, middle = np.diff(ends)[:, None] / 2, (ends[1:] + ends[:-1])[:, None] / 2
    # sqrt(s) = 2 m + t^2 in the first panel: there are square roots of the velocity
    found, scaled = middle + half * nodes, half * weights
    first = (ends[1] - low) ** 0.5 / 2
    root = first * (nodes + 1)
    found[0], scaled[0] = low + root * root, first * weights * 2 * root
    return found.ravel(), scaled.ravel()
