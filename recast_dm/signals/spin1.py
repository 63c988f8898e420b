"""Simplified models with a spin-1 mediator in the s-channel: axial-vector and vector.

The Lagrangian is that of arXiv:1507.00966 and arXiv:1703.05703: a Z' with one coupling g_q to all six quark
flavours, g_dm to Dirac dark matter, g_l to charged leptons (and, left-handed, to neutrinos).

Pythia's own dark-matter Z' processes (`DM:*`) miss the colour factor in the mediator's width. So the model is
made from `NewGaugeBoson:ffbar2gmZZprime`: a pure Z' (id 32) that decays to a fourth-generation neutrino
(id 18), which stands for the dark matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

from recast_dm.signals import planes, resonance
from recast_dm.signals import point as points
from recast_dm.signals.constants import CHARGED_LEPTONS, NEUTRINOS, QUARKS, TOP
from recast_dm.signals.model import Finding, PartialWidth, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord
from recast_dm.signals.spin1_record import LOWEST_VIRTUALITY, OFF_SHELL_MARGIN, record
from recast_dm.signals.text import shortest

MEDIATOR_ID = 32
DM_ID = 18
UNCOUPLED_IDS = (7, 8, 17)
"""Pythia's other fourth-generation fermions. They must be set to zero: Pythia couples them by default."""


def vector_width(coupling: float, mediator: float, fermion: float, colours: int = 1) -> float:
    """The width in GeV of a vector mediator to a Dirac fermion pair; masses in GeV.

    N_c g^2 M / 12 pi * sqrt(1 - 4 m^2/M^2) (1 + 2 m^2/M^2): arXiv:1603.04156, arXiv:1703.05703.

    >>> round(vector_width(1.0, 1000.0, 300.0), 2)
    25.04
    """
    ratio = (fermion / mediator) ** 2
    if 4 * ratio >= 1:
        return 0.0
    return colours * coupling * coupling * mediator / (12 * pi) * sqrt(1 - 4 * ratio) * (1 + 2 * ratio)


def axial_width(coupling: float, mediator: float, fermion: float, colours: int = 1) -> float:
    """The width in GeV of an axial-vector mediator to a Dirac fermion pair; masses in GeV.

    N_c g^2 M / 12 pi * (1 - 4 m^2/M^2)^(3/2): arXiv:1603.04156, arXiv:1703.05703.

    >>> round(axial_width(1.0, 1000.0, 1.0), 2)
    26.53
    """
    ratio = (fermion / mediator) ** 2
    if 4 * ratio >= 1:
        return 0.0
    beta = sqrt(1 - 4 * ratio)
    return colours * coupling * coupling * mediator / (12 * pi) * beta * beta * beta


def neutrino_width(coupling: float, mediator: float) -> float:
    """The width in GeV to one left-handed massless neutrino, g_l^2 M / 24 pi (arXiv:1703.05703).

    >>> round(neutrino_width(0.1, 1000.0), 4)
    0.1326
    """
    return coupling * coupling * mediator / (24 * pi)


