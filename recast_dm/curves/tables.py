"""Tables in text, however they are separated, and HEPData's own: columns that know where each number was written."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recast_dm.curves import units
from recast_dm.errors import Location, UsageError

if TYPE_CHECKING:
    from recast_dm.spec.text import Node

LARGEST = 4 * 1024 * 1024
"""Bytes: a curve has some hundred lines."""
_ERROR = re.compile(r".*\s[+-]|.*\b(LOW|HIGH)", re.DOTALL)
"""Heads of the columns in which HEPData writes errors and the edges of bins."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number and its place."""

    value: float
    where: Location


@dataclass(frozen=True, slots=True)
class Series:
    """Masses, and one column of numbers by them. Units as written, None where none is."""

    name: str
    mass_unit: str | None
    unit: str | None
    masses: tuple[Number, ...]
    values: tuple[Number, ...]


def in_text(path: Path) -> list[Series]:
    """The series of a CSV, blank- or tab-separated file: the mass stands first.

    `#` begins a comment, a line of words is a head, and after a blank line another table with a head may follow.
    """
    found: list[Series] = []
    for block in _blocks(path):
        found += _series(block)
    if not found:
        raise UsageError("there are no numbers", where=Location(str(path), 1), hint="write lines of mass and limit")
    return found


Line = tuple[Location, list[str]]


def _blocks(path: Path) -> Iterator[list[Line]]:
    block: list[Line] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        cells = _cells(line)
        if block and cells and not _numeric(cells[0]):  # a head begins a table
            yield block
            block = []
        if cells:
            block.append((Location(str(path), number), cells))
    if block:
        yield block


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST} bytes", hint="a curve has some hundred lines")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from None


def _cells(line: str) -> list[str]:
    line = line.split("#", 1)[0].strip() if not line.lstrip().startswith('"') else line.strip()
    if not line:
        return []
    separator = next((each for each in ",;\t" if each in line), None)
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _series(block: list[Line]) -> list[Series]:
    where, head = block[0]
    rows = block
    if not _numeric(head[0]):
        rows = block[1:]
    else:
        head = ["mass", *(f"{n}" for n in range(1, len(head)))]
    for place, cells in rows:
        if len(cells) != len(head):
            raise UsageError(f"{len(cells)} columns, where {len(head)} are expected", where=place)
    if not rows or len(head) < 2:
        raise UsageError("a table needs masses and limits", where=where, hint="the first column holds the masses")
    _, mass_unit = units.in_head(head[0])
    return [
        _column(title, mass_unit, n, rows) for n, title in enumerate(head) if n and not _ERROR.fullmatch(title.upper())
    ]


def _column(title: str, mass_unit: str | None, n: int, rows: list[Line]) -> Series:
    name, unit = units.in_head(title)
    held = [(place, cells) for place, cells in rows if cells[n] not in ("", "-")]
    return Series(
        name,
        mass_unit,
        unit,
        tuple(_read(cells[0], place, 1) for place, cells in held),
        tuple(_read(cells[n], place, n + 1) for place, cells in held),
    )


def _read(cell: str, where: Location, n: int) -> Number:
    try:
        return Number(float(cell), where)
    except ValueError:
        raise UsageError(f"{cell!r} in column {n} is not a number", where=where) from None


def in_hepdata(table: Node) -> list[Series]:
    """The series of a HEPData table in YAML: its first independent variable is the mass."""
    independent, dependent = (table.at((f"{kind}_variables",)) for kind in ("independent", "dependent"))
    if not (isinstance(independent.value, tuple) and independent.value and isinstance(dependent.value, tuple)):
        raise UsageError("a HEPData table has independent_variables and dependent_variables", where=table.where)
    _, mass_unit, masses = _variable(independent.value[0])
    found = []
    for variable in dependent.value:
        name, unit, values = _variable(variable)
        if len(values) != len(masses):
            raise UsageError(f"{len(values)} values for {len(masses)} masses", where=variable.where)
        pairs = [pair for pair in zip(masses, values, strict=True) if not math.isnan(pair[1].value)]
        found.append(Series(name, mass_unit, unit, tuple(m for m, _ in pairs), tuple(v for _, v in pairs)))
    return found


def _variable(node: Node) -> tuple[str, str | None, list[Number]]:
    header = node.at(("header",)).plain() if isinstance(node.value, Mapping) and "header" in node.value else {}
    if not isinstance(header, Mapping):
        raise UsageError("the header of a variable is a mapping", where=node.where)
    values = node.at(("values",)).value
    if not isinstance(values, tuple):
        raise UsageError("a variable has a list of values", where=node.where)
    unit = header.get("units")
    return str(header.get("name", "")), str(unit) if unit else None, list(_values(values))


def _values(nodes: Iterable[Node]) -> Iterator[Number]:
    """The numbers of a HEPData variable; the middle of a bin; NaN where there is none."""
    for node in nodes:
        said = node.plain()
        if isinstance(said, Mapping) and "value" not in said and {"low", "high"} <= set(said):
            yield Number((_float(said["low"], node) + _float(said["high"], node)) / 2, node.where)
            continue
        value = said.get("value") if isinstance(said, Mapping) else said
        yield Number(math.nan if value in ("-", "", None) else _float(value, node), node.where)


def number(node: Node) -> float:
    """A number. Raises UsageError with its place for what is none."""
    return _float(node.plain(), node)


def _float(value: object, node: Node) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number is refused
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is not a number", where=node.where) from None
