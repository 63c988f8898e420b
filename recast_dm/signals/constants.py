"""Masses of the Standard Model's particles and what goes with them, with their source.

Review of Particle Physics 2022 (PTEP 2022, 083C01): u, d, s in MS-bar at 2 GeV; c and b in MS-bar at their
own mass; t from direct measurements; charged leptons are pole masses. Neutrinos are massless here.

They enter widths through m^2/M^2 only. Pythia's masses (0.33, 0.33, 0.5, 1.5, 4.8 and 173 GeV) change the
width of a mediator of 50 GeV by less than 1 %, and those of heavier ones by less.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fermion:
    """A fermion: its name, PDG id, mass in GeV and number of colours."""

    name: str
    pdg_id: int
    mass: float
    colours: int


QUARKS = (
    Fermion("d", 1, 0.00467, 3),
    Fermion("u", 2, 0.00216, 3),
    Fermion("s", 3, 0.0934, 3),
    Fermion("c", 4, 1.27, 3),
    Fermion("b", 5, 4.18, 3),
    Fermion("t", 6, 172.69, 3),
)
CHARGED_LEPTONS = (
    Fermion("e", 11, 0.00051099895, 1),
    Fermion("mu", 13, 0.1056583755, 1),
    Fermion("tau", 15, 1.77686, 1),
)
NEUTRINOS = (
    Fermion("nu_e", 12, 0.0, 1),
    Fermion("nu_mu", 14, 0.0, 1),
    Fermion("nu_tau", 16, 0.0, 1),
)
TOP = QUARKS[5]

M_Z = 91.1876
M_W = 80.377
"""GeV, Review of Particle Physics 2022."""

VEV = 246.22
"""GeV. (sqrt(2) G_F)^(-1/2) with G_F = 1.1663788e-5 GeV^-2, Review of Particle Physics 2022."""

M_NUCLEON = 0.939
"""GeV. The mean of proton and neutron; arXiv:1603.04156 uses one mass for both."""

GEV2_IN_CM2 = 0.3893793721e-27
"""cm^2 GeV^2. (hbar c)^2, Review of Particle Physics 2022."""

GEV2_IN_CM3_PER_S = 1.167e-17
"""cm^3/s of 1 GeV^-2: (hbar c)^2 c = 0.38938e-27 cm^2 * 2.99792458e10 cm/s."""
