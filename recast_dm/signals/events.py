"""Events from outside: what Pythia alone cannot make (2HDM+a, t-channel, dark Higgs, ...) comes as LHE or HepMC files.

The model is in the files; the parameters here say what the files do not: which particles escape, and, where the user
knows better, the cross-section. The files are checked where they are read, in the analysis' own image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import point as points
from recast_dm.signals.model import Finding
from recast_dm.signals.point import Point
from recast_dm.signals.record import Bound, Citation, Generator, Parameter, Planes, SignalRecord
from recast_dm.signals.text import quantity

FILES = "events/*"
"""Where the files lie among the init files: `init` finds them by this pattern."""
SHARES = 4
"""Into so many steps the events are shared out. Results do not depend on it."""
DM_ID = 52
"""The PDG's id of a fermion that is dark matter; MadGraph's simplified models use it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """See `SignalModel` for the methods."""

    record: SignalRecord

    def point(self, values: Mapping[str, object]) -> Point:
        """Every parameter has a default.

        >>> print(EVENTS.point({"sigma_pb": 0.35}))
        events sigma_pb=0.35 dm_id=52 other_id=0 merging_scale=0 m_med=0 m_dm=0
        """
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Where the cross-section comes from. Whether the model holds is for whom made the events."""
        sigma = point["sigma_pb"]
        text = f"{quantity(sigma, 'pb')}, given by the user" if sigma else "as the files say, after matching"
        return (Finding("cross-section", True, text),)

    def widths(self, point: Point) -> None:  # noqa: ARG002  # the seam's signature
        """None: the files do not say."""
        return

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`.

        >>> EVENTS.feeds(EVENTS.point({"dm_id": 1000022}))["events"]["invisible_ids"]
        [1000022]
        """
        ids = dict.fromkeys(int(point[name]) for name in ("dm_id", "other_id") if point[name])
        return {
            "parameters": point.parameters(),
            "events": {
                "files": FILES,
                "sigma_pb": point["sigma_pb"],
                "merging_scale_gev": point["merging_scale"],
                "shares": [f"{number}/{SHARES}" for number in range(1, SHARES + 1)],
                "settings": [],
                "couplings": [],
                "recoil_id": 0,
                "invisible_ids": list(ids),
                "expected_width_gev": 0.0,
                "cross_section_factor": 1.0,
            },
        }


_ANY_ID = Bound(99_999_999.0, "ids of particles have at most eight digits; nuclei do not escape")
_PLACE = "only tells points apart: the files hold the masses"

EVENTS = Outside(
    SignalRecord(
        name="events",
        title="Events from outside: LHE or HepMC files of any model",
        family="events from outside",
        version="1",
        parameters=(
            Parameter(
                name="sigma_pb",
                unit="pb",
                meaning="cross-section of the events, after matching; 0: what the files say",
                lower=Bound(0.0, "a cross-section is not negative"),
                upper=Bound(1e9, "more than all of proton scattering"),
                default=0.0,
            ),
            Parameter(
                name="dm_id",
                unit="1",
                meaning="PDG id of the particle that leaves no trace",
                lower=Bound(1.0, "ids of particles are positive; the antiparticle is meant too"),
                upper=_ANY_ID,
                default=float(DM_ID),
                kind="integer",
            ),
            Parameter(
                name="other_id",
                unit="1",
                meaning="PDG id of another particle that leaves no trace; 0: none",
                lower=Bound(0.0, "0: none"),
                upper=_ANY_ID,
                default=0.0,
                kind="integer",
            ),
            Parameter(
                name="merging_scale",
                unit="GeV",
                meaning="qCut of MLM or the scale of CKKW-L; 0: xqcut, ktdurham or ptlund of the run card",
                lower=Bound(0.0, "0: that of the run card"),
                upper=Bound(2000.0, "above the jets that searches for missing momentum see"),
                default=0.0,
            ),
            Parameter(
                name="m_med",
                unit="GeV",
                meaning=f"mediator mass; {_PLACE}",
                lower=Bound(0.0, "0: not said"),
                upper=Bound(100_000.0, "far above what collides"),
                default=0.0,
            ),
            Parameter(
                name="m_dm",
                unit="GeV",
                meaning=f"mass of the dark matter; {_PLACE}",
                lower=Bound(0.0, "0: not said"),
                upper=Bound(100_000.0, "far above what collides"),
                default=0.0,
            ),
        ),
        fixed=(),
        dm=None,
        mediator=None,
        order="LO",
        generator=Generator("the user's", "any", "the file's; the shower takes the analysis' own"),
        validity=(
            "Two protons of 6500 GeV; particles that are neither of the Standard Model nor named here are an error.",
            "Several jet multiplicities in one LHE sample need MLM or CKKW-L matching, by MadGraph's run card.",
            "Samples at next-to-leading order (FxFx, MC@NLO, POWHEG with several multiplicities) come as HepMC.",
            "HepMC events are taken as they are: showered, matched, hadronised, with the underlying event or without.",
            "Order and error of the cross-section are those of the files: LO is only the assumption here.",
        ),
        planes=Planes(dd=(), id="none"),
        citations=(
            Citation("hep-ph/0609017", "A standard format for Les Houches Event Files"),
            Citation("1912.08005", "The HepMC3 Event Record Library for Monte Carlo Event Generators"),
            Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
        ),
    )
)
