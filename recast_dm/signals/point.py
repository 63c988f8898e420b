"""A point: one value for each parameter of a signal model, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from recast_dm.errors import UsageError
from recast_dm.signals.record import Parameter, SignalRecord
from recast_dm.signals.text import close_to, quantity

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the named model. Values stand in the order of the record's parameters, defaults filled in.

    Reals are floats, integers are ints, so that equal points are equal values and give the same words.

    >>> point = Point("spin1-axial", (("m_med", 2000.0), ("m_dm", 1.0)))
    >>> point["m_med"]
    2000.0
    >>> str(point)
    'spin1-axial m_med=2000 m_dm=1'
    """

    model: str
    values: tuple[tuple[str, int | float], ...]

    def __getitem__(self, name: str) -> int | float:
        for known, value in self.values:
            if known == name:
                return value
        raise KeyError(name)

    def __str__(self) -> str:
        return " ".join([self.model, *(f"{name}={quantity(value, '1')}" for name, value in self.values)])

    def parameters(self) -> dict[str, int | float]:
        """The values by name, as a new mapping."""
        return dict(self.values)


def checked(record: SignalRecord, values: Mapping[str, object]) -> Point:
    """The point that `values` (numbers, or text from the command line) describe.

    Raises UsageError for unknown, missing, malformed and out-of-range values, and for meaningless zeros.
    """
    known = tuple(parameter.name for parameter in record.parameters)
    for name in values:
        if name not in known:
            close = close_to(str(name), known)
            hint = f"did you mean {close!r}? " if close else ""
            raise UsageError(
                f"{record.name} has no parameter {_shown(name)}",
                hint=f"{hint}its parameters: {', '.join(known)}",
            )
    missing = [p for p in record.parameters if p.required and p.name not in values]
    if missing:
        wanted = " and ".join(f"{p.name} ({p.meaning}, {p.range})" for p in missing)
        raise UsageError(
            f"{record.name} needs {wanted}",
            hint="give " + " ".join(f"--set {p.name}=NUMBER" for p in missing),
        )
    given = ((p, values.get(p.name, p.default)) for p in record.parameters)
    return Point(record.name, tuple((p.name, _value(record, p, value)) for p, value in given))


def _value(record: SignalRecord, parameter: Parameter, given: object) -> int | float:
    allowed = f"{record.name} takes {parameter.range}"
    number = _number(parameter, given, allowed)
    shown = f"{parameter.name} = {quantity(number, parameter.unit)}"
    if parameter.nonzero and number == 0:
        raise UsageError(f"{parameter.name} = 0 is unphysical: {parameter.nonzero}; {allowed}", hint=parameter.meaning)
    if parameter.kind == "integer" and number != int(number):
        raise UsageError(f"{shown} is not an integer: {allowed}", hint=parameter.meaning)
    bound = parameter.lower if number < parameter.lower.value else parameter.upper
    if not parameter.lower.value <= number <= parameter.upper.value:
        end = quantity(bound.value, parameter.unit)
        raise UsageError(f"{shown} is out of range: {allowed}", hint=f"why {end}: {bound.why}")
    if parameter.choices and number not in parameter.choices:
        raise UsageError(f"{shown} is no choice: {allowed}", hint=parameter.meaning)
    return int(number) if parameter.kind == "integer" else number


def _number(parameter: Parameter, given: object, allowed: str) -> float:
    text = given.strip() if isinstance(given, str) else ""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if not (is_number or _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text)):
        hint = f"write the number alone, in {parameter.unit}" if parameter.unit != "1" else "write the number alone"
        raise UsageError(f"{parameter.name} = {_shown(given)} is not a number: {allowed}", hint=hint)
    try:
        number = float(given if is_number else text)  # type: ignore[arg-type]  # a Real has __float__
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"{parameter.name} = {_shown(given)} is not finite: {allowed}", hint=parameter.meaning)
    return number + 0.0  # -0.0 becomes 0.0: equal points give equal words


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 40 else f"{text[:36]}...{text[0]}" if text[0] in "'\"" else f"{text[:37]}..."
