"""A published limit curve, and what has to be said beside every number that is read from it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from recast_dm.errors import UsageError

Quantity = Literal["SI", "SD-p", "SD-n", "sigmav"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
"""Spin-independent and spin-dependent scattering on a nucleon; annihilation as the velocity goes to 0."""
UNITS: Mapping[Quantity, str] = {"SI": "cm2", "SD-p": "cm2", "SD-n": "cm2", "sigmav": "cm3/s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """The paper a curve is from: a text that stands alone, and its identifiers where it has them."""

    text: str
    arxiv: str | None = None
    doi: str | None = None

    def document(self) -> dict[str, str | None]:
        return {"text": self.text, "arxiv": self.arxiv, "doi": self.doi}

    def __str__(self) -> str:
        places = [f"arXiv:{self.arxiv}" if self.arxiv else "", f"doi:{self.doi}" if self.doi else ""]
        return ", ".join([self.text, *(place for place in places if place and place not in self.text)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """An upper limit as a function of the dark-matter mass.

    `masses` in GeV, rising; `limits` in `UNITS[quantity]`. `channel` is the final state that annihilation was taken to
    go to with 100 %, such as `bb`. `self_conjugate` says for which kind of dark matter an annihilation limit holds:
    None where it does not matter. `band` are the limits with their uncertainty down and up. A curve that is not
    `used` is drawn and never decides: `why_unused`.

    >>> line = Curve(name="toy", experiment="Toy", year=2024, quantity="SI", confidence_level=0.9,
    ...              citation=Citation(text="a test"), dm_assumption="all of it",
    ...              masses=(10.0, 1000.0), limits=(1e-46, 1e-44))
    >>> f"{line.at(100.0):.3g}", line.at(5.0)
    ('1e-45', None)
    """

    name: str
    experiment: str
    year: int
    quantity: Quantity
    confidence_level: float
    citation: Citation
    dm_assumption: str
    masses: tuple[float, ...]
    limits: tuple[float, ...]
    channel: str | None = None
    self_conjugate: bool | None = None
    digitised: bool = False
    note: str = ""
    why_unused: str = ""
    band: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        if wrong := next(_problems(self), None):
            raise UsageError(f"the curve {self.name!r} {wrong}", hint="masses in GeV, limits in cm2 or cm3/s")

    @property
    def unit(self) -> str:
        return UNITS[self.quantity]

    @property
    def used(self) -> bool:
        """Whether the curve may exclude anything."""
        return not self.why_unused

    def covers(self, mass: float) -> bool:
        return self.masses[0] <= mass <= self.masses[-1]

    def at(self, mass: float) -> float | None:
        """The limit at a mass in GeV: a straight line between neighbours in log-log; None outside of the curve."""
        return _interpolated(self.masses, self.limits, mass) if self.covers(mass) else None

    def band_at(self, mass: float) -> tuple[float, float] | None:
        """The limit with its uncertainty, down and up; None outside, and for a curve without a band."""
        if self.band is None or not self.covers(mass):
            return None
        return _interpolated(self.masses, self.band[0], mass), _interpolated(self.masses, self.band[1], mass)

    def document(self) -> dict[str, Any]:
        """The JSON form: an entry of `recast-dm/curves/1` and of `recast-dm/curves-ls/1`."""
        return {
            "name": self.name,
            "experiment": self.experiment,
            "year": self.year,
            "quantity": self.quantity,
            "channel": self.channel,
            "confidence_level": self.confidence_level,
            "citation": self.citation.document(),
            "digitised": self.digitised,
            "dm_assumption": self.dm_assumption,
            "self_conjugate": self.self_conjugate,
            "note": self.note,
            "why_unused": self.why_unused,
            "masses": list(self.masses),
            "limits": list(self.limits),
            "band": [list(side) for side in self.band] if self.band else None,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Curve:
        """The curve in a JSON form that fits its schema. Raises UsageError for one that is no curve all the same."""
        said = dict(document)
        band = said.pop("band", None)
        return cls(
            **{
                **said,
                "citation": Citation(**said["citation"]),
                "masses": tuple(said["masses"]),
                "limits": tuple(said["limits"]),
                "band": (tuple(band[0]), tuple(band[1])) if band else None,
            }
        )


def _interpolated(masses: tuple[float, ...], limits: tuple[float, ...], mass: float) -> float:
    left = min(bisect_right(masses, mass), len(masses) - 1) - 1
    if mass == masses[left]:
        return limits[left]
    if mass == masses[left + 1]:
        return limits[left + 1]
    part = math.log(mass / masses[left]) / math.log(masses[left + 1] / masses[left])
    return math.exp((1 - part) * math.log(limits[left]) + part * math.log(limits[left + 1]))


def _problems(curve: Curve) -> Iterator[str]:
    columns = (curve.masses, curve.limits, *(curve.band or ()))
    if len(curve.masses) < 2 or len({len(column) for column in columns}) > 1:
        yield "has fewer than two points, or columns of different lengths"
    if any(not 0 < number < math.inf for column in columns for number in column):
        yield "holds a number that is not positive and finite"
    if any(right <= left for left, right in pairwise(curve.masses)):
        yield "has masses that do not rise"
    if not 0.5 <= curve.confidence_level < 1:
        yield f"has a confidence level of {curve.confidence_level:g}, where 0.9 is 90 %"
    if curve.quantity not in QUANTITIES:
        yield f"limits {curve.quantity!r}; a curve limits one of {', '.join(QUANTITIES)}"
    if (curve.quantity == "sigmav") != (curve.channel is not None):
        yield "needs a channel" if curve.channel is None else "has a channel, and limits no annihilation"
    if (curve.quantity == "sigmav") != (curve.self_conjugate is not None):
        yield "must say for annihilation, and only there, whether the dark matter is self-conjugate"
    if not curve.citation.text.strip() or not curve.dm_assumption.strip():
        yield "has no citation, or does not say what it assumes of the dark matter"
