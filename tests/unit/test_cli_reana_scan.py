"""Many points at REANA: a workflow each, so many at once, resumed, and the same table as from a scan here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from preserving import capture
from workbench import TOY_IMAGE, shell

from recast_dm import runtimes, schemas
from recast_dm.cli import options, reana
from recast_dm.images.fake import FakeSource
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import analysis
from tests.reana import user, wire
from tests.reana.execution import Execution
from tests.reana.standin import Standin

GRID = ("--model", "spin1-axial", "--grid", "m_med=500:1500:500", "--grid", "m_dm=1,100")


class Counting:
    """A server that remembers how many of its workflows run at most."""

    def __init__(self, standin: Standin) -> None:
        self.standin, self.most = standin, 0

    def __call__(self, request):
        alive = sum(run.status in ("queued", "running") for run in list(self.standin.runs.values()))
        self.most = max(self.most, alive)
        return self.standin.handle(request)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A stand-in, for a user whose cache is empty, in an empty directory."""
    user.place(tmp_path, monkeypatch)
    monkeypatch.setattr(runtimes, "find", lambda _name: FakeRuntime({TOY_IMAGE: shell}))
    engine = Execution(runtime=FakeRuntime({TOY_IMAGE: shell}), called=lambda _: TOY_IMAGE)
    with Standin(tmp_path / "server", engine=engine) as standin:
        yield user.join(monkeypatch, standin, cache_dir=tmp_path / "cache")


@pytest.fixture
def capsule(toy_directory, server, tmp_path):
    found = analysis.load(toy_directory)
    initdata = {**found.example.initdata, "m_med": 1000.0, "m_dm": 1.0}
    return capture(toy_directory, tmp_path / "toy.capsule", FakeSource([TOY_IMAGE]), tmp_path / "im", initdata).path


def scanned(cli, *words: object, code: int = 0):
    ended, out, err = cli("scan", *words, "--json", "-q")
    assert ended == code, err
    document = json.loads(out)
    assert schemas.problem("scan-1", document) is None
    return document


def compared(document):
    return {name: each for name, each in document.items() if name not in ("run_dir", "images")}


def test_the_same_table_as_from_a_scan_here(cli, server, capsule):
    there = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there", "--no-cache")
    here = scanned(cli, capsule, *GRID, "--workdir", "here", "--no-cache")
    assert compared(there) == compared(here)
    assert len(server.runs) == 6
    assert len({run.name for run in server.runs.values()}) == 6


def test_a_repeated_one_submits_nothing(cli, server, capsule):
    first = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there")
    assert scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there") == first
    assert len(server.runs) == 6


def test_another_machine_finds_what_was_submitted(cli, server, capsule, monkeypatch, tmp_path):
    first = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there", "--no-cache")
    monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, cache_dir=tmp_path / "other"))
    other = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "elsewhere", "--no-cache")
    assert compared(other) == compared(first)
    assert len(server.runs) == 6


def test_no_more_at_once_than_asked(cli, server, capsule, monkeypatch):
    counting = Counting(server)
    monkeypatch.setattr(reana, "session", lambda: wire.session(counting))
    scanned(cli, capsule, *GRID, "--backend", "reana", "--at-once", "2", "--no-cache")
    assert 1 <= counting.most <= 2


def test_a_point_that_fails_is_said_and_begun_again_by_the_next_command(cli, server, capsule, monkeypatch):
    def failing(job):
        return 3 if "--m-med 1000" in " ".join(job.argv) + (job.stdin or "") else shell(job)

    sound = server.engine.runtime
    server.engine.runtime = FakeRuntime({TOY_IMAGE: failing})
    document = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there", code=1)
    assert [point["status"] for point in document["points"]] == ["done"] * 2 + ["failed"] * 2 + ["done"] * 2
    server.engine.runtime = sound
    document = scanned(cli, capsule, *GRID, "--backend", "reana", "--workdir", "there")
    assert {point["status"] for point in document["points"]} == {"done"}
    assert len(server.runs) == 8


def test_submit_with_points(cli, server, capsule):
    Path("points.csv").write_text("m_med,m_dm\n500,1\n1000,100\n")
    code, out, err = cli("submit", capsule, "--model", "spin1-axial", "--points", "points.csv", "--json", "-q")
    assert code == 0, err
    document = json.loads(out)
    assert [point["status"] for point in document["points"]] == ["done", "done"]
    assert len(server.runs) == 2


def test_points_without_a_model(cli, server, capsule):
    Path("points.csv").write_text("m_med,m_dm\n500,1\n")
    code, _, err = cli("submit", capsule, "--points", "points.csv")
    assert code == 2
    assert "--points are of a signal model" in err


def test_a_contour(cli, server, capsule):
    words = ("--model", "spin1-axial", "--grid", "m_med=500:2500:250", "--grid", "m_dm=1:201:50", "--budget", "8")
    code, out, err = cli("contour", capsule, *words, "--backend", "reana", "--json", "-q")
    assert code == 0, err
    assert len(json.loads(out)["points"]) == len(server.runs) == 8
