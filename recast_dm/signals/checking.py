"""Trying a model out: what can be checked of it without a generator, at its benchmarks and across its ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

from recast_dm import schemas
from recast_dm.errors import RecastError
from recast_dm.signals.model import Finding, SignalModel
from recast_dm.signals.point import Point
from recast_dm.signals.record import Parameter, SignalRecord

WORD = re.compile(r"[A-Za-z0-9_./:,+@%-]+=[A-Za-z0-9_./:,+@%-]+")
"""What an analysis takes as a word for Pythia."""

CLOSED = 1e-9
"""Widths that are smaller than this share of the mediator's mass count as none."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was asked of a model. `where` is the point, or the record."""

    name: str
    where: str
    ok: bool
    text: str

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "where": self.where, "ok": self.ok, "text": self.text}


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was asked, and what the model says of its validity at the same points."""

    checks: tuple[Check, ...]
    findings: tuple[tuple[str, Finding], ...]

    @property
    def ok(self) -> bool:
        """Whether the model can be used. Findings warn, and do not count."""
        return all(check.ok for check in self.checks)


def check(model: SignalModel) -> Checked:
    """Tries a model out.

    >>> from recast_dm.signals import find
    >>> checked = check(find("spin1-axial"))
    >>> checked.ok, sorted({each.name for each in checked.checks})
    (True, ['feeds', 'planes', 'point', 'ranges', 'record', 'round-trip', 'widths', 'words'])
    """
    checks = list(_of_record(model.record))
    findings: list[tuple[str, Finding]] = []
    for label, values in _points(model.record):
        try:
            point = model.point(values)
        except RecastError as error:
            checks.append(Check("point", label, False, error.message))
            continue
        checks.append(Check("point", label, True, str(point)))
        checks += _of_point(model, label, point)
        findings += [(label, finding) for finding in model.validity(point)]
    return Checked(tuple(checks), tuple(findings))


def _of_record(record: SignalRecord) -> Iterator[Check]:
    problem = schemas.problem("signal-model-1", record.document())
    yield Check("record", "record", problem is None, problem[1] if problem else "is a recast-dm/signal-model/1")
    for parameter in record.parameters:
        text = _range_problem(parameter)
        yield Check("ranges", "record", not text, text or f"{parameter.name}: {parameter.range}")


def _range_problem(parameter: Parameter) -> str:
    low, high, default = parameter.lower.value, parameter.upper.value, parameter.default
    if not (isfinite(low) and isfinite(high) and low < high):
        return f"{parameter.name}: {low:g} is not below {high:g}"
    if default is not None and not low <= default <= high:
        return f"{parameter.name}: the default {default:g} is out of {parameter.range}"
    return ""


def _points(record: SignalRecord) -> Iterator[tuple[str, Mapping[str, float]]]:
    """A point in the middle of the ranges, and one for each benchmark."""
    middle = {parameter.name: _middle(parameter) for parameter in record.parameters if parameter.required}
    yield "middle", middle
    for benchmark in record.benchmarks:
        yield benchmark.name, {**middle, **dict(benchmark.values)}


def _middle(parameter: Parameter) -> float:
    """The geometric middle where a range has one."""
    if parameter.choices:
        return parameter.choices[0]
    low, high = parameter.lower.value, parameter.upper.value
    middle = sqrt(low * high) if low > 0 else (low + high) / 2
    return float(round(middle)) if parameter.kind == "integer" else middle


def _of_point(model: SignalModel, label: str, point: Point) -> Iterator[Check]:
    again = model.point({name: repr(value) for name, value in point.values})
    yield Check("round-trip", label, again == point, "the point reads back from its text")
    try:
        feeds = model.feeds(point)
    except RecastError as error:
        yield Check("feeds", label, False, error.message)
        return
    try:
        same = json.loads(json.dumps(feeds, allow_nan=False)) == feeds
    except (TypeError, ValueError):
        same = False
    yield Check("feeds", label, same, f"feeds {', '.join(sorted(feeds))}" if same else "what it feeds is not JSON")
    yield from _of_widths(model, label, point, feeds)
    if "pythia8" in feeds:
        yield from _of_words(label, feeds["pythia8"])
    if "planes" in feeds:
        yield _of_planes(label, feeds["planes"])


def _of_widths(model: SignalModel, label: str, point: Point, feeds: Mapping[str, Any]) -> Iterator[Check]:
    widths = model.widths(point)
    if widths is None:
        yield Check("widths", label, True, "no mediator's width")
        return
    good = widths.total > 0 and all(width.gev >= 0 for width in widths.partial)
    yield Check("widths", label, good, f"{widths.total:.4g} GeV in all")
    expected = feeds.get("pythia8", {}).get("expected_width_gev", 0.0)
    if expected:
        close = abs(expected / widths.total - 1) < CLOSED
        yield Check("widths", label, close, f"Pythia is to find {expected:.4g} GeV")


def _of_words(label: str, pythia8: Mapping[str, Any]) -> Iterator[Check]:
    words = pythia8["settings"]
    wrong = [word for word in words if not WORD.fullmatch(word)]
    keys = [word.partition("=")[0].lower() for word in words]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    yield Check(
        "words", label, not wrong, f"{wrong[0]!r} is no key=value" if wrong else f"{len(words)} words for Pythia"
    )
    if twice:
        yield Check("words", label, False, f"{twice[0]} is set twice")
    if not pythia8["cross_section_factor"] > 0:
        yield Check("words", label, False, "the cross-section's factor is not positive")


def _of_planes(label: str, planes: Mapping[str, Any]) -> Check:
    there = [name for name in ("SI", "SD-p", "SD-n", "sigmav") if planes[name] is not None]
    numbers = [planes[name] for name in there if name != "sigmav"] + list((planes["sigmav"] or {}).values())
    good = all(isfinite(number) and number >= 0 for number in numbers)
    return Check("planes", label, good, f"in the planes {', '.join(there)}" if there else "in no plane")
