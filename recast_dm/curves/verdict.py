"""A model's point beside published limits: excluded, not excluded, or not comparable, curve by curve.

Limits on annihilation assume self-conjugate dark matter. The signal is proportional to <sigma v> n^2/2 for
self-conjugate particles of density n, and to <sigma v> n^2/4 where half of them are antiparticles: so of a Dirac
fermion <sigma v>/2 is compared. Each such limit is for one channel with 100 %, and is compared with its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.curves.curve import Curve, Quantity
from recast_dm.curves.point import Prediction
from recast_dm.errors import StatisticsError, UsageError

SCHEMA = "recast-dm/verdict/1"
LIGHT = ("uu", "dd", "ss", "cc")
"""Final states of quarks whose photons look much like those of bb."""
PROXY = "the limit for bb stands in for light quarks: shown, and not used in the verdict"
ASSUMES = "These limits hold if chi is all of the dark matter; a collider's does not need that."
HALVED = "Dirac: half of <sigma v> is compared, for the limits assume self-conjugate dark matter."
HEAD = ("curve", "quantity", "model", "limit", "ratio", "", "CL", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One curve. `model` is what is compared with `limit`, both in `unit`: the prediction times `factor`.

    `excluded` is None where nothing can be compared: `reason` says why. What is not `used` decides nothing.
    """

    curve: str
    experiment: str
    year: int
    quantity: Quantity
    channel: str | None
    unit: str
    model: float | None
    factor: float
    limit: float | None
    used: bool
    confidence_level: float
    digitised: bool
    citation: Mapping[str, str | None]
    dm_assumption: str
    reason: str | None

    @property
    def ratio(self) -> float | None:
        return None if self.model is None or self.limit is None else self.model / self.limit

    @property
    def excluded(self) -> bool | None:
        return None if self.ratio is None else self.ratio > 1

    def document(self) -> dict[str, Any]:
        names = tuple(name for name in Comparison.__slots__ if name != "citation")
        said = {name: getattr(self, name) for name in names}
        return {**said, "citation": dict(self.citation), "ratio": self.ratio, "excluded": self.excluded}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the curves say together. `excluded` is None where none of them can be compared."""

    m_dm: float | None
    self_conjugate: bool | None
    comparisons: tuple[Comparison, ...]

    @property
    def strongest(self) -> Comparison | None:
        """The comparison with the largest ratio, of those that decide."""
        found = [each for each in self.comparisons if each.used and each.ratio is not None]
        return max(found, key=lambda each: each.ratio or 0.0, default=None)

    @property
    def excluded(self) -> bool | None:
        return self.strongest.excluded if self.strongest else None

    @property
    def reason(self) -> str | None:
        """Why there is no verdict."""
        if self.strongest is not None:
            return None
        reasons = dict.fromkeys(each.reason for each in self.comparisons if each.reason)
        return "; ".join(filter(None, reasons)) or "there is no curve to compare with"

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said beside the verdict."""
        halved = any(each.factor == 0.5 and each.model is not None for each in self.comparisons)
        return (ASSUMES, *((HALVED,) if halved else ()))

    @property
    def sentence(self) -> str:
        """The verdict in a line."""
        best = self.strongest
        if best is None:
            return f"not comparable: {self.reason}"
        word = "EXCLUDED" if best.excluded else "not excluded"
        return f"{word} at {_percent(best.confidence_level)} CL by {best.curve}: {best.ratio:.3g} times its limit"

    def document(self) -> dict[str, Any]:
        """The JSON document (schema `recast-dm/verdict/1`)."""
        return {
            "schema": SCHEMA,
            "m_dm": self.m_dm,
            "self_conjugate": self.self_conjugate,
            "excluded": self.excluded,
            "strongest": self.strongest.curve if self.strongest else None,
            "reason": self.reason,
            "notes": list(self.notes),
            "curves": [each.document() for each in self.comparisons],
        }

    def rows(self) -> list[tuple[str, ...]]:
        """What was compared, as a table for people under `HEAD`; what decides nothing stands in brackets."""
        return [_row(each) for each in self.comparisons if each.ratio is not None]

    def remarks(self) -> list[str]:
        """Lines for people to stand below the table: what was not compared, or not used, and why; then the notes."""
        why: dict[tuple[str, str], list[str]] = {}
        for each in self.comparisons:
            if each.reason:
                head = "not compared" if each.ratio is None else "in brackets"
                why.setdefault((head, each.reason), []).append(each.curve)
        return [*(f"{head}: {', '.join(curves)}: {reason}" for (head, reason), curves in why.items()), *self.notes]


