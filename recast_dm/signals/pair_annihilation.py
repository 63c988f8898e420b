"""The cross-section of chi chi-bar -> f f-bar through an s-channel mediator, at every energy: what freeze-out needs.

With s the squared energy, D = (s - M^2)^2 + M^2 Gamma^2, beta = sqrt(1 - 4 m^2/s), beta_f likewise:

- vector: N_c g_f^2 g_dm^2/(12 pi s D) beta_f/beta (s + 2 m_f^2)(s + 2 m^2);
- axial: N_c g_f^2 g_dm^2/(12 pi s D) beta_f/beta [(s - 4 m_f^2)(s - 4 m^2) + 12 m_f^2 m^2 (1 - s/M^2)^2]: the second
  term is the exchange of the longitudinal mediator (the propagator's q q/M^2), alone at rest;
- scalar: g_dm^2 beta sqrt(s) Gamma_X(sqrt(s))/(2 D), pseudoscalar: 1/beta in place of beta, Gamma_X(sqrt(s)) the width
  to everything but dark matter of a mediator of that mass.

Each is the sum over final and the mean over initial spins of |M|^2, over the flux 2 s beta; 2 beta times it goes to the
formulas of `annihilation` as beta goes to 0, which is checked, as is each against an integral in the tests.
Cross-sections in GeV^-2, s in GeV^2 as an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from recast_dm.signals.alphas import LOWEST, alpha_s
from recast_dm.signals.constants import CHARGED_LEPTONS, NEUTRINOS, QUARKS, TOP, Fermion
from recast_dm.signals.spin0_widths import gluon_width, yukawa

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    CrossSection = Callable[[Array], Array]


def spin1(g_q: float, g_l: float, g_dm: float, m_med: float, m_dm: float, width: float, *, axial: bool) -> CrossSection:
    """sigma(s) of a spin-1 mediator."""
    import numpy as np

    couplings = (
        [(quark, g_q**2) for quark in QUARKS]
        + [(lepton, g_l**2) for lepton in CHARGED_LEPTONS]
        + [(neutrino, g_l**2 / 2) for neutrino in NEUTRINOS]
    )

    def sigma(s: Array) -> Array:
        beta = np.sqrt(1 - 4 * m_dm**2 / s)
        total = sum(coupling2 * _spin1_final(s, fermion, m_med, m_dm, axial=axial) for fermion, coupling2 in couplings)
        return g_dm**2 / (12 * np.pi * s * _propagator(s, m_med, width) * beta) * total

    return sigma


def _spin1_final(s: Array, fermion: Fermion, m_med: float, m_dm: float, *, axial: bool) -> Array:
    """N_c beta_f times the contraction of the two currents."""
    import numpy as np

    m2, mf2 = m_dm**2, fermion.mass**2
    velocity = np.sqrt(np.maximum(1 - 4 * mf2 / s, 0))
    if not axial:
        return fermion.colours * velocity * (s + 2 * mf2) * (s + 2 * m2)
    longitudinal = 12 * mf2 * m2 * (1 - s / m_med**2) ** 2
    return fermion.colours * velocity * ((s - 4 * mf2) * (s - 4 * m2) + longitudinal)


def spin0(g_q: float, g_dm: float, m_med: float, m_dm: float, width: float, *, pseudoscalar: bool) -> CrossSection:
    """sigma(s) of a spin-0 mediator: quarks, and gluons through the top loop."""
    import numpy as np

    masses, widths = _gluons(g_q, m_dm, pseudoscalar=pseudoscalar)

    def sigma(s: Array) -> Array:
        beta = np.sqrt(1 - 4 * m_dm**2 / s)
        initial = 1 / beta if pseudoscalar else beta
        visible = np.interp(np.sqrt(s), masses, widths)
        for quark in QUARKS:
            velocity = np.sqrt(np.maximum(1 - 4 * quark.mass**2 / s, 0))
            threshold = velocity if pseudoscalar else velocity**3
            visible += 3 * (g_q * yukawa(quark.mass)) ** 2 * np.sqrt(s) / (16 * np.pi) * threshold
        return g_dm**2 * initial * np.sqrt(s) * visible / (2 * _propagator(s, m_med, width))

    return sigma


def _gluons(g_q: float, m_dm: float, *, pseudoscalar: bool) -> tuple[Array, Array]:
    """Masses from 2 m_dm, and widths to gluons there: smooth but for a kink at 2 m_t, so they can be interpolated."""
    import numpy as np

    masses = np.unique([*np.geomspace(2 * m_dm, 20 * m_dm, 200), 2 * TOP.mass])
    widths = [gluon_width(g_q, m, alpha_s(m), pseudoscalar=pseudoscalar) if m > LOWEST else 0.0 for m in masses]
    return masses, np.array(widths)


def _propagator(s: Array, m_med: float, width: float) -> Array:
    propagator: Array = (s - m_med**2) ** 2 + (m_med * width) ** 2
    return propagator
