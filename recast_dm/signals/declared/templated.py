"""A model that is words for Pythia 8, with the values of its parameters put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import planes
from recast_dm.signals import point as points
from recast_dm.signals.declared.template import filled
from recast_dm.signals.model import Finding, PartialWidth, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Templated:
    """See `SignalModel` for the methods. `width` is a number in GeV, the parameter that holds it, or None."""

    record: SignalRecord
    settings: tuple[str, ...]
    recoil_id: int
    invisible_ids: tuple[int, ...]
    width: float | str | None = None
    cross_section_factor: float = 1.0

    def point(self, values: Mapping[str, object]) -> Point:
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:  # noqa: ARG002  # the seam's signature
        """Nothing is known of the model but its words."""
        return (Finding("declared", True, "a model from a file: whether it holds here is its author's to say"),)

    def widths(self, point: Point) -> Widths | None:
        if self.width is None:
            return None
        return Widths((PartialWidth("all", point[self.width] if isinstance(self.width, str) else self.width),))

    def feeds(self, point: Point) -> Mapping[str, Any]:
        widths = self.widths(point)
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": filled(self.settings, point),
                "couplings": [],
                "recoil_id": self.recoil_id,
                "invisible_ids": list(self.invisible_ids),
                "expected_width_gev": widths.total if widths else 0.0,
                "cross_section_factor": self.cross_section_factor,
            },
            "planes": planes.empty(),
        }
