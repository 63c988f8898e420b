"""A model that is another one with some parameters fixed, renamed, or with other ranges and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.errors import UsageError
from recast_dm.signals import point as points
from recast_dm.signals.declared.template import filled
from recast_dm.signals.model import Finding, SignalModel, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord


@dataclass(frozen=True, slots=True)
class Derived:
    """See `SignalModel` for the methods. `names` are pairs of a parameter and the base's, `fixed` of the base's and a
    number, `settings` further words for Pythia, with placeholders."""

    record: SignalRecord
    base: SignalModel
    names: tuple[tuple[str, str], ...]
    fixed: tuple[tuple[str, float], ...] = ()
    settings: tuple[str, ...] = ()

    def point(self, values: Mapping[str, object]) -> Point:
        """The checked point, which the base must accept as well."""
        point = points.checked(self.record, values)
        self.of_base(point)
        return point

    def of_base(self, point: Point) -> Point:
        """The base's point that this one is."""
        return self.base.point({**{theirs: point[ours] for ours, theirs in self.names}, **dict(self.fixed)})

    def validity(self, point: Point) -> tuple[Finding, ...]:
        return self.base.validity(self.of_base(point))

    def widths(self, point: Point) -> Widths | None:
        return self.base.widths(self.of_base(point))

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """What the base feeds; `parameters` are the model's own, `pythia8.settings` end with its own words.

        Raises UsageError for words of a model whose base makes no events with Pythia.
        """
        fed = {**self.base.feeds(self.of_base(point)), "parameters": point.parameters()}
        if self.settings:
            pythia8 = fed.get("pythia8")
            if pythia8 is None:
                raise UsageError(
                    f"{self.record.name} adds words for Pythia, and {self.base.record.name} does not use it",
                    hint=f"it feeds {', '.join(sorted(fed))}",
                )
            fed["pythia8"] = {**pythia8, "settings": [*pythia8["settings"], *filled(self.settings, point)]}
        return fed
