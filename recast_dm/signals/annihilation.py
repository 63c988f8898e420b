"""Annihilation at rest, <sigma v> as v -> 0, by final state: what indirect detection sees of a model point.

The formulas are those of arXiv:1603.04156 (section 5), with D = (M^2 - 4 m^2)^2 + M^2 Gamma^2. Results in cm^3/s for
a Dirac fermion pair chi chi-bar; masses and widths in GeV. Only the s-channel: above m_dm = m_med dark matter also goes
to pairs of mediators, so that what is given here is a lower bound there.

Limits are published for self-conjugate dark matter. Of a Dirac fermion only half of the pairs can annihilate: its
<sigma v>/2 is what compares with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi, sqrt

from recast_dm.signals.alphas import LOWEST, alpha_s
from recast_dm.signals.constants import CHARGED_LEPTONS, GEV2_IN_CM3_PER_S, NEUTRINOS, QUARKS, VEV, Fermion
from recast_dm.signals.spin0_widths import gluon_width

THERMAL_SELF_CONJUGATE = 2.2e-26
THERMAL_DIRAC = 4.4e-26
"""cm^3/s. <sigma v> at which a thermal relic is all of the dark matter (Omega h^2 = .12), above some 10 GeV."""


def comparable(sigmav: float, *, self_conjugate: bool) -> float:
    """What to hold against a limit that was published for self-conjugate dark matter.

    >>> comparable(4.4e-26, self_conjugate=False)
    2.2e-26
    """
    return sigmav if self_conjugate else sigmav / 2


def channel(fermion: Fermion) -> str:
    """The name of a final state: `bb`, `tautau`, `nunu`.

    >>> [channel(fermion) for fermion in (QUARKS[4], CHARGED_LEPTONS[2], NEUTRINOS[0])]
    ['bb', 'tautau', 'nunu']
    """
    return "nunu" if fermion in NEUTRINOS else fermion.name * 2


def spin1(
    g_q: float, g_l: float, g_dm: float, m_med: float, m_dm: float, width: float, *, axial: bool
) -> dict[str, float]:
    """Of a vector or axial-vector mediator.

    Vector: N_c g_f^2 g_dm^2 (2 m^2 + m_f^2) sqrt(1 - m_f^2/m^2)/(2 pi D); axial:
    N_c g_f^2 g_dm^2 m_f^2 (1 - 4 m^2/M^2)^2 sqrt(1 - m_f^2/m^2)/(2 pi D). Left-handed neutrinos take g_l^2/2.

    >>> f"{spin1(0.25, 0.0, 1.0, 1000.0, 200.0, 57.9, axial=False)['total']:.3g}"
    '2.24e-25'
    >>> f"{spin1(0.25, 0.0, 1.0, 1000.0, 200.0, 50.3, axial=True)['total']:.2g}"
    '5.2e-27'
    """
    common = g_dm**2 / (2 * pi * _propagator(m_med, m_dm, width)) * GEV2_IN_CM3_PER_S
    suppressed = (1 - (2 * m_dm / m_med) ** 2) ** 2

    def of(fermion: Fermion, coupling2: float) -> float:
        if fermion.mass >= m_dm:
            return 0.0
        helicity = fermion.mass**2 * suppressed if axial else 2 * m_dm**2 + fermion.mass**2
        return common * fermion.colours * coupling2 * helicity * sqrt(1 - (fermion.mass / m_dm) ** 2)

    return _summed(
        {channel(quark): of(quark, g_q**2) for quark in QUARKS}
        | {channel(lepton): of(lepton, g_l**2) for lepton in CHARGED_LEPTONS}
        | {"nunu": sum(of(neutrino, g_l**2 / 2) for neutrino in NEUTRINOS)}
    )


def pseudoscalar(g_q: float, g_dm: float, m_med: float, m_dm: float, width: float) -> dict[str, float]:
    """Of a pseudoscalar mediator: quarks, 3 (m_q/v)^2 g_q^2 g_dm^2 m^2 sqrt(1 - m_q^2/m^2)/(2 pi D), and gluons.

    Two gluons through the top loop are 2 m g_dm^2 Gamma_gg(2 m)/D, Gamma_gg(2 m) their width at a mediator mass of
    2 m: the same as alpha_s^2 g_q^2 g_dm^2 m^4 |F|^2/(2 pi^3 v^2 D). Below 2 m = 1 GeV they are left out.

    >>> found = pseudoscalar(1.0, 1.0, 500.0, 50.0, 40.0)
    >>> [f"{found[name]:.2g}" for name in ("bb", "gg")]
    ['6.9e-29', '4.8e-30']
    """
    common = g_dm**2 / _propagator(m_med, m_dm, width) * GEV2_IN_CM3_PER_S

    def of(quark: Fermion) -> float:
        if quark.mass >= m_dm:
            return 0.0
        shape = m_dm**2 * sqrt(1 - (quark.mass / m_dm) ** 2) / (2 * pi)
        return common * 3 * (quark.mass / VEV * g_q) ** 2 * shape

    gluons = 0.0
    if 2 * m_dm >= LOWEST:
        gluons = 2 * m_dm * common * gluon_width(g_q, 2 * m_dm, alpha_s(2 * m_dm), pseudoscalar=True)
    return _summed({channel(quark): of(quark) for quark in QUARKS} | {"gg": gluons})


def _propagator(m_med: float, m_dm: float, width: float) -> float:
    return (m_med**2 - 4 * m_dm**2) ** 2 + (m_med * width) ** 2


def _summed(channels: Mapping[str, float]) -> dict[str, float]:
    return {"total": sum(channels.values()), **channels, "WW": 0.0}