@dataclass(frozen=True, slots=True)
class Spin1:
    """A spin-1 model; its record says which. See `SignalModel` for the methods."""

    record: SignalRecord
    axial: bool

    def point(self, values: Mapping[str, object]) -> Point:
        """Besides the ranges: the mediator may not be wider than it is heavy, and twice m_dm may not lie less
        than 0.1 GeV below m_med, where Pythia closes an open channel.

        >>> AXIAL.point({"m_med": 1000, "m_dm": 1, "g_q": 3.5})
        Traceback (most recent call last):
        recast_dm.errors.UsageError: g_q = 3.5: the mediator is wider than heavy, 5.71 times m_med = 1000 GeV
          lower g_q: spin1-axial takes 0.001 to 3.5, and a width below m_med
        """
        point = points.checked(self.record, values)
        widths = self.widths(point)
        resonance.refuse_too_wide(self.record, point, widths, _widest(widths))
        resonance.refuse_too_close(self.record, point)
        return point

    def widths(self, point: Point) -> Widths:
        """Partial widths at leading order for `chi`, the quarks, charged leptons and neutrinos.

        Pythia adds alpha_s/pi to the quark channels: 3 to 5 %. Mediator-loop and W W channels are absent.

        >>> widths = AXIAL.widths(AXIAL.point({"m_med": 1000, "m_dm": 1}))
        >>> round(widths["chi"], 1), round(widths["t"], 1), round(widths.total, 1)
        (26.5, 4.1, 55.5)
        """
        mass, g_q, g_l = point["m_med"], point["g_q"], point["g_l"]
        width = axial_width if self.axial else vector_width
        return Widths(
            (
                PartialWidth("chi", width(point["g_dm"], mass, point["m_dm"])),
                *(PartialWidth(q.name, width(g_q, mass, q.mass, q.colours)) for q in QUARKS),
                *(PartialWidth(lepton.name, width(g_l, mass, lepton.mass)) for lepton in CHARGED_LEPTONS),
                *(PartialWidth(neutrino.name, neutrino_width(g_l, mass)) for neutrino in NEUTRINOS),
            )
        )

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Perturbative unitarity (arXiv:1510.02110), width over mass (arXiv:2203.12035), and the mass shell.

        >>> point = AXIAL.point({"m_med": 500, "m_dm": 800})
        >>> [finding.name for finding in AXIAL.validity(point) if not finding.ok]
        ['unitarity-dm', 'on-shell']
        """
        return (
            self._unitarity("unitarity-dm", "m_dm", point["m_dm"], "g_dm", point),
            self._unitarity("unitarity-top", "m_t", TOP.mass, "g_q", point),
            *resonance.width_findings(point, self.widths(point)),
        )

    def _unitarity(self, name: str, mass_name: str, mass: float, coupling: str, point: Point) -> Finding:
        """m_f < sqrt(pi/2) m_med / g_f for an axial coupling g_f of a fermion f (arXiv:1510.02110)."""
        if not self.axial:
            return Finding(name, True, f"a vector coupling sets no bound on {mass_name} (arXiv:1510.02110)")
        bound = sqrt(pi / 2) * point["m_med"] / point[coupling]
        ok = mass < bound
        return Finding(
            name,
            ok,
            f"{mass_name} = {mass:.4g} GeV {'<' if ok else '>='} sqrt(pi/2) m_med/{coupling} = {bound:.4g} GeV"
            f": perturbative unitarity {'holds' if ok else 'is violated'} (arXiv:1510.02110)",
        )

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`.

        >>> fed = AXIAL.feeds(AXIAL.point({"m_med": 2000, "m_dm": 1}))["pythia8"]
        >>> fed["settings"][4:]
        ['18:m0=1', '18:mayDecay=off', '32:m0=2000', '32:mMin=10', '32:onMode=off', '32:onIfAny=18']
        >>> fed["couplings"][0], fed["couplings"][-1]
        ('1=0,0.25', '18=0,1')
        """
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": _settings(point),
                "couplings": [f"{pdg_id}={shortest(v)},{shortest(a)}" for pdg_id, v, a in self._couplings(point)],
                "recoil_id": MEDIATOR_ID,
                "invisible_ids": [DM_ID],
                "expected_width_gev": self.widths(point).total,
                "cross_section_factor": 1.0,
            },
            "efficiency-map": {"family": "spin1", "m_med": point["m_med"], "m_dm": point["m_dm"]},
            "planes": planes.of_spin1(point, self.widths(point).total, axial=self.axial),
        }

    def _couplings(self, point: Point) -> list[tuple[int, float, float]]:
        """(id, g_v, g_a) for every fermion that Pythia's Z' knows, by id."""
        of_id: dict[int, tuple[float, float]] = {DM_ID: self._chiral(point["g_dm"])}
        of_id |= {quark.pdg_id: self._chiral(point["g_q"]) for quark in QUARKS}
        of_id |= {lepton.pdg_id: self._chiral(point["g_l"]) for lepton in CHARGED_LEPTONS}
        of_id |= {neutrino.pdg_id: (point["g_l"] / 2, point["g_l"] / 2) for neutrino in NEUTRINOS}
        of_id |= dict.fromkeys(UNCOUPLED_IDS, (0.0, 0.0))
        return [(pdg_id, *of_id[pdg_id]) for pdg_id in sorted(of_id)]

    def _chiral(self, coupling: float) -> tuple[float, float]:
        return (0.0, coupling) if self.axial else (coupling, 0.0)


def _settings(point: Point) -> list[str]:
    """Off-shell, Pythia closes the channel to dark matter and gives 0 unless `32:mMin` is above threshold."""
    threshold = 2 * point["m_dm"]
    lowest = LOWEST_VIRTUALITY if threshold < point["m_med"] else threshold + OFF_SHELL_MARGIN
    return [
        "NewGaugeBoson:ffbar2gmZZprime=on",
        "Zprime:gmZmode=3",
        "Zprime:universality=off",
        "Zprime:coup2gen4=on",
        f"{DM_ID}:m0={shortest(point['m_dm'])}",
        f"{DM_ID}:mayDecay=off",
        f"{MEDIATOR_ID}:m0={shortest(point['m_med'])}",
        f"{MEDIATOR_ID}:mMin={shortest(lowest)}",
        f"{MEDIATOR_ID}:onMode=off",
        f"{MEDIATOR_ID}:onIfAny={DM_ID}",
    ]


def _widest(widths: Widths) -> str:
    """The coupling that contributes most to the width."""
    quarks = sum(widths[quark.name] for quark in QUARKS)
    leptons = sum(widths[lepton.name] for lepton in (*CHARGED_LEPTONS, *NEUTRINOS))
    return max((quarks, "g_q"), (widths["chi"], "g_dm"), (leptons, "g_l"))[1]


AXIAL = Spin1(record("axial-vector"), axial=True)
VECTOR = Spin1(record("vector"), axial=False)
