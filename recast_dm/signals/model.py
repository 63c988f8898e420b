"""The seam: what every signal model can do, and the small values that it answers with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord


@dataclass(frozen=True, slots=True)
class PartialWidth:
    """The width of one decay channel of the mediator, in GeV."""

    channel: str
    gev: float


@dataclass(frozen=True, slots=True)
class Widths:
    """The partial widths of the mediator, closed channels included as 0.

    >>> widths = Widths((PartialWidth("chi", 26.5), PartialWidth("t", 4.1)))
    >>> widths["t"], widths.total
    (4.1, 30.6)
    """

    partial: tuple[PartialWidth, ...]

    def __getitem__(self, channel: str) -> float:
        for width in self.partial:
            if width.channel == channel:
                return width.gev
        raise KeyError(channel)

    @property
    def total(self) -> float:
        """GeV, summed exactly and rounded once."""
        return math.fsum(width.gev for width in self.partial)

    def document(self) -> dict[str, Any]:
        """`{"partial_gev": {channel: width}, "total_gev": width}`."""
        return {"partial_gev": {width.channel: width.gev for width in self.partial}, "total_gev": self.total}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one assumption of the model holds at a point. What is not `ok` warns; it never refuses."""

    name: str
    ok: bool
    text: str

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "text": self.text}


@runtime_checkable
class SignalModel(Protocol):
    """The seam: a record and four pure methods."""

    @property
    def record(self) -> SignalRecord:
        """What is known about the model before a point is chosen."""
        ...

    def point(self, values: Mapping[str, object]) -> Point:
        """The checked point; values may be numbers or text. Raises UsageError for what cannot be."""
        ...

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """How the model's assumptions hold at the point: always the same findings, in the same order."""
        ...

    def widths(self, point: Point) -> Widths | None:
        """The mediator's widths in GeV, or None for a model without a resonant mediator."""
        ...

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """What an analysis may take from the point: JSON values under names that recast.yml writes with dots.

        Always `parameters` (the point by name). With Pythia 8, `pythia8`:

        - `settings`: words for `Pythia.readString`, no spaces, characters of `[A-Za-z0-9_./:=,+@%-]` only;
        - `couplings`: words `<pdg id>=<g_v>,<g_a>` for every fermion that Pythia's Z' knows, zeros included,
          in the Lagrangian's normalisation. Its `Zprime:v*` and `Zprime:a*` are these over
          f = sqrt(4 pi alpha_em(m_med^2)) / (4 s_W c_W), where alpha_em and s_W are Pythia's own;
        - `recoil_id`: the particle whose transverse momentum is the missing one at the parton level;
        - `invisible_ids`: the stable particles that leave no trace;
        - `expected_width_gev`: the total width that the generator must find; 0.0: nothing to compare;
        - `cross_section_factor`: what the generator's cross-section has to be multiplied by; mostly 1.0.

        With an s-channel resonance that efficiencies depend on through masses only, `efficiency-map`:
        `family` (`spin1` or `spin0`), `m_med` and `m_dm` in GeV.

        `planes`: `SI`, `SD-p` and `SD-n` in cm^2, `sigmav` in cm^3/s by final state and in `total`, `m_dm` in GeV and
        `self_conjugate`; None for what the model does not have.
        """
        ...
