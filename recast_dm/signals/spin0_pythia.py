"""A spin-0 mediator as Pythia 8.317 can make it: words, and what its cross-section has to be multiplied by.

Pythia's own scalar mediators (`DM:gg2S2XX`) are 5 orders of magnitude too narrow to dark matter. So the model is made
from the Higgs bosons of `HiggsBSM:gg2H2` and `gg2A3`, whose gluon width is that of a quark loop with its mass:

- dark matter is the tau (id 15), with a mass and a Yukawa coupling of its own: so Pythia has the matrix element at
  every virtuality. All quarks together are one channel of a given width, for Pythia's masses run;
- couplings are relative to Pythia's v, which runs with alpha_em: v^2 = m_W^2 sin^2(theta_W)/(pi alpha_em(M^2));
- `coup2d = 0` and `Higgs:runningLoopMass = off`: a loop of top quarks with their pole mass, as in the formula and in
  the samples of the experiments (charm adds 1 %);
- `Higgs:clipWings = off`: Pythia would end the mass range 50 widths above the pole;
- off-shell, Pythia gives 0, because it multiplies by the share of open decays *on* the pole. A channel that is open
  there by its nominal width and closed everywhere (to W and a charged Higgs boson of 14 TeV) makes that share 1.

Pythia multiplies the whole width at a virtuality s by the open share at the pole. `correction` is the ratio of two
integrals over s, of what is right and of what Pythia does; away from thresholds it is 1.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from math import asinh, cosh, exp, log, pi, sinh, sqrt

from recast_dm.signals.alphas import alpha_s
from recast_dm.signals.constants import M_Z, QUARKS, TOP, VEV
from recast_dm.signals.spin0_widths import fermion_width, gluon_width, quark_width
from recast_dm.signals.text import shortest

DM_ID = 15
GHOST_ID, GHOST_MASS = 37, 14000.0
MARGIN = 0.1
"""GeV above 2 m_dm at which virtualities start: Pythia opens a decay there."""

LEAST_VELOCITY = 0.2
PYTHIA_B_MASS = 4.8
LOWEST = 10.0
BEAM_ENERGY = 13000.0
GHOST_SHARE = 100.0
"""Width of the closed channel over that to gluons: the open share is .99."""

CONTAMINATION = 5.0
"""Off-shell, dark matter is coupled so strongly that its width is at least this many times the gluons'."""

_UNCOUPLED = {
    "H2": ("HiggsH2:coup2d", "HiggsH2:coup2W", "HiggsH2:coup2Z", "HiggsH2:coup2H1H1", "HiggsA3:coup2H2Z"),
    "A3": ("HiggsA3:coup2d", "HiggsA3:coup2H1Z", "HiggsA3:coup2HchgW"),
}
"""Couplings that Pythia does not have at zero: to d-type quarks, bosons and other Higgs bosons."""

_ALPHA_EM_MZ = 0.00781751
_SIN2_W = 0.2312
_M_W = 80.385
_ALPHA_S_MZ = 0.140
"""alpha_s(m_Z) of hard processes in the A14 tune, one loop."""

