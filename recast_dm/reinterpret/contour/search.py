"""The search: rounds of a few points, each a scan of its own, until the lines are known well enough."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from recast_dm import signals
from recast_dm.backends import Backend
from recast_dm.engine import events
from recast_dm.errors import UsageError
from recast_dm.model import Image
from recast_dm.reinterpret import uncertainties
from recast_dm.reinterpret.contour import choice, lines
from recast_dm.reinterpret.contour.surrogate import Plane, Surrogate, fit, places_of
from recast_dm.reinterpret.grid import Grid
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.points import Answer
from recast_dm.reinterpret.scan import Scan, scan
from recast_dm.reinterpret.subject import Subject
from recast_dm.statistics.limit import Limit

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
else:
    Array = Any

FIRST = 10
"""Points of the first round."""
ROUND = 4
"""Points of the others: a few share the start of their containers, and many would be chosen blindly."""
LEAST = 5
"""Limits without which nothing is believed."""
METHOD = "Gaussian process (Matern 5/2) on log mu_UL, branching-ratio trend and second-degree polynomial taken out"
Search: TypeAlias = Callable[[Grid, Path], Scan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """When a search ends: the lines are known to `uncertainty`, a part of their place, or the `budget` is spent."""

    budget: int = 60
    uncertainty: float = 0.005


@dataclass(slots=True)
class _State:
    """What has been tried so far."""

    grid: Grid
    answers: list[Answer] = field(default_factory=list)
    homes: list[Outputs | None] = field(default_factory=list)
    images: tuple[Image, ...] = ()
    tried: set[int] = field(default_factory=set)

    def take(self, numbers: Sequence[int], found: Scan) -> None:
        self.tried.update(numbers)
        self.answers += found.answers
        self.homes += found.homes
        self.images = found.images


def contour(
    subject: Subject,
    grid: Grid,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
    k_factor: Choice | None = None,
    target: Target | None = None,
) -> Scan:
    """The points that a search chose out of a grid of two axes, with the lines in `contour`.

    Each round lies below `directory/rounds`. The search is the same each time, so that a repeated one finds what an
    earlier one did. Raises UsageError for a grid that has not two axes.
    """

    def search(points: Grid, place: Path) -> Scan:
        return scan(subject, points, backend, place, observer, overrides, k_factor)

    plane = plane_of(grid)
    state = _State(grid)
    told = rounds(plane, state, directory / "rounds", search, target or Target(), observer)
    return Scan(
        subject=subject,
        grid=_visited(grid, state),
        directory=directory,
        answers=tuple(state.answers),
        homes=tuple(state.homes),
        overrides={**subject.overrides, **(overrides or {})},
        images=state.images,
        contour=told,
    )


def plane_of(grid: Grid) -> Plane:
    """The plane of a grid. Raises UsageError when it has not exactly two axes of at least three values."""
    if len(grid.axes) != 2 or min(map(len, grid.axes.values())) < 3:
        raise UsageError(
            "a contour needs a plane", hint="give two --grid with at least three values: the points to choose from"
        )
    first, second = grid.axes
    ends = [(values[0], values[-1]) for values in grid.axes.values()]
    return Plane(grid.model, (first, second), grid.fixed, (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1]))


def rounds(
    plane: Plane, state: _State, place: Path, search: Search, target: Target, observer: events.Observer
) -> Mapping[str, Any] | None:
    """Tries points until the target is met; gives the lines, or None where too few limits came out."""
    candidates = places_of([point.parameters() for point in state.grid.points], plane.axes)
    trend = _remembering(plane)
    numbers = choice.spread(plane, candidates, min(FIRST, target.budget))
    for count in itertools.count(1):
        points = tuple(state.grid.points[n] for n in numbers)
        state.take(numbers, search(replace(state.grid, points=points, refused=()), place / f"{count:03d}"))
        believed = _believed(plane, state, trend, STEERING)
        uncertainty = _uncertainty(plane, state, believed)
        numbers = _next(plane, state, candidates, believed, min(ROUND, target.budget - len(state.tried)))
        _tell(observer, state, uncertainty)
        if not numbers or (uncertainty is not None and uncertainty <= target.uncertainty):
            return _document(plane, state, _believed(plane, state, trend, tuple(_QUANTITIES)), uncertainty, target)
    raise AssertionError  # pragma: no cover  # the rounds end


def _next(plane: Plane, state: _State, candidates: Array, believed: Sequence[Surrogate], count: int) -> list[int]:
    import numpy as np

    if count <= 0:
        return []
    free = np.ones(len(candidates), dtype=bool)
    free[list(state.tried)] = False
    covered, uncovered = _split(plane, state)
    free &= choice.reachable(plane, candidates, covered, uncovered)
    if believed:
        return choice.next_points(believed, candidates, free, count)
    left = np.nonzero(free)[0]
    return [int(left[n]) for n in choice.spread(plane, candidates[left], count)] if len(left) else []


def _believed(
    plane: Plane, state: _State, trend: Callable[[Array], Array], quantities: Sequence[str]
) -> list[Surrogate]:
    """A surrogate of each quantity; none while there are too few limits."""
    import numpy as np

    done = [(each.point.parameters, each.limit) for each in state.answers if each.point and each.limit]
    if len(done) < LEAST:
        return []
    places = places_of([point for point, _ in done], plane.axes)
    errors = np.array([uncertainties.of_one_point(limit) for _, limit in done])
    return [
        fit(plane, places, np.log([_QUANTITIES[name](limit) for _, limit in done]), errors, trend)
        for name in quantities
    ]


def _expected(number: int) -> Callable[[Limit], float]:
    return lambda limit: limit.mu_upper_exp[number]


_QUANTITIES: Mapping[str, Callable[[Limit], float]] = {
    "observed": lambda limit: limit.mu_upper_obs,
    "expected": _expected(2),
    "expected_minus_1": _expected(1),
    "expected_plus_1": _expected(3),
}

STEERING = ("observed", "expected")
"""Whose lines the search is for; those of the others come out on the way."""


def _uncertainty(plane: Plane, state: _State, believed: Sequence[Surrogate]) -> float | None:
    """That of the observed and the expected line, whichever is larger."""
    found = [
        width
        for each in believed
        if (width := lines.relative_width(_mesh(plane, state, each, lines.COARSE), each)) is not None
    ]
    return max(found) if found else None


def _mesh(plane: Plane, state: _State, surrogate: Surrogate, nodes: int = lines.FINE) -> lines.Mesh:
    covered, uncovered = _split(plane, state)
    return lines.mesh(surrogate, partial(choice.reachable, plane, covered=covered, uncovered=uncovered), nodes)


def _split(plane: Plane, state: _State) -> tuple[Array, Array]:
    """Places with a limit, and places without."""
    with_limit = [each.point.parameters for each in state.answers if each.point and each.limit]
    without = [each.point.parameters for each in state.answers if each.point and not each.limit]
    return places_of(with_limit, plane.axes), places_of(without, plane.axes)


def _document(
    plane: Plane, state: _State, believed: Sequence[Surrogate], uncertainty: float | None, target: Target
) -> Mapping[str, Any] | None:
    if not believed:
        return None
    drawn = {
        name: lines.drawn(_mesh(plane, state, surrogate), surrogate, banded=name in STEERING)
        for name, surrogate in zip(_QUANTITIES, believed, strict=True)
    }
    return {
        "axes": list(plane.axes),
        **drawn,
        "method": METHOD,
        "evaluations": len(state.tried),
        "budget": target.budget,
        "uncertainty": uncertainty,
        "target": target.uncertainty,
    }


def _visited(grid: Grid, state: _State) -> Grid:
    """The grid of what was tried; its axes stay those that were offered."""
    points = tuple(
        signals.Point(grid.model, tuple(each.point.parameters.items())) for each in state.answers if each.point
    )
    return replace(grid, points=points, refused=())


def _remembering(plane: Plane) -> Callable[[Array], Array]:
    """The plane's trend, each place worked out once."""
    import numpy as np

    known: dict[tuple[float, float], float] = {}

    def trend(places: Array) -> Array:
        wanted = [(float(x), float(y)) for x, y in places]
        if new := [place for place in dict.fromkeys(wanted) if place not in known]:
            known.update(zip(new, plane.trend(np.array(new)), strict=True))
        return np.array([known[place] for place in wanted])

    return trend


def _tell(observer: events.Observer, state: _State, uncertainty: float | None) -> None:
    known = "no line yet" if uncertainty is None else f"the line is known to {100 * uncertainty:.2g} %"
    observer(events.Noted(f"{len(state.tried)} points tried: {known}"))
