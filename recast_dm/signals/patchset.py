"""Models whose signals others have simulated: a published patchset holds one signal a point of a grid.

Such a model feeds `pyhf-patch`: `labels` and `values`, by which a patchset names its points. Whether there is a signal
at a point is the patchset's to say, so a point off the grid is a point all the same: an analysis does not cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import planes
from recast_dm.signals import point as points
from recast_dm.signals.model import Finding
from recast_dm.signals.point import Point
from recast_dm.signals.record import Bound, Citation, DarkMatter, Fixed, Generator, Parameter, Planes, SignalRecord
from recast_dm.signals.text import shortest

HIGGS_MASS = 125.0
"""GeV, as in the simulation of the signals."""
BOTTOM_MASS = 4.7
"""GeV: pole mass; nothing but the finding below depends on it."""


@dataclass(frozen=True, slots=True)
class BottomSquarks:
    """Pairs of bottom squarks: each decays to b and a neutralino, which decays to a Higgs boson and a lighter one."""

    record: SignalRecord

    def point(self, values: Mapping[str, object]) -> Point:
        """See `SignalModel.point`."""
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Whether both decays are to particles on their mass shells."""
        first = point["m_sbottom"] - point["m_n2"]
        second = point["m_n2"] - point["m_n1"]
        return (
            Finding(
                "sbottom-decays",
                first > BOTTOM_MASS,
                f"m_sbottom - m_n2 = {shortest(first)} GeV: sbottom -> b n2 needs {shortest(BOTTOM_MASS)} GeV",
            ),
            Finding(
                "neutralino-decays",
                second > HIGGS_MASS,
                f"m_n2 - m_n1 = {shortest(second)} GeV: n2 -> h n1 needs {shortest(HIGGS_MASS)} GeV",
            ),
        )

    def widths(self, point: Point) -> None:  # noqa: ARG002  # the seam's signature
        """None: there is no mediator."""
        return

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`.

        >>> SBOTTOM.feeds(SBOTTOM.point({"m_sbottom": 1300, "m_n2": 205, "m_n1": 60}))["pyhf-patch"]
        {'labels': ['m_sbottom', 'm_n2', 'm_n1'], 'values': [1300.0, 205.0, 60.0]}
        """
        parameters = point.parameters()
        return {
            "parameters": parameters,
            "pyhf-patch": {"labels": list(parameters), "values": list(parameters.values())},
            "planes": {**planes.empty(), "m_dm": point["m_n1"] or None, "self_conjugate": True},
        }


_HEAVY = Bound(3000.0, "heavier pairs are made less than once in 3 ab-1 at 13 TeV")


def _mass(name: str, meaning: str, lower: Bound) -> Parameter:
    return Parameter(name=name, unit="GeV", meaning=meaning, lower=lower, upper=_HEAVY)


SBOTTOM = BottomSquarks(
    SignalRecord(
        name="sbottom-higgs",
        title="Pairs of bottom squarks: sbottom -> b n2, n2 -> h n1, each in every decay",
        family="supersymmetry, simplified",
        version="1",
        parameters=(
            _mass("m_sbottom", "mass of the bottom squark", Bound(100.0, "lighter ones are long excluded")),
            _mass("m_n2", "mass of the second neutralino", Bound(0.0, "decays to h need more, as validity says")),
            _mass("m_n1", "mass of the lightest neutralino, the dark matter", Bound(0.0, "massless: allowed")),
        ),
        fixed=(
            Fixed(name="m_h", value=HIGGS_MASS, unit="GeV", meaning="mass of the Higgs boson"),
            Fixed(name="br_n2_h", value=1.0, unit="1", meaning="branching ratio of n2 -> h n1"),
        ),
        dm=DarkMatter(spin=0.5, self_conjugate=True),
        mediator=None,
        order="NNLO+NNLL",
        generator=Generator("a published patchset", "1", "the patchset's own"),
        validity=(
            "There is a signal only at the points of a patchset: elsewhere an analysis does not cover the model.",
            "Other squarks and gluinos are decoupled; the Higgs boson decays as in the Standard Model.",
        ),
        planes=Planes(dd=(), id="none"),
        citations=(
            Citation(
                "1908.03122",
                "Search for bottom-squark pair production in final states containing Higgs bosons, b-jets and missing "
                "transverse momentum",
            ),
            Citation("1607.07741", "NNLL-fast: predictions for coloured supersymmetric particle production at the LHC"),
        ),
    )
)