_GLUONS = (
    (10.0, 6500.0),
    (20.0, 3002.6),
    (50.0, 1168.1),
    (100.0, 439.75),
    (200.0, 130.72),
    (400.0, 29.175),
    (700.0, 6.7013),
    (1000.0, 2.2226),
    (1500.0, 0.50806),
    (2000.0, 0.14570),
    (3000.0, 0.015907),
    (4000.0, 0.0019186),
    (6000.0, 2.1361e-5),
    (8000.0, 1.0841e-7),
)
"""(mass in GeV, tau dL_gg/dtau at 13 TeV) of NNPDF2.3 LO at Q = mass, integrated with Pythia 8.317's own PDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mediator:
    """Masses in GeV and couplings of a point."""

    m_med: float
    m_dm: float
    g_q: float
    g_dm: float
    pseudoscalar: bool

    @property
    def pdg_id(self) -> int:
        return 36 if self.pseudoscalar else 35

    @property
    def name(self) -> str:
        """Pythia's."""
        return "A3" if self.pseudoscalar else "H2"

    @property
    def on_shell(self) -> bool:
        return 2 * self.m_dm < self.m_med

    def chi(self, mass: float) -> float:
        return fermion_width(self.g_dm, mass, self.m_dm, pseudoscalar=self.pseudoscalar)

    def quarks(self, mass: float) -> float:
        """Charm, bottom and top: the others add less than a part in ten thousand."""
        return sum(quark_width(self.g_q, mass, quark.mass, pseudoscalar=self.pseudoscalar) for quark in QUARKS[3:])

    def gluons(self, mass: float) -> float:
        return gluon_width(self.g_q, mass, alpha_s(mass), pseudoscalar=self.pseudoscalar)

    def pythia_gluons(self, mass: float) -> float:
        """Leading order with one loop of running from .140, as Pythia has it with the A14 tune."""
        return gluon_width(self.g_q, mass, _pythia_alpha_s(mass), pseudoscalar=self.pseudoscalar)

    def generated_g_dm(self) -> float:
        """The coupling that Pythia is given. Off-shell it is larger where the gluons' width would compete."""
        if self.on_shell:
            return self.g_dm
        return max(self.g_dm, sqrt(CONTAMINATION * self.pythia_gluons(self.m_med) * 8 * pi / self.m_med))

    def other_width(self) -> float:
        """The nominal width of the channel that is neither gluons nor dark matter."""
        gluons = self.pythia_gluons(self.m_med)
        if not self.on_shell:
            return GHOST_SHARE * gluons
        return max(self.quarks(self.m_med) + self.gluons(self.m_med) - gluons, 0.01 * gluons)

    def other_channel(self) -> int:
        """Its place in Pythia's decay table: 4 b b-bar, 5 t t-bar (well above its threshold), 16 W H- (off-shell)."""
        if not self.on_shell:
            return 16
        return 5 if _velocity(self.m_med, TOP.mass) > LEAST_VELOCITY else 4

    def other_share(self, mass: float) -> float:
        """That channel's width at a virtuality over the nominal one: its quarks' velocities (`meMode` 103)."""
        if not self.on_shell:
            return 0.0
        quark = TOP.mass if self.other_channel() == 5 else PYTHIA_B_MASS
        return _velocity(mass, quark) / _velocity(self.m_med, quark)


def settings(mediator: Mediator) -> list[str]:
    """Words for `Pythia.readString`. Channels of 35 and 36: 4 b, 5 t, 7 mu, 8 tau, 9 g, 16 W H-."""
    number, name = mediator.pdg_id, mediator.name
    scale = _pythia_vev(mediator.m_med)
    nominal = mediator.other_channel()
    silent = {4, 5, 7} - {nominal}
    return [
        "Higgs:useBSM=on",
        "Higgs:runningLoopMass=off",
        "Higgs:clipWings=off",
        f"HiggsBSM:gg2{name}=on",
        f"Higgs{name}:coup2u={shortest(mediator.g_q * scale / VEV)}",
        f"Higgs{name}:coup2l={shortest(mediator.generated_g_dm() * scale / mediator.m_dm)}",
        *(f"{coupling}=0" for coupling in _UNCOUPLED[name]),
        f"{TOP.pdg_id}:m0={shortest(TOP.mass)}",
        f"{DM_ID}:m0={shortest(mediator.m_dm)}",
        f"{DM_ID}:mayDecay=off",
        f"{GHOST_ID}:m0={shortest(GHOST_MASS)}",
        f"{number}:m0={shortest(mediator.m_med)}",
        f"{number}:mWidth={shortest(mediator.other_width())}",
        f"{number}:mMin={shortest(max(LOWEST, 2 * mediator.m_dm + MARGIN))}",
        f"{number}:mMax={shortest(BEAM_ENERGY)}",
        *(f"{number}:{channel}:bRatio=0" for channel in sorted(silent)),
        *(f"{number}:{channel}:meMode=103" for channel in sorted(silent)),
        f"{number}:{nominal}:bRatio=1",
        f"{number}:{nominal}:meMode={103 if mediator.on_shell else 101}",
        f"{number}:onMode=off",
        f"{number}:onIfAny={DM_ID}",
        *([] if mediator.on_shell else [f"{number}:{nominal}:onMode=on"]),
    ]


