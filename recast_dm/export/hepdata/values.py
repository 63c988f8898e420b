"""A table of HEPData as a value: columns with units, errors and qualifiers. What writes it is in `submission`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Cell: TypeAlias = float | str
"""A number, or a word; a number that is not there is `-`, as in HEPData's own tables, never 0."""
MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """An uncertainty of each value of a column, in its units: symmetric, or (minus, plus) with minus negative."""

    label: str
    values: Sequence[float | tuple[float, float]]
    symmetric: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A variable and its values. `qualifiers` (name to value and unit) say what the numbers hold for."""

    name: str
    values: Sequence[Cell]
    units: str = ""
    errors: tuple[Error, ...] = ()
    qualifiers: Mapping[str, tuple[Cell, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Independent columns (where) and dependent ones (what); all of them have the same length.

    `picture` names the figure that shows the table, where there is one. `observables` are HEPData's keywords.
    """

    name: str
    description: str
    independent: tuple[Column, ...]
    dependent: tuple[Column, ...]
    observables: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(column.values) for column in (*self.independent, *self.dependent)}
        assert len(lengths) == 1, f"{self.name}: columns of {lengths} values"  # noqa: S101  # ours alone make tables


def cell(value: float | None) -> Cell:
    """A number, or the sign for one that is missing."""
    return MISSING if value is None else value
