"""A signal model without physics, for tests: a parameter of every kind, and words that no generator knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import planes
from recast_dm.signals import point as points
from recast_dm.signals.model import Finding, PartialWidth, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import Bound, Citation, Generator, Parameter, Planes, SignalRecord
from recast_dm.signals.text import shortest

RECORD = SignalRecord(
    name="fake",
    title="No physics: for tests",
    family="fake",
    version="1",
    parameters=(
        Parameter(
            name="mass",
            unit="GeV",
            meaning="a mass",
            lower=Bound(1.0, "as good as any"),
            upper=Bound(1000.0, "as good as any"),
        ),
        Parameter(
            name="strength",
            unit="1",
            meaning="a coupling",
            lower=Bound(0.0, "as good as any"),
            upper=Bound(2.0, "as good as any"),
            default=1.0,
            nonzero="nothing would happen",
        ),
        Parameter(
            name="copies",
            unit="1",
            meaning="a number of copies",
            lower=Bound(1.0, "at least one"),
            upper=Bound(3.0, "at most three"),
            default=1.0,
            kind="integer",
        ),
    ),
    fixed=(),
    dm=None,
    mediator=None,
    order="LO",
    generator=Generator("none", "1", "none"),
    validity=("Never valid.",),
    planes=Planes(dd=(), id="none"),
    citations=(Citation("1507.00966", "Dark Matter Benchmark Models for Early LHC Run-2 Searches"),),
)


@dataclass(frozen=True, slots=True)
class FakeSignalModel:
    """A `SignalModel` that is not installed as an entry point.

    >>> model = FakeSignalModel()
    >>> model.feeds(model.point({"mass": 5}))["pythia8"]["settings"]
    ['Fake:mass=5', 'Fake:strength=1', 'Fake:copies=1']
    """

    record: SignalRecord = RECORD

    def point(self, values: Mapping[str, object]) -> Point:
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:
        return (Finding("light", point["mass"] < 500, f"mass = {shortest(point['mass'])} GeV"),)

    def widths(self, point: Point) -> Widths:
        return Widths((PartialWidth("anything", 0.01 * point["mass"] * point["strength"] ** 2),))

    def feeds(self, point: Point) -> Mapping[str, Any]:
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": [f"Fake:{name}={shortest(value)}" for name, value in point.values],
                "couplings": [],
                "recoil_id": 32,
                "invisible_ids": [18],
                "expected_width_gev": self.widths(point).total,
                "cross_section_factor": 1.0,
            },
            "planes": planes.empty(),
        }
