"""K-factors: by how much higher orders change a leading-order cross-section. A named choice, never a silent one.

`drell-yan` is a formula for q q-bar -> spin-1 mediator: the part of the first-order correction that has the kinematics
of the leading order (virtual and soft gluons, in the DIS scheme of Altarelli, Ellis and Martinelli, Nucl. Phys. B157
(1979) 461):

    K = 1 + alpha_s(Q^2)/(2 pi) * C_F * (1 + 4 pi^2/3),    C_F = 4/3

At m_Z it is 1.355; for m_med = 1 TeV 1.266, for 2 TeV 1.248. Left out are hard gluons, quark-gluon scattering and what
parton densities of that order change, so it is an estimate.

The other choice is a user's table, linear in m_med between its rows and silent outside of them:

    source: my NLO run, PDF X                m_med,K
    model: spin1-axial   # or leave it out   500,1.28
    table:                                   1000,1.25
      - {m_med: 500, K: 1.28}
      - {m_med: 1000, K: 1.25}
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recast_dm.errors import Location, SpecError, UsageError
from recast_dm.signals.alphas import alpha_s
from recast_dm.signals.found import find as find_model
from recast_dm.signals.found import resolved
from recast_dm.signals.point import Point

if TYPE_CHECKING:
    from recast_dm.spec.text import Node

DRELL_YAN = "drell-yan"
DRELL_YAN_MODELS = ("spin1-axial", "spin1-vector")
SOURCE = "1 + alpha_s(m_med)/(2 pi) 4/3 (1 + 4 pi^2/3): soft and virtual gluons, Nucl. Phys. B157 (1979) 461"
"""Where `drell-yan` comes from."""


class KFactor(Protocol):
    """A choice of K-factor: what it is called, where it comes from, and its value at a point."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    def at(self, point: Point) -> float | None:
        """K, or None where the choice says nothing about the point."""
        ...


def drell_yan(scale: float) -> float:
    """NLO/LO of Drell-Yan at a scale in GeV.

    >>> round(drell_yan(91.1876), 3), round(drell_yan(1000.0), 3)
    (1.355, 1.266)
    """
    return 1 + alpha_s(scale) / (2 * pi) * 4 / 3 * (1 + 4 * pi * pi / 3)


@dataclass(frozen=True, slots=True)
class DrellYan:
    """The formula, for the spin-1 models.

    >>> from recast_dm.signals import find
    >>> model = find("spin1-axial")
    >>> round(DrellYan().at(model.point({"m_med": 2000, "m_dm": 1})), 3)
    1.248
    """

    name: str = DRELL_YAN
    source: str = SOURCE

    def at(self, point: Point) -> float | None:
        _, base = resolved(find_model(point.model), point)
        return drell_yan(base["m_med"]) if base.model in DRELL_YAN_MODELS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A user's K-factors: (m_med in GeV, K), masses rising. Of one model, or of every one with a mediator.

    >>> table = Table(name="mine", source="me", rows=((500.0, 1.3), (1000.0, 1.2)))
    >>> table.at(Point("spin1-axial", (("m_med", 750.0),))), table.at(Point("spin1-axial", (("m_med", 1200.0),)))
    (1.25, None)
    """

    name: str
    source: str
    rows: tuple[tuple[float, float], ...]
    model: str | None = None

    def at(self, point: Point) -> float | None:
        if self.model not in (None, point.model):
            return None
        _, base = resolved(find_model(point.model), point)
        mass = base.parameters().get("m_med")
        if mass is None:
            return None
        for (low, below), (high, above) in pairwise(self.rows):
            if low <= mass <= high:
                return below + (above - below) * (mass - low) / (high - low)
        return dict(self.rows).get(mass)


def find(word: str) -> KFactor:
    """The K-factor of a name (`drell-yan`) or of a table in a .csv, .yml or .yaml file. Raises UsageError, SpecError.

    >>> find("drell-yan").name
    'drell-yan'
    """
    if word == DRELL_YAN:
        return DrellYan()
    path = Path(word)
    if path.suffix not in (".csv", ".yml", ".yaml"):
        raise UsageError(
            f"there is no K-factor {word!r}", hint=f"{DRELL_YAN}, or a table: a file .csv or .yml with m_med and K"
        )
    return read(path)


def read(path: Path) -> Table:
    """The table in a file. Raises SpecError with the line of what is wrong."""
    from recast_dm.spec import text  # yaml, only where a table is read

    said: dict[str, str] = {}
    if path.suffix == ".csv":
        rows = tuple(_csv_rows(path))
    else:
        root = text.read(path)
        said, rows = _yaml_table(root)
    if not rows:
        raise SpecError(f"{path} has no rows", hint="each row has m_med and K")
    for (_, first), (where, second) in pairwise(rows):
        if second[0] <= first[0]:
            raise SpecError(f"m_med = {second[0]:g} does not rise", where=where, hint="sort the rows by m_med")
    for where, (mass, factor) in rows:
        if not (math.isfinite(mass) and math.isfinite(factor) and mass > 0 and factor > 0):
            raise SpecError("m_med and K are positive numbers", where=where)
    return Table(
        name=path.stem, source=said.get("source", path.name), rows=tuple(r for _, r in rows), model=said.get("model")
    )


def _csv_rows(path: Path) -> Iterator[tuple[Location, tuple[float, float]]]:
    """Lines of two numbers below the head `m_med,K`; `#` begins a remark."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read {path}: {error}") from None
    head_seen = False
    for number, line in enumerate(lines, start=1):
        words = [word.strip() for word in line.partition("#")[0].split(",")]
        if words == [""]:
            continue
        where = Location(str(path), number)
        if not head_seen:
            if words != ["m_med", "K"]:
                raise SpecError("the first line must be m_med,K", where=where)
            head_seen = True
            continue
        try:
            mass, factor = map(float, words)
        except ValueError:
            raise SpecError("a row is two numbers, m_med,K", where=where) from None
        yield where, (mass, factor)


def _yaml_table(root: Node) -> tuple[dict[str, str], tuple[tuple[Location, tuple[float, float]], ...]]:
    from recast_dm.spec import shape

    shape.only(root, ("source", "model", "table"), "a table of K-factors")
    entries = shape.mapping(root, "a table of K-factors")
    said = {key: shape.text(entries[key], key) for key in ("source", "model") if key in entries}
    rows = []
    for row in shape.sequence(shape.need(root, "table", "a table of K-factors"), "table"):
        shape.only(row, ("m_med", "K"), "a row")
        mass, factor = (shape.need(row, key, "a row").value for key in ("m_med", "K"))
        rows.append((row.where, (_number(mass, row), _number(factor, row))))
    return said, tuple(rows)


def _number(value: object, row: Node) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError("m_med and K are numbers", where=row.where)
    return float(value)
