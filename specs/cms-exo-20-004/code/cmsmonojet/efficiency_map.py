"""Efficiencies between the mass points at which they were published, with an error, or the reason why there are none.

A map lists points (m_med, m_dm) and, for each, what part of all produced events ends in each of the 66 bins. Points of
one m_med are a column; a column reaches from its lightest to its heaviest m_dm, and the map covers the polygon that
joins the ends of neighbouring columns. In between, the total efficiency is interpolated in its logarithm and the shape
(shares of the bins) linearly, first within the two neighbouring columns and then between them, in

    x = m_dm / (m_med / 2), what of the mediator's mass the pair takes, and log m_med.

These are what the recoil knows: the spectrum of a narrow mediator depends on its mass, and on m_dm through the part of
the resonance that lies above 2 m_dm. A published point gives its own efficiencies back. Nothing is extrapolated.

The error is leave-one-out: each published point is predicted from the others by the same interpolation, twice as far
away as any later question. The root mean square of these misses in the two columns beside a question, the near ones in
x counting most, is its error. It holds the statistical error of the map's own simulation too, which is not published.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from monojet.errors import InputError

from cmsmonojet.search import NAMES

Array = npt.NDArray[np.float64]
TOLERANCE = 2e-3
"""How far from the polygon, in parts of m_med, a question counts as one at its edge: 1 GeV of m_dm is no kinematics."""
MASSLESS_GEV = 1.0
"""The lightest m_dm of a column; below it nothing changes (the threshold 2 m_dm is below 4 % of the lightest m_med)."""

NEAR = 0.15
"""How far in x a missed prediction says something about a question: the width of a Gaussian."""


class NotCovered(Exception):
    """The map has no efficiencies for this point; the text says why, to a person."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The points of one m_med: `m_dm` in ascending order, `efficiency` with one row each."""

    m_med: float
    m_dm: Array
    efficiency: Array

    def at(self, x: float) -> tuple[float, Array]:
        """Log of the total efficiency, and the shape, at x = 2 m_dm / m_med; beyond its ends those of the end."""
        nodes = 2 * self.m_dm / self.m_med
        total = self.efficiency.sum(axis=1)
        weight = np.array([np.interp(x, nodes, unit) for unit in np.eye(len(nodes))])
        return float(weight @ np.log(total)), weight @ (self.efficiency / total[:, None])

    def without(self, row: int) -> Column:
        """The column without one of its points."""
        return Column(
            m_med=self.m_med, m_dm=np.delete(self.m_dm, row), efficiency=np.delete(self.efficiency, row, axis=0)
        )


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """Efficiencies of the bins (66,), and the relative error that interpolation gives to all of them together."""

    bins: Array
    error: float

    @property
    def total(self) -> float:
        return float(self.bins.sum())


