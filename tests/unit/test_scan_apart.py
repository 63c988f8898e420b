"""Scans whose points are workflows of their own, as a backend elsewhere takes them: here by our own engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from workbench import TOY_IMAGE, Seen, toy

from recast_dm import reinterpret, schemas
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.errors import Interrupted, RemoteError, StepFailed
from recast_dm.reinterpret import grid
from recast_dm.reinterpret.scan import Scan, scan
from recast_dm.runtimes.fake import FakeRuntime

AXES = ["m_med=500:1500:500", "m_dm=1,100"]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A backend that takes points one by one; `trouble` is raised for some of them."""

    local: Local
    points_at_once: int = 2
    trouble: dict[int, BaseException] = field(default_factory=dict)

    def execute(self, work, *, directory, observer):
        if (error := self.trouble.get(int(directory.name))) is not None:
            raise error
        return self.local.execute(work, directory=directory, observer=observer)


@pytest.fixture
def subject(toy_capsule):
    return reinterpret.of_capsule(toy_capsule)


def local(bench, runtime=None) -> Local:
    return Local(runtime=runtime or bench.runtime, jobs=2, cache=bench.cache, keep_going=True)


def over(subject, backend, place: Path, seen: Seen | None = None) -> Scan:
    return scan(subject, grid.of_axes("spin1-axial", AXES, {}), backend, place, seen or Seen())


def test_the_same_document_as_in_one_workflow(subject, bench, tmp_path):
    together = over(subject, local(bench), tmp_path / "together").document()
    found = over(subject, Elsewhere(local(bench)), tmp_path / "apart")
    assert found.document() == {**together, "run_dir": str(tmp_path / "apart")}
    assert schemas.problem("scan-1", found.document()) is None


def test_files_lie_where_those_of_one_workflow_lie(subject, bench, tmp_path):
    over(subject, local(bench), tmp_path / "together")
    over(subject, Elsewhere(local(bench)), tmp_path / "apart")

    def limits(place: Path) -> dict[str, bytes]:
        return {str(f.relative_to(place)): f.read_bytes() for f in place.glob("point/*/limit/*/limit.json")}

    assert limits(tmp_path / "apart") == limits(tmp_path / "together")
    assert len(limits(tmp_path / "apart")) == 6


def test_the_records_are_those_of_the_scan(subject, bench, tmp_path):
    together = over(subject, local(bench), tmp_path / "together")
    apart = over(subject, Elsewhere(local(bench)), tmp_path / "apart")
    assert {(str(r.step), r.key) for r in apart.records} == {(str(r.step), r.key) for r in together.records}


def test_a_point_that_fails_leaves_the_others(subject, bench, tmp_path):
    trouble = {2: RemoteError("the server is down for maintenance")}
    document = over(subject, Elsewhere(local(bench), trouble=trouble), tmp_path / "scan").document()
    assert schemas.problem("scan-1", document) is None
    assert [p["status"] for p in document["points"]] == ["done", "done", "failed", "done", "done", "done"]
    assert document["points"][2]["reason"] == "the server is down for maintenance"


def test_repeated_it_does_what_was_left(subject, bench, tmp_path):
    trouble = {2: RemoteError("the server is down for maintenance")}
    over(subject, Elsewhere(local(bench), trouble=trouble), tmp_path / "scan")
    count = len(bench.runtime.jobs)
    document = over(subject, Elsewhere(local(bench)), tmp_path / "scan").document()
    assert {p["status"] for p in document["points"]} == {"done"}
    assert 0 < len(bench.runtime.jobs) - count <= 6


def test_when_every_point_fails_so_does_the_scan(subject, bench, tmp_path):
    failing = local(bench, FakeRuntime({TOY_IMAGE: lambda job: 3}))
    with pytest.raises(StepFailed, match="exit code 3"):
        over(subject, Elsewhere(failing), tmp_path / "scan")


def test_an_interruption_ends_it(subject, bench, tmp_path):
    with pytest.raises(Interrupted, match="what was submitted goes on there"):
        over(subject, Elsewhere(local(bench), trouble={1: KeyboardInterrupt()}), tmp_path / "scan")


def test_a_defect_of_ours_is_not_a_failed_point(subject, bench, tmp_path):
    with pytest.raises(ZeroDivisionError):
        over(subject, Elsewhere(local(bench), trouble={1: ZeroDivisionError()}), tmp_path / "scan")


def test_what_happens_is_told_by_the_scans_names(subject, bench, tmp_path):
    seen = Seen()
    over(subject, Elsewhere(local(bench)), tmp_path / "scan", seen)
    finished = {str(event.step) for event in seen.events if isinstance(event, events.StepFinished)}
    assert {f"point/{n}/limit/0" for n in range(6)} <= finished
    planned = [step for event in seen.events if isinstance(event, events.StepsPlanned) for step in event.steps]
    assert {str(step.id) for step in planned} == finished
    assert "6 of 6 points" in [event.message for event in seen.events if isinstance(event, events.Noted)][-1]


def test_no_more_at_once_than_asked(subject, bench, tmp_path):
    import threading

    busy, most, lock = 0, 0, threading.Lock()

    def program(job):
        nonlocal busy, most
        with lock:
            busy, most = busy + 1, max(most, busy + 1)
        try:
            return toy(job)
        finally:
            with lock:
                busy -= 1

    alone = replace(local(bench, FakeRuntime({TOY_IMAGE: program})), jobs=1)
    over(subject, Elsewhere(alone, points_at_once=2), tmp_path / "scan")
    assert 1 <= most <= 2
