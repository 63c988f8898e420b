"""What a scan would take, from a few of its points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from recast_dm.engine.rundir import Record
from recast_dm.reinterpret.apart import STAGE
from recast_dm.reinterpret.grid import Grid

SAMPLE = 3
"""Points that are run for a forecast: the first, one in the middle, the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Seconds in containers: `once` for what all points share, `each` for a point; on `jobs` processors at once."""

    points: int
    tried: int
    once: float
    each: float
    jobs: int

    @property
    def cpu_hours(self) -> float:
        return (self.once + self.points * self.each) / 3600

    @property
    def wall_hours(self) -> float:
        return (self.once + self.points * self.each / self.jobs) / 3600

    def document(self) -> dict[str, Any]:
        return {
            "schema": "recast-dm/forecast/1",
            "points": self.points,
            "tried": self.tried,
            "seconds_once": self.once,
            "seconds_each_point": self.each,
            "jobs": self.jobs,
            "cpu_hours": self.cpu_hours,
            "wall_hours": self.wall_hours,
        }


def sample(grid: Grid) -> Grid:
    """A few points of a grid: its ends and its middle, where what a point takes is likely to differ."""
    last = len(grid.points) - 1
    chosen = sorted({0, last // 2, last} if last >= SAMPLE else range(last + 1))
    return replace(grid, points=tuple(grid.points[n] for n in chosen), refused=())


def forecast(grid: Grid, tried: int, records: Iterable[Record], jobs: int) -> Forecast:
    """The forecast for a grid from the records of a scan over `tried` of its points.

    Times are those of the starts that made the outputs, also where they were found in the cache.
    """
    times: dict[str, tuple[float, set[str]]] = {}
    for record in records:
        way = str(record.step).split("/")
        if way[0] == STAGE:
            seconds, points = times.get(record.key, (0.0, set()))
            times[record.key] = (max(seconds, float(record.execution.get("seconds", 0.0))), points | {way[1]})
    shared = sum(seconds for seconds, points in times.values() if len(points) == tried > 1)
    own = sum(seconds for seconds, points in times.values() if not len(points) == tried > 1)
    return Forecast(points=len(grid.points), tried=tried, once=shared, each=own / tried, jobs=jobs)
