"""Simplified models with a spin-0 mediator in the s-channel: scalar and pseudoscalar.

The Lagrangian is that of arXiv:1507.00966: Yukawa-like couplings g_q y_q/sqrt(2) to quarks, g_dm to Dirac dark
matter. The mediator is made by gluon fusion through a top loop; how Pythia is brought to that is in `spin0_pythia`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

from recast_dm.signals import planes, resonance, spin0_pythia
from recast_dm.signals import point as points
from recast_dm.signals.constants import QUARKS, TOP
from recast_dm.signals.model import Finding, PartialWidth, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord
from recast_dm.signals.spin0_record import record
from recast_dm.signals.spin0_widths import quark_width, yukawa


@dataclass(frozen=True, slots=True)
class Spin0:
    """A spin-0 model; its record says which. See `SignalModel` for the methods."""

    record: SignalRecord
    pseudoscalar: bool

    def point(self, values: Mapping[str, object]) -> Point:
        """Besides the ranges: a mediator not wider than heavy, and twice m_dm not just below m_med.

        >>> print(SCALAR.point({"m_med": 500, "m_dm": 1}))
        spin0-scalar m_med=500 m_dm=1 g_q=1 g_dm=1
        """
        point = points.checked(self.record, values)
        widths = self.widths(point)
        quarks = sum(width.gev for width in widths.partial if width.channel != "chi")
        resonance.refuse_too_wide(self.record, point, widths, "g_q" if quarks > widths["chi"] else "g_dm")
        resonance.refuse_too_close(self.record, point)
        return point

    def mediator(self, point: Point) -> spin0_pythia.Mediator:
        return spin0_pythia.Mediator(
            m_med=point["m_med"],
            m_dm=point["m_dm"],
            g_q=point["g_q"],
            g_dm=point["g_dm"],
            pseudoscalar=self.pseudoscalar,
        )

    def widths(self, point: Point) -> Widths:
        """Partial widths at leading order for `chi`, the quarks and, through the top loop, gluons (`g`).

        >>> widths = SCALAR.widths(SCALAR.point({"m_med": 500, "m_dm": 1}))
        >>> round(widths["chi"], 2), round(widths["t"], 2), round(widths["g"], 3)
        (19.89, 11.1, 0.024)
        """
        mediator, mass = self.mediator(point), point["m_med"]
        return Widths(
            (
                PartialWidth("chi", mediator.chi(mass)),
                *(
                    PartialWidth(q.name, quark_width(point["g_q"], mass, q.mass, pseudoscalar=self.pseudoscalar))
                    for q in QUARKS
                ),
                PartialWidth("g", mediator.gluons(mass)),
            )
        )

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Perturbative couplings, width over mass (arXiv:2203.12035), and the mass shell.

        >>> [finding.name for finding in SCALAR.validity(SCALAR.point({"m_med": 100, "m_dm": 80})) if not finding.ok]
        ['on-shell']
        """
        strongest = max(point["g_dm"], point["g_q"] * yukawa(TOP.mass) / sqrt(2))
        bound = sqrt(4 * pi)
        text = f"the strongest coupling, {strongest:.3g}, is {'below' if strongest < bound else 'above'} sqrt(4 pi)"
        return (
            Finding("perturbative", strongest < bound, text),
            *resonance.width_findings(point, self.widths(point)),
        )

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`. Off-shell Pythia has another width on purpose, so there is none to compare.

        >>> fed = SCALAR.feeds(SCALAR.point({"m_med": 500, "m_dm": 1}))
        >>> fed["pythia8"]["settings"][3], fed["pythia8"]["recoil_id"], fed["efficiency-map"]["family"]
        ('HiggsBSM:gg2H2=on', 35, 'spin0')
        """
        mediator = self.mediator(point)
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": spin0_pythia.settings(mediator),
                "couplings": [],
                "recoil_id": mediator.pdg_id,
                "invisible_ids": [spin0_pythia.DM_ID],
                "expected_width_gev": self.widths(point).total if mediator.on_shell else 0.0,
                "cross_section_factor": spin0_pythia.correction(mediator),
            },
            "efficiency-map": {"family": "spin0", "m_med": point["m_med"], "m_dm": point["m_dm"]},
            "planes": planes.of_spin0(point, self.widths(point).total, pseudoscalar=self.pseudoscalar),
        }


SCALAR = Spin0(record(pseudoscalar=False), pseudoscalar=False)
PSEUDOSCALAR = Spin0(record(pseudoscalar=True), pseudoscalar=True)