def _pythia_vev(mass: float) -> float:
    """v in GeV that Pythia's widths have at a mass above m_Z/10: its alpha_em runs.

    >>> round(_pythia_vev(500.0), 2)
    244.25
    """
    alpha = _ALPHA_EM_MZ / (1 - 0.725 * _ALPHA_EM_MZ * 2 * log(mass / 91.188))
    return sqrt(_M_W**2 * _SIN2_W / (pi * alpha))


def _pythia_alpha_s(scale: float) -> float:
    """One loop from .140 at m_Z, five flavours, six above the top mass."""
    at = min(scale, TOP.mass)
    five = _ALPHA_S_MZ / (1 + _ALPHA_S_MZ * 23 / (12 * pi) * 2 * log(at / M_Z))
    return five if at == scale else five / (1 + five * 21 / (12 * pi) * 2 * log(scale / at))


def luminosity(mass: float) -> float:
    """tau dL_gg/dtau at 13 TeV, interpolated in logarithms.

    >>> round(luminosity(1000.0), 4)
    2.2226
    """
    place = min(max(bisect_right(_GLUONS, (mass,)) - 1, 0), len(_GLUONS) - 2)
    (low, below), (high, above) = _GLUONS[place], _GLUONS[place + 1]
    share = log(mass / low) / log(high / low)
    return below * math.pow(above / below, share)


@lru_cache(maxsize=4096)
def correction(mediator: Mediator) -> float:
    """What Pythia's cross-section has to be multiplied by.

    Numerator: Gamma_gg Gamma_chi / ((s - M^2)^2 + s Gamma(s)^2); denominator: the same with the widths that
    Pythia has and its share of open decays at the pole; both weighed with the gluons' luminosity.

    >>> light = Mediator(m_med=500.0, m_dm=1.0, g_q=1.0, g_dm=1.0, pseudoscalar=False)
    >>> 0.98 < correction(light) < 1.02
    True
    """
    generated = replace(mediator, g_dm=mediator.generated_g_dm())
    pole, gluons = mediator.m_med, mediator.pythia_gluons(mediator.m_med)
    nominal = mediator.other_width()
    chi = generated.chi(pole) if mediator.on_shell else 0.0
    share = (chi if mediator.on_shell else nominal) / (chi + gluons + nominal)

    def right(mass: float) -> float:
        partial = mediator.chi(mass)
        return partial / _propagator(pole, mass, partial + mediator.quarks(mass) + mediator.gluons(mass))

    def made(mass: float) -> float:
        width = generated.chi(mass) + mediator.pythia_gluons(mass) + nominal * mediator.other_share(mass)
        return share * width / _propagator(pole, mass, width)

    grid = _virtualities(mediator)
    weights = [step * luminosity(mass) * mediator.pythia_gluons(mass) for mass, step in grid]
    wanted = sum(weight * right(mass) for weight, (mass, _) in zip(weights, grid, strict=True))
    return wanted / sum(weight * made(mass) for weight, (mass, _) in zip(weights, grid, strict=True))


def _velocity(mass: float, product: float) -> float:
    return sqrt(max(1 - 4 * (product / mass) ** 2, 0.0))


def _propagator(pole: float, mass: float, width: float) -> float:
    return (mass * mass - pole * pole) ** 2 + (mass * width) ** 2


def _virtualities(mediator: Mediator, points: int = 160) -> list[tuple[float, float]]:
    """(mass, d ln s) at the middle of steps: even in ln s below half the pole mass, else in
    asinh((s - M^2)/(M Gamma)), which is dense at the pole."""
    pole = mediator.m_med
    unit = pole * max(mediator.chi(pole) + mediator.gluons(pole) + mediator.quarks(pole), 1e-9 * pole)
    lowest = max(LOWEST, 2 * mediator.m_dm + MARGIN)
    tail: list[tuple[float, float]] = []
    if lowest < pole / 2:
        step = 2 * log(pole / 2 / lowest) / points
        tail = [(lowest * exp(step * (n + 0.5) / 2), step) for n in range(points)]
        lowest = pole / 2
    start, end = (asinh((mass * mass - pole * pole) / unit) for mass in (lowest, BEAM_ENERGY))
    step = (end - start) / points
    middles = [start + (n + 0.5) * step for n in range(points)]
    peak = [(pole * pole + unit * sinh(x), step * unit * cosh(x)) for x in middles]
    return [*tail, *((sqrt(s), ds / s) for s, ds in peak)]
