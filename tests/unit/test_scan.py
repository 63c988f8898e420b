"""Scans of the toy analysis by the fake runtime: many points, one run."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import TOY_IMAGE, Seen, toy

from recast_dm import reinterpret, schemas
from recast_dm.backends.local import Local
from recast_dm.errors import StepFailed, UsageError
from recast_dm.reinterpret import grid
from recast_dm.reinterpret.scan import Scan, scan
from recast_dm.runtimes.fake import FakeRuntime

AXES = ["m_med=500:1500:500", "m_dm=1,100"]


@pytest.fixture
def subject(toy_capsule):
    return reinterpret.of_capsule(toy_capsule)


def backend(bench, runtime=None) -> Local:
    return Local(runtime=runtime or bench.runtime, jobs=2, cache=bench.cache, keep_going=True)


def over(subject, bench, place: Path, axes=AXES, runtime=None, **settings: object) -> Scan:
    return scan(subject, grid.of_axes("spin1-axial", axes, settings), backend(bench, runtime), place, Seen())


class TestScan:
    def test_its_document(self, subject, bench, tmp_path):
        document = over(subject, bench, tmp_path / "scan").document()
        assert schemas.problem("scan-1", document) is None
        assert document["grid"] == {"m_med": [500, 1000, 1500], "m_dm": [1, 100]}
        assert [p["parameters"]["m_med"] for p in document["points"]] == [500, 500, 1000, 1000, 1500, 1500]
        assert {p["status"] for p in document["points"]} == {"done"}
        assert document["fixed"] == {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}

    def test_a_scan_and_a_rerun_give_the_same_answer(self, subject, bench, tmp_path):
        found = over(subject, bench, tmp_path / "scan")
        for point, answer in zip(found.grid.points, found.answers, strict=True):
            alone = reinterpret.rerun(
                subject,
                "spin1-axial",
                point.parameters(),
                backend(bench),
                tmp_path / str(point["m_med"] + point["m_dm"]),
                Seen(),
            )
            assert alone.answer is not None
            assert alone.answer.document() == answer.document()

    def test_a_rerun_finds_what_a_scan_did(self, subject, bench, tmp_path):
        over(subject, bench, tmp_path / "scan")
        count = len(bench.runtime.jobs)
        reinterpret.rerun(
            subject, "spin1-axial", {"m_med": 1500, "m_dm": 100}, backend(bench), tmp_path / "one", Seen()
        )
        assert len(bench.runtime.jobs) == count

    def test_a_resumed_scan_does_nothing_twice(self, subject, bench, tmp_path):
        first = over(subject, bench, tmp_path / "scan").document()
        count = len(bench.runtime.jobs)
        assert over(subject, bench, tmp_path / "scan").document() == first
        assert len(bench.runtime.jobs) == count

    def test_published_points_stand_beside_ours(self, subject, bench, tmp_path):
        document = over(subject, bench, tmp_path / "scan").document()
        (row,) = document["closure"]
        assert row["agrees"]
        assert row["ours"] == document["points"][2]["mu_upper_obs"]
        (other,) = over(subject, bench, tmp_path / "other", ["m_med=700,800"], m_dm=1).document()["closure"]
        assert (other["ours"], other["published"]) == (None, 0.5)

    def test_a_point_that_fails_leaves_the_others(self, subject, bench, tmp_path):
        def program(job):
            return 3 if "--m-med 1000" in " ".join(job.argv) else toy(job)

        found = over(subject, bench, tmp_path / "scan", runtime=FakeRuntime({TOY_IMAGE: program}))
        document = found.document()
        assert schemas.problem("scan-1", document) is None
        assert [p["status"] for p in document["points"]] == ["done", "done", "failed", "failed", "done", "done"]
        assert document["points"][2]["reason"] in (
            "count/0: exit code 3",
            "count/1: exit code 3",
        )  # whichever ends first

    def test_when_every_point_fails_so_does_the_scan(self, subject, bench, tmp_path):
        with pytest.raises(StepFailed, match="exit code 3"):
            over(subject, bench, tmp_path / "scan", runtime=FakeRuntime({TOY_IMAGE: lambda job: 3}))

    def test_a_point_that_the_model_does_not_have_is_not_covered(self, subject, bench, tmp_path):
        document = over(subject, bench, tmp_path / "scan", ["m_med=1000", "m_dm=1,499.97"]).document()
        assert schemas.problem("scan-1", document) is None
        assert [p["status"] for p in document["points"]] == ["done", "not covered"]
        assert "Pythia" in document["points"][1]["reason"]

    def test_what_makes_no_limit_is_not_scanned(self, subject, bench, tmp_path):
        from dataclasses import replace

        with pytest.raises(UsageError, match="makes no limit"):
            over(replace(subject, results={}), bench, tmp_path / "scan")

    def test_events_of_files_are_of_one_point(self, subject, bench, tmp_path):
        wanted = grid.of_axes("events", ["m_med=500,1000"], {"sigma_pb": 1})
        with pytest.raises(UsageError, match="takes its events from files"):
            scan(subject, wanted, backend(bench), tmp_path / "scan", Seen())