@dataclass(frozen=True)
class EfficiencyMap:
    """The columns of a map, in ascending order of m_med; `name` says which map it is."""

    name: str
    columns: tuple[Column, ...]
    _misses: dict[int, Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.columns) < 2:
            raise InputError(f"{self.name} has fewer than two mediator masses: nothing lies in between")

    def at(self, m_med: float, m_dm: float) -> Efficiency:
        """The efficiencies of a point. Raises NotCovered with the reason."""
        low, high, m_dm = self._place(m_med, m_dm)
        bins = _between(self.columns[low], self.columns[high], m_med, m_dm)
        misses = np.vstack([self.misses(low), self.misses(high)])
        return Efficiency(bins=bins, error=_spread(misses, 2 * m_dm / m_med))

    def _place(self, m_med: float, m_dm: float) -> tuple[int, int, float]:
        """The columns on both sides, and m_dm where it is looked up."""
        masses = [column.m_med for column in self.columns]
        if not masses[0] * (1 - TOLERANCE) <= m_med <= masses[-1] * (1 + TOLERANCE):
            raise NotCovered(
                f"m_med = {m_med:g} GeV lies outside of the {self.name}, which reaches from {masses[0]:g} to"
                f" {masses[-1]:g} GeV"
            )
        high = min(max(int(np.searchsorted(masses, m_med)), 1), len(masses) - 1)
        low = high - 1
        looked_up = max(m_dm, MASSLESS_GEV)
        lightest, heaviest = (
            float(np.interp(m_med, masses[low : high + 1], [self.columns[i].m_dm[end] for i in (low, high)]))
            for end in (0, -1)
        )
        if not lightest - TOLERANCE * m_med <= looked_up <= heaviest + TOLERANCE * m_med:
            off_shell = " (off-shell: 2 m_dm > m_med)" if 2 * m_dm > m_med else ""
            raise NotCovered(
                f"m_dm = {m_dm:g} GeV lies outside of the {self.name}, which reaches from {lightest:g} to"
                f" {heaviest:g} GeV at m_med = {m_med:g} GeV{off_shell}"
            )
        return low, high, min(max(looked_up, lightest), heaviest)

    def misses(self, index: int) -> Array:
        """Of the points of a column, each left out: x, and the log of predicted over published total efficiency.

        A point inside its column is predicted along it, and each also across it, from the columns on both sides.
        """
        if index not in self._misses:
            self._misses[index] = self._left_out(index)
        return self._misses[index]

    def _left_out(self, index: int) -> Array:
        column = self.columns[index]
        log_total = np.log(column.efficiency.sum(axis=1))
        found = []
        for row, m_dm in enumerate(column.m_dm):
            x = 2 * m_dm / column.m_med
            if 0 < row < len(column.m_dm) - 1:
                found.append((x, column.without(row).at(x)[0] - log_total[row]))
            if 0 < index < len(self.columns) - 1:
                low, high = self.columns[index - 1], self.columns[index + 1]
                across = float(np.log(_between(low, high, column.m_med, m_dm, x).sum()))
                found.append((x, across - log_total[row]))
        return np.array(found).reshape(-1, 2)


def _between(low: Column, high: Column, m_med: float, m_dm: float, x: float | None = None) -> Array:
    """Efficiencies between two columns; exactly those of a column at its own m_med."""
    x = 2 * m_dm / m_med if x is None else x
    weight = math.log(m_med / low.m_med) / math.log(high.m_med / low.m_med)
    weight = min(max(weight, 0.0), 1.0)
    (log_low, shape_low), (log_high, shape_high) = low.at(x), high.at(x)
    total = math.exp((1 - weight) * log_low + weight * log_high)
    return total * ((1 - weight) * shape_low + weight * shape_high)


def _spread(misses: Array, x: float) -> float:
    """The root mean square of misses, each counting by how near its x is."""
    if len(misses) == 0:
        return math.inf
    squares = ((misses[:, 0] - x) / NEAR) ** 2 / 2
    weight = np.exp(squares.min() - squares)
    return float(np.sqrt(weight @ misses[:, 1] ** 2 / weight.sum()))


def read(path: Path, name: str) -> EfficiencyMap:
    """The map in a CSV file: `mMed`, `mDM`, then one column a bin.

    A row with an empty cell is left out: empty is not zero. Raises InputError for a file that is no map.
    """
    try:
        return _parsed(path.read_text(encoding="utf-8"), name)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error!r}") from error


@lru_cache(maxsize=4)  # a batch asks for many points of one map
def _parsed(text: str, name: str) -> EfficiencyMap:
    points: dict[float, dict[float, list[float]]] = {}
    header, *rows = csv.reader(text.splitlines())
    if tuple(header) != ("mMed", "mDM", *NAMES):
        raise InputError(f"the {name} has not the columns mMed, mDM and the {len(NAMES)} bins in their order")
    for row in rows:
        if len(row) == len(header) and "" not in row:
            m_med, m_dm, *bins = (float(cell) for cell in row)
            points.setdefault(m_med, {})[m_dm] = bins
    return EfficiencyMap(name, tuple(_column(m_med, points[m_med]) for m_med in sorted(points)))


def _column(m_med: float, points: Mapping[float, list[float]]) -> Column:
    m_dm = sorted(points)
    efficiency = np.array([points[m] for m in m_dm])
    if not (np.isfinite(efficiency).all() and (efficiency >= 0).all() and (efficiency.sum(axis=1) > 0).all()):
        raise InputError(f"the efficiencies at m_med = {m_med:g} GeV are not all finite, positive numbers")
    return Column(m_med=m_med, m_dm=np.array(m_dm), efficiency=efficiency)