def compare(point: Prediction, curves: Iterable[Curve], quantities: Sequence[str]) -> Verdict:
    """The verdict of all curves that limit one of the quantities."""
    wanted = [curve for curve in curves if curve.quantity in quantities]
    found = tuple(each for curve in wanted for each in _comparisons(point, curve))
    return Verdict(m_dm=point.m_dm, self_conjugate=point.self_conjugate, comparisons=found)


def _comparisons(point: Prediction, curve: Curve) -> tuple[Comparison, ...]:
    own = _comparison(point, curve, point.value(curve.quantity, curve.channel), curve.why_unused)
    light = [point.value("sigmav", channel) for channel in LIGHT] if curve.channel == "bb" else []
    if not any(light):
        return (own,)
    together = math.fsum(value for value in (*light, point.value("sigmav", "bb")) if value)
    return own, _comparison(point, curve, together, PROXY)


def _comparison(point: Prediction, curve: Curve, value: float | None, why_unused: str) -> Comparison:
    factor = _factor(point, curve)
    limit = curve.at(point.m_dm) if point.m_dm is not None else None
    return Comparison(
        curve=curve.name,
        experiment=curve.experiment,
        year=curve.year,
        quantity=curve.quantity,
        channel=curve.channel if why_unused != PROXY else "quarks",
        unit=curve.unit,
        model=None if value is None else factor * value,
        factor=factor,
        limit=limit,
        used=not why_unused,
        confidence_level=curve.confidence_level,
        digitised=curve.digitised,
        citation=curve.citation.document(),
        dm_assumption=curve.dm_assumption,
        reason=_reason(point, curve, value, limit) or why_unused or None,
    )


def _factor(point: Prediction, curve: Curve) -> float:
    """What a prediction is multiplied with so that it means what the limit does."""
    if curve.quantity != "sigmav" or point.self_conjugate is None or point.self_conjugate == curve.self_conjugate:
        return 1.0
    return 0.5 if curve.self_conjugate else 2.0


def _reason(point: Prediction, curve: Curve, value: float | None, limit: float | None) -> str | None:
    if point.m_dm is None:
        return "the model has no dark matter"
    if value is None:
        what = f"<sigma v> into {curve.channel}" if curve.quantity == "sigmav" else f"{curve.quantity} cross-section"
        return f"the model predicts no {what}"
    if limit is None:
        reach = f"{curve.masses[0]:.4g} to {curve.masses[-1]:.4g} GeV"
        return f"m_dm = {point.m_dm:g} GeV lies outside of the curve ({reach})"
    return None


def read(path: Path) -> Verdict:
    """The verdict in a stage's output. Raises StatisticsError for anything but a complete one."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StatisticsError(f"the verdict {path} cannot be read: {error}") from None
    from recast_dm import schemas  # not in images

    if found := schemas.problem("verdict-1", document):
        raise StatisticsError(f"{path} is no verdict: {found[1]}")
    names = tuple(Comparison.__slots__)
    comparisons = tuple(Comparison(**{name: each[name] for name in names}) for each in document["curves"])
    verdict = Verdict(m_dm=document["m_dm"], self_conjugate=document["self_conjugate"], comparisons=comparisons)
    if verdict.document() != document:
        raise StatisticsError(f"the verdict {path} contradicts itself")
    return verdict


def demand_quantities(words: Iterable[str]) -> tuple[str, ...]:
    """The quantities in words, `SI,SD-p` being two. Raises UsageError for what no curve limits."""
    from recast_dm.curves.curve import QUANTITIES

    wanted = tuple(part for word in words for part in word.split(",") if part)
    for name in wanted:
        if name not in QUANTITIES:
            raise UsageError(f"no curve limits {name!r}", hint=f"a curve limits one of {', '.join(QUANTITIES)}")
    return wanted


def _row(each: Comparison) -> tuple[str, ...]:
    what = f"{each.quantity} {each.channel or ''}".strip()
    word = "excluded" if each.excluded else "not excluded"
    numbers = [f"{number or 0:.3g}" for number in (each.model, each.limit, each.ratio)]
    source = f"{each.citation['text']}{', digitised' if each.digitised else ''}"
    said = word if each.used else f"({word})"
    return each.curve, f"{what}, {each.unit}", *numbers, said, _percent(each.confidence_level), source


def _percent(level: float) -> str:
    return f"{100 * level:g} %"
