"""Which points a scan visits: axes, a list from a file, and what is the same everywhere."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recast_dm import signals
from recast_dm.errors import SpecError, UsageError

MOST = 100_000
"""Points of one scan. More is a mistyped step: at one second a point it would take a day."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A point that the model does not have, and why."""

    parameters: Mapping[str, float]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The points of a scan, each once, in the order in which they were asked for; the last axis runs fastest.

    `axes` are the parameters that vary, with their values in rising order; `fixed` the others, defaults included.
    `refused` are points that lie on the grid and that the model does not have.
    """

    model: str
    axes: Mapping[str, tuple[float, ...]]
    fixed: Mapping[str, float]
    points: tuple[signals.Point, ...]
    refused: tuple[Refused, ...] = ()


def axis(word: str) -> tuple[str, tuple[float, ...]]:
    """The values of one `--grid`: `NAME=FIRST:LAST:STEP`, ends included, or `NAME=A,B,C`. Raises UsageError.

    >>> axis("m_med=500:1500:500")
    ('m_med', (500.0, 1000.0, 1500.0))
    >>> axis("m_dm=1,10,300")
    ('m_dm', (1.0, 10.0, 300.0))
    """
    name, equals, said = word.partition("=")
    hint = "write --grid m_med=500:3000:250 (first, last, step) or --grid m_dm=1,10,100"
    if not equals or not name.strip() or not said.strip():
        raise UsageError(f"--grid {word!r} is not NAME=FIRST:LAST:STEP", hint=hint)
    try:
        if ":" not in said:
            values = [float(each) for each in said.split(",")]
        else:
            first, last, step = (float(each) for each in said.split(":"))
            values = _stepped(first, last, step)
    except (ValueError, OverflowError):
        raise UsageError(f"--grid {word!r} does not say its values", hint=hint) from None
    if not all(map(math.isfinite, values)):
        raise UsageError(f"--grid {word!r} has a value that is not finite", hint=hint)
    return name.strip(), tuple(sorted(set(values)))


def _stepped(first: float, last: float, step: float) -> list[float]:
    """From first to last, both included where the step meets the last; decimal steps stay decimal."""
    if not step > 0 or last < first or not math.isfinite((last - first) / step):
        raise ValueError
    count = int((last - first) / step + 1e-9) + 1
    if count > MOST:
        raise ValueError
    return [round(first + n * step, 10) for n in range(count)]


def of_axes(model: str, axes: Iterable[str], settings: Mapping[str, object]) -> Grid:
    """The grid of some `--grid` words, with `--set` for what does not vary. Raises UsageError."""
    varied: dict[str, tuple[float, ...]] = {}
    for name, values in map(axis, axes):
        if name in varied or name in settings:
            raise UsageError(f"{name} is given twice", hint="one --grid or one --set for each parameter")
        varied[name] = values
    if not varied:
        raise UsageError("a scan needs an axis", hint="write --grid m_med=500:3000:250, or --points FILE")
    count = math.prod(len(values) for values in varied.values())
    if count > MOST:
        raise UsageError(f"the grid has {count} points", hint=f"take larger steps: at most {MOST}")
    rows = [dict(zip(varied, values, strict=True)) for values in itertools.product(*varied.values())]
    return of_rows(model, [{**settings, **row} for row in rows], tuple(varied))


def of_file(model: str, path: Path, settings: Mapping[str, object]) -> Grid:
    """The points in a CSV file whose first line names the parameters. Raises SpecError with file:line."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [
                (number, row) for number, row in enumerate(csv.reader(file), 1) if row and not row[0].startswith("#")
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="--points takes a CSV file") from None
    if len(lines) < 2:
        raise UsageError(f"{path} holds no points", hint="its first line names the parameters: m_med,m_dm")
    from recast_dm.errors import Location

    names = [each.strip() for each in lines[0][1]]
    rows: list[dict[str, object]] = []
    for number, cells in lines[1:]:
        if len(cells) != len(names):
            raise SpecError(f"{len(cells)} values for {len(names)} parameters", where=Location(str(path), number))
        rows.append({**settings, **dict(zip(names, (cell.strip() for cell in cells), strict=True))})
    if len(rows) > MOST:
        raise UsageError(f"{path} holds {len(rows)} points", hint=f"at most {MOST} at a time")
    return of_rows(model, rows, tuple(names))


def of_rows(model: str, rows: Sequence[Mapping[str, object]], varied: tuple[str, ...]) -> Grid:
    """The grid of some points, named by their parameters. A name that no point can have is a UsageError.

    >>> grid = of_rows("spin1-axial", [{"m_med": 1000, "m_dm": 1}, {"m_med": 1000, "m_dm": 500}], ("m_med", "m_dm"))
    >>> len(grid.points), grid.axes["m_dm"], grid.fixed["g_q"]
    (2, (1.0, 500.0), 0.25)
    """
    found = signals.find(model)
    points: dict[signals.Point, None] = {}
    refused: list[Refused] = []
    for row in rows:
        try:
            points.setdefault(found.point(row))
        except UsageError as error:
            if not _plausible(found, row):
                raise
            refused.append(Refused(_numbers(row), error.message))
    if not points:
        raise UsageError(f"{model} has none of these points: {refused[0].reason}", hint="choose other values")
    known = [*(point.parameters() for point in points), *(each.parameters for each in refused)]
    axes = {name: tuple(sorted({float(each[name]) for each in known})) for name in varied}
    first = next(iter(points)).parameters()
    fixed = {name: value for name, value in first.items() if name not in axes}
    return Grid(model=model, axes=axes, fixed=fixed, points=tuple(points), refused=tuple(refused))


def _plausible(model: signals.SignalModel, row: Mapping[str, object]) -> bool:
    """Whether a refused row is a matter of physics: every name is known and every value a number in its range."""
    names = {parameter.name for parameter in model.record.parameters}
    needed = {parameter.name for parameter in model.record.parameters if parameter.required}
    if not (set(row) <= names and needed <= set(row)):
        return False
    try:
        numbers = _numbers(row)
    except (TypeError, ValueError):
        return False
    bounds = {parameter.name: (parameter.lower.value, parameter.upper.value) for parameter in model.record.parameters}
    return all(bounds[name][0] <= value <= bounds[name][1] for name, value in numbers.items())


def _numbers(row: Mapping[str, object]) -> dict[str, float]:
    return {name: float(str(value)) for name, value in row.items()}
