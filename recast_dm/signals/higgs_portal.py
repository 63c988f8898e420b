"""The Higgs portal: the Higgs boson of 125 GeV decays to a pair of dark-matter particles.

All production processes of the Standard Model's Higgs boson at leading order (`HiggsSM:all`), with a branching ratio
to dark matter of `br_inv`. Dark matter is Pythia's lightest neutralino (id 1000022), because the table of Higgs decays
has it: a channel of the width Gamma_inv = Gamma_SM br/(1 - br), so that Pythia's own widths make the branching ratio
and nothing is left to multiply by hand. A Higgs boson has no spin, so dark matter's does not change the events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import direct, planes
from recast_dm.signals import point as points
from recast_dm.signals.model import Finding, PartialWidth, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import (
    Bound,
    Citation,
    DarkMatter,
    Fixed,
    Generator,
    Mediator,
    Parameter,
    Planes,
    SignalRecord,
)
from recast_dm.signals.text import quantity, shortest

HIGGS_ID = 25
DM_ID = 1000022
DM_CHANNEL = 14
"""Where Pythia's table of Higgs decays has the pair of lightest neutralinos."""

LARGEST_BR = 0.107
"""Upper limit on the branching ratio at 95 % CL of searches for invisible decays (ATLAS, arXiv:2301.10731)."""


@dataclass(frozen=True, slots=True)
class HiggsPortal:
    """See `SignalModel` for the methods."""

    record: SignalRecord

    def point(self, values: Mapping[str, object]) -> Point:
        """The ranges are all there is to check.

        >>> print(HIGGS_PORTAL.point({"m_dm": 50}))
        higgs-portal m_dm=50 br_inv=0.1 dm_spin=0
        """
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Whether the decay is far from its threshold, and whether the branching ratio is still allowed.

        >>> [finding.ok for finding in HIGGS_PORTAL.validity(HIGGS_PORTAL.point({"m_dm": 50, "br_inv": 0.5}))]
        [True, False]
        """
        half, allowed = direct.M_HIGGS / 2, point["br_inv"] <= LARGEST_BR
        near = half - point["m_dm"] < 1.0
        return (
            Finding(
                "threshold",
                not near,
                f"m_dm = {quantity(point['m_dm'], 'GeV')} is {'within' if near else 'more than'} 1 GeV below m_h/2",
            ),
            Finding(
                "invisible-decays",
                allowed,
                f"br_inv = {shortest(point['br_inv'])}: searches for invisible decays exclude more than {LARGEST_BR:g} "
                f"at 95 % CL (ATLAS, arXiv:2301.10731)",
            ),
        )

    def widths(self, point: Point) -> Widths:
        """`chi` and everything else (`sm`).

        >>> widths = HIGGS_PORTAL.widths(HIGGS_PORTAL.point({"m_dm": 50, "br_inv": 0.5}))
        >>> widths["chi"] == widths["sm"] == 4.07e-3
        True
        """
        return Widths(
            (
                PartialWidth("chi", direct.invisible_width(point["br_inv"])),
                PartialWidth("sm", direct.HIGGS_WIDTH),
            )
        )

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`."""
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": [
                    "HiggsSM:all=on",
                    f"{DM_ID}:m0={shortest(point['m_dm'])}",
                    f"{DM_ID}:mayDecay=off",
                    f"{HIGGS_ID}:m0={shortest(direct.M_HIGGS)}",
                    f"{HIGGS_ID}:mWidth={shortest(direct.invisible_width(point['br_inv']))}",
                    f"{HIGGS_ID}:{DM_CHANNEL}:bRatio=1",
                    f"{HIGGS_ID}:onMode=off",
                    f"{HIGGS_ID}:onIfAny={DM_ID}",
                ],
                "couplings": [],
                "recoil_id": HIGGS_ID,
                "invisible_ids": [DM_ID],
                "expected_width_gev": self.widths(point).total,
                "cross_section_factor": 1.0,
            },
            "planes": planes.of_higgs_portal(point["br_inv"], point["m_dm"], point["dm_spin"]),
        }


HIGGS_PORTAL = HiggsPortal(
    SignalRecord(
        name="higgs-portal",
        title="Higgs portal: invisible decays of the Higgs boson to scalar or Majorana dark matter",
        family="Higgs portal",
        version="1",
        parameters=(
            Parameter(
                name="m_dm",
                unit="GeV",
                meaning="mass of the dark-matter particle",
                lower=Bound(0.1, "no collider sees the difference below"),
                upper=Bound(62.4, "the Higgs boson does not decay to heavier pairs: m_h/2 is 62.5 GeV"),
            ),
            Parameter(
                name="br_inv",
                unit="1",
                meaning="branching ratio of the Higgs boson to dark matter",
                lower=Bound(0.0001, "the decay to four neutrinos is ten times as frequent"),
                upper=Bound(0.95, "the width grows with 1/(1 - br_inv)"),
                default=0.1,
            ),
            Parameter(
                name="dm_spin",
                unit="1",
                meaning="0: a real scalar; 0.5: a Majorana fermion. It matters for scattering, not for events",
                lower=Bound(0.0, "a scalar"),
                upper=Bound(0.5, "a fermion"),
                default=0.0,
                choices=(0.0, 0.5),
            ),
        ),
        fixed=(
            Fixed(name="m_h", value=direct.M_HIGGS, unit="GeV", meaning="mass of the Higgs boson"),
            Fixed(
                name="width_sm",
                value=direct.HIGGS_WIDTH,
                unit="GeV",
                meaning="its width without dark matter; Pythia finds 4.086 MeV",
            ),
        ),
        dm=DarkMatter(spin=None, self_conjugate=True),
        mediator=Mediator(spin=0, parity="+", width="auto"),
        order="LO",
        generator=Generator("Pythia 8", "8.317", "NNPDF2.3 QCD+QED LO (PDF:pSet = 13)"),
        validity=(
            "Production is that of the Standard Model's Higgs boson at leading order, with the jets of the shower.",
            "Higher orders raise gluon fusion a lot; no K-factor is applied, so limits on br_inv come out too weak.",
            "Gluon fusion recoils as from an infinitely heavy top: too hard above 200 GeV, and limits too strong.",
            "The Majorana portal is an effective operator; scattering assumes f_N = 0.308 (arXiv:1708.02245).",
            "Annihilation is not computed: the plane of <sigma v> stays empty.",
        ),
        planes=Planes(dd=("SI",), id="none"),
        citations=(
            Citation("1708.02245", "Improved limits for Higgs-portal dark matter from LHC searches"),
            Citation("1307.1347", "Handbook of LHC Higgs Cross Sections: 3. Higgs Properties"),
            Citation(
                "2301.10731",
                "Combination of searches for invisible decays of the Higgs boson using 139 fb-1 of proton-proton "
                "collision data at sqrt(s) = 13 TeV collected with the ATLAS experiment",
            ),
            Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
        ),
    )
)
