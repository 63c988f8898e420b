"""`recast-dm status`."""

from __future__ import annotations

import fcntl
import re
from types import SimpleNamespace

import localruns
import looking
import pytest
from looking import document, refused

from recast_dm.cli import status
from recast_dm.cli.status import duration

cli, runs = looking.cli, looking.runs  # fixtures


def lines(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_the_latest_run_and_why_it_failed(cli, runs):
    code, out, err = cli("status")
    assert (code, err) == (0, "")
    assert "state    failed: 6/9 steps; no runner works in it" in out
    assert "toy, spin1: m_med=2" in out
    assert ["scan/*/check", "failed", "0/2", "1"] in [line[:4] for line in lines(out)]
    assert ["scan/0/check/0", "exit", "code", "3", "build/runs/c/.attempts/scan.0.check.0.1/log"] in lines(out)


@pytest.mark.parametrize("name", ["a", "build/runs/a"])
def test_a_run_is_named_by_its_path_or_below_build_runs(cli, runs, name):
    code, out, _ = cli("status", name)
    assert code == 0
    assert "finished: 9/9 steps" in out


def test_the_document(cli, runs):
    found = document(cli, "status")
    assert (found["state"], found["locked"], found["steps"], found["finished"]) == ("failed", False, 9, 6)
    (failed,) = found["failed"]
    assert (failed["step"], failed["reason"]) == ("scan/0/check/0", "exit code 3")
    assert found["stages"][1]["ran"] == 2


def test_a_running_and_a_killed_one(cli, runs):
    localruns.killed(runs / "a", "limit/0")
    found = document(cli, "status", "a")
    assert (found["state"], found["running"]) == ("stopped", [])
    with (runs / "a/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = document(cli, "status", "a")
        assert "a runner works in it now" in cli("status", "a")[1]
    assert (found["state"], found["locked"]) == ("running", True)
    assert "limit/0" in [step["step"] for step in found["running"]]


def test_a_resumed_run_says_what_was_kept(cli, runs):
    localruns.execute(runs / "a", m=1)
    assert {stage["kept"] for stage in document(cli, "status", "a")["stages"]} == {1, 2}


def test_watching(cli, runs, monkeypatch):
    """Until no runner works in it any more; a run that is no success is exit code 1."""
    monkeypatch.setattr(status, "INTERVAL", 0.0)
    assert cli("status", "a", "--watch")[0] == 0
    assert cli("status", "--watch")[0] == 1
    localruns.killed(runs / "a", "limit/0")
    with (runs / "a/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def ends(_seconds: float) -> None:
            fcntl.flock(lock, fcntl.LOCK_UN)
            localruns.execute(runs / "a", m=1)

        monkeypatch.setattr(status, "time", SimpleNamespace(sleep=ends))
        code, out, err = cli("status", "a", "--watch")
    assert code == 0
    first, last = (line.rpartition(": ")[2] for line in err.splitlines())
    assert re.fullmatch("running, [34]/9 steps", first)  # another step may have ended just before
    assert last == "finished, 9/9 steps"
    assert "finished: 9/9 steps" in out


def test_no_run(cli, runs):
    assert "there is no run 'd'" in refused(cli, "status", "d")
    assert "build/runs/a/signal is not a run directory" in refused(cli, "status", "build/runs/a/signal")
    (runs / "latest").unlink()
    assert "there is no run at build/runs/latest" in refused(cli, "status")


def test_durations():
    assert [duration(s) for s in (59.94, 3599.7, 86400)] == ["59.9 s", "1 h 00 min", "24 h 00 min"]
