"""What stands around a scan: crossings, pace, forecasts, event files, the closure of all published points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Seen

from recast_dm import reinterpret
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.errors import UsageError
from recast_dm.model import StepId
from recast_dm.reinterpret import crossing, estimate, grid, outside, published
from recast_dm.reinterpret.pace import EVERY, Pace
from recast_dm.reinterpret.scan import scan


class TestCrossings:
    def test_where_the_limit_rises_and_falls(self):
        found = crossing.crossings([(1.0, 2.0), (2.0, 0.5), (3.0, 2.0)])
        assert found == (crossing.Crossing(1.5, False), crossing.Crossing(2.5, True))

    def test_none(self):
        assert crossing.crossings([(1.0, 2.0), (2.0, 3.0)]) == ()
        assert crossing.crossings([(1.0, 0.5)]) == ()

    @given(st.floats(0.02, 50), st.floats(0.02, 50))
    def test_linear_in_the_logarithm(self, low, high):
        found = crossing.crossings([(1000.0, low), (2000.0, high)])
        if (low < 1) == (high < 1):
            assert found == ()
        else:
            share = (found[0].value - 1000) / 1000
            assert low ** (1 - share) * high**share == pytest.approx(1)

    def test_a_gap_is_no_crossing(self):
        assert crossing.crossings([(1.0, 0.1), (2.0, None), (3.0, 10.0)]) == ()

    def test_along_an_axis_next_to_a_point_without_a_limit(self):
        """What is printed and what is drawn say the same: across a point that has no limit, nothing."""
        points = [
            {"status": "not covered", "parameters": {"m": 4.0}},
            {"status": "done", "parameters": {"m": 3.0}, "mu_upper_obs": 4.0, "mu_upper_exp": [0, 0, 0.1, 0, 0]},
            {"status": "done", "parameters": {"m": 5.0}, "mu_upper_obs": 0.1, "mu_upper_exp": [0, 0, 0.1, 0, 0]},
            {"status": "done", "parameters": {"m": 1.0}, "mu_upper_obs": 0.25, "mu_upper_exp": [0, 0, 0.1, 0, 0]},
        ]
        assert crossing.along("m", points) == (crossing.Crossing(2.0, True),)
        assert crossing.along("m", points, expected=True) == ()


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class TestPace:
    def finished(self, pace: Pace, number: int, how: events.How = "ran") -> None:
        pace(events.StepFinished(StepId(f"point/{number}/limit"), how, 1.0))

    def notes(self, seen: Seen) -> list[str]:
        return [event.message for event in seen.events if isinstance(event, events.Noted)]

    def test_a_note_now_and_then_with_what_is_left(self):
        seen, clock = Seen(), Clock()
        pace = Pace(seen, "limit", 11, clock)
        pace(events.StepStarted(StepId("point/0/limit"), None, Path("log")))
        for number in range(10):
            clock.now += EVERY / 2
            self.finished(pace, number)
        assert self.notes(seen)[0] == "2 of 11 points; about 68 s left"
        assert len(self.notes(seen)) == 5

    def test_what_was_there_before_costs_no_time(self):
        seen, clock = Seen(), Clock()
        pace = Pace(seen, "limit", 100, clock)
        for number in range(50):
            self.finished(pace, number, "cached")
        pace(events.StepStarted(StepId("point/50/limit"), None, Path("log")))
        clock.now = EVERY
        self.finished(pace, 50)
        assert self.notes(seen) == ["51 of 100 points; about 12 min left"]

    def test_other_stages_are_no_points(self):
        seen, clock = Seen(), Clock()
        pace = Pace(seen, "limit", 2, clock)
        pace(events.StepStarted(StepId("point/0/count"), None, Path("log")))
        clock.now = 10 * EVERY
        pace(events.StepFinished(StepId("point/0/count"), "ran", 1.0))
        assert self.notes(seen) == []


class TestForecast:
    def test_from_a_few_points(self, toy_capsule, bench, tmp_path):
        subject = reinterpret.of_capsule(toy_capsule)
        wanted = grid.of_axes("spin1-axial", ["m_med=500:3000:250"], {"m_dm": 1})
        few = estimate.sample(wanted)
        assert [point["m_med"] for point in few.points] == [500, 1750, 3000]
        backend = Local(runtime=bench.runtime, jobs=2, cache=bench.cache, keep_going=True)
        found = scan(subject, few, backend, tmp_path / "few", Seen())
        said = estimate.forecast(wanted, 3, found.records, jobs=2)
        own = sum(record.execution["seconds"] for record in found.records)
        assert said.each == pytest.approx(own / 3)
        assert said.once == 0.0  # in the toy every step depends on the point
        assert said.cpu_hours == pytest.approx(11 * said.each / 3600)
        assert said.wall_hours == pytest.approx(said.cpu_hours / 2)

    def test_few_points_are_all_tried(self):
        wanted = grid.of_axes("spin1-axial", ["m_med=500,600"], {"m_dm": 1})
        assert estimate.sample(wanted).points == wanted.points


class TestEventFiles:
    def test_they_lie_beside_the_init_files(self, tmp_path):
        held, file, into = tmp_path / "held", tmp_path / "mine.lhe.gz", tmp_path / "into"
        (held / "sub").mkdir(parents=True)
        (held / "sub" / "yields.yaml").write_text("x")
        file.write_text("events")
        outside.assemble(held, [file], into)
        assert (into / "events" / "mine.lhe.gz").read_text() == "events"
        assert (into / "sub" / "yields.yaml").read_text() == "x"

    def test_without_init_files(self, tmp_path):
        file = tmp_path / "a.hepmc"
        file.write_text("events")
        outside.assemble(None, [file], tmp_path / "into")
        assert (tmp_path / "into" / "events" / "a.hepmc").is_file()

    def test_a_model_that_makes_its_own_takes_none(self, tmp_path):
        file = tmp_path / "a.lhe"
        file.write_text("")
        with pytest.raises(UsageError, match="makes its own events"):
            outside.demand("spin1-axial", {"m_med": 1000, "m_dm": 1}, [file])
        outside.demand("spin1-axial", {"m_med": 1000, "m_dm": 1}, [])


class TestClosure:
    def test_every_published_point_is_run(self, toy_capsule, bench, tmp_path):
        backend = Local(runtime=bench.runtime, jobs=2, cache=bench.cache, keep_going=True)
        (row,) = published.closure(reinterpret.of_capsule(toy_capsule), backend, tmp_path / "closure", Seen())
        assert row["agrees"]
        assert row["published"] == 0.5
        assert (tmp_path / "closure" / "spin1-axial" / "scan.json").is_file()

    def test_an_analysis_without_published_numbers(self, toy_capsule, bench, tmp_path):
        subject = reinterpret.of_capsule(toy_capsule)
        assert subject.analysis is not None
        silent = replace(subject, analysis=replace(subject.analysis, closure=()))
        with pytest.raises(UsageError, match="names no published numbers"):
            published.closure(silent, Local(runtime=bench.runtime, jobs=1, cache=None), tmp_path / "x", Seen())
