"""The search for a mu = 1 line, on planes whose line is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recast_dm import signals
from recast_dm.errors import UsageError
from recast_dm.reinterpret import grid as grids
from recast_dm.reinterpret.contour import Target, plane_of, search
from recast_dm.reinterpret.points import Answer, Point
from recast_dm.reinterpret.scan import Scan
from recast_dm.statistics.limit import Limit

AXES = ["m_med=200:3000:50", "m_dm=1:1201:50"]
MODEL = "spin1-axial"


def log_mu(m_med: float, m_dm: float) -> float:
    """A limit as searches have it: it weakens with the mediator's mass, and with the phase space of dark matter."""
    beta = math.sqrt(max(1 - (2 * m_dm / m_med) ** 2, 1e-6))
    return (
        3.4 * (m_med / 2000 - 1) + 0.5 * math.log(m_med / 2000) - 3 * math.log(beta) * 0.6 + 0.1 * math.sin(m_med / 300)
    )


@dataclass
class Known:
    """A search that knows the answer. Off the mass shell nothing is covered."""

    error: float = 0.0
    tried: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, grid: grids.Grid, place: Path) -> Scan:
        answers = []
        for point in grid.points:
            x, y = float(point["m_med"]), float(point["m_dm"])
            self.tried.append((x, y))
            shown = Point(MODEL, point.parameters(), (), "LO")
            if 2 * y >= x:
                answers.append(Answer(point=shown, limit=None, reason="outside of the map"))
                continue
            noise = self.error * math.sin(12.9898 * x + 78.233 * y)  # the same each time
            mu = math.exp(log_mu(x, y) + noise)
            answers.append(Answer(point=shown, limit=_limit(mu, self.error)))
        return Scan(
            subject=None,  # type: ignore[arg-type]  # nobody looks at it
            grid=grid,
            directory=place,
            answers=tuple(answers),
            homes=(None,) * len(answers),
            overrides={},
        )


def _limit(mu: float, error: float) -> Limit:
    return Limit(
        sigma_pb=1.0,
        sigma_pb_mc_error=0.0,
        cls_obs=0.05,
        cls_exp=(0.05,) * 5,
        mu_upper_obs=mu,
        mu_upper_exp=tuple(mu * scale for scale in (0.4, 0.5, 0.66, 0.95, 1.3)),
        mu_upper_obs_mc_error=error,
        mu_upper_exp_mc_error=error,
        correlation_model="independent",
    )


def found(known: Known, target: Target, axes=AXES):
    grid = grids.of_axes(MODEL, axes, {})
    plane = plane_of(grid)
    state = search._State(grid)
    return search.rounds(plane, state, Path("rounds"), known, target, lambda event: None), state


def crossing(m_dm: float) -> float:
    """The true place of the line, by bisection."""
    low, high = max(2 * m_dm + 1, 200), 3000.0
    if log_mu(low, m_dm) > 0:
        low = 0.5 * (low + 2000)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if log_mu(middle, m_dm) > 0 else (middle, high)
    return low


def line_at(lines, m_dm: float) -> float:
    """The largest m_med at which a line passes a dark-matter mass."""
    hits = [
        a[0] + (m_dm - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
        for line in lines
        for a, b in pairwise(line)
        if min(a[1], b[1]) <= m_dm <= max(a[1], b[1]) and a[1] != b[1]
    ]
    return max(hits)


@pytest.mark.parametrize(("error", "within"), [(0.0, 0.01), (0.02, 0.02)])
def test_the_line_is_found_with_few_points(error, within):
    known = Known(error)
    told, _ = found(known, Target(budget=60, uncertainty=0.005))
    assert len(known.tried) <= 60
    assert len(set(known.tried)) == len(known.tried)
    for m_dm in (10, 100, 200, 300, 400, 500, 600):
        assert line_at(told["observed"]["central"], m_dm) == pytest.approx(crossing(m_dm), rel=within)


def test_it_stops_when_the_line_is_known_well_enough():
    known = Known()
    told, _ = found(known, Target(budget=60, uncertainty=0.05))
    assert told["uncertainty"] <= 0.05
    assert told["evaluations"] == len(known.tried) < 40


def test_the_budget_is_kept():
    known = Known()
    told, _ = found(known, Target(budget=17, uncertainty=1e-4))
    assert len(known.tried) == told["evaluations"] == 17


def test_the_band_holds_the_line():
    told, _ = found(Known(0.05), Target(budget=40, uncertainty=0.001))
    for m_dm in (100, 300, 500):
        low, high = (line_at(told["observed"][name], m_dm) for name in ("low", "high"))
        assert low < line_at(told["observed"]["central"], m_dm) < high
        assert low - 30 < crossing(m_dm) < high + 30


def test_little_is_spent_where_nothing_is_covered():
    known = Known()
    found(known, Target(budget=60, uncertainty=1e-4))
    assert sum(2 * y >= x for x, y in known.tried) < 15


def test_the_same_search_tries_the_same_points():
    one, two = Known(), Known()
    found(one, Target(budget=30))
    found(two, Target(budget=30))
    assert one.tried == two.tried


def test_a_plane_without_a_line():
    told, _ = found(Known(), Target(budget=20, uncertainty=0.01), ["m_med=200:800:50", "m_dm=1:51:10"])
    assert told["observed"]["central"] == []
    assert told["uncertainty"] is None


@pytest.mark.parametrize("axes", [["m_med=200:300:50"], ["m_med=200:300:50", "m_dm=1,2"], ["m_med=500", "m_dm=1:9:1"]])
def test_a_contour_needs_a_plane(axes):
    with pytest.raises(UsageError, match="a contour needs a plane"):
        plane_of(grids.of_axes(MODEL, axes, {} if len(axes) > 1 else {"m_dm": 1}))


def test_the_trend_follows_the_branching_ratio():
    plane = plane_of(grids.of_axes(MODEL, AXES, {}))
    light, heavy = plane.trend(np.array([[1000.0, 1.0], [1000.0, 450.0]]))
    model = signals.find(MODEL)
    fractions = []
    for m_dm in (1.0, 450.0):
        widths = model.widths(model.point({"m_med": 1000, "m_dm": m_dm}))
        assert widths is not None
        fractions.append(widths["chi"] / widths.total)
    assert heavy - light == pytest.approx(math.log(fractions[0] / fractions[1]))
