"""`recast-dm ls`."""

from __future__ import annotations

import hashlib

import looking
from looking import document, refused

cli, runs = looking.cli, looking.runs  # fixtures


def test_the_runs(cli, runs):
    code, out, err = cli("ls")
    assert (code, err) == (0, "")
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["run", "state", "steps"],
        ["build/runs/a", "finished", "9/9"],
        ["build/runs/b", "finished", "9/9"],
        ["build/runs/c", "failed", "6/9"],
    ]
    assert [run["run"] for run in document(cli, "ls")["runs"]] == [str(runs / name) for name in "abc"]


def test_no_runs(cli):
    code, out, err = cli("ls")
    assert (code, out, err) == (0, "", "there is no run below build/runs\n")
    assert document(cli, "ls")["runs"] == []


def test_steps_and_their_files(cli, runs):
    code, out, _ = cli("ls", "a")
    sha = hashlib.sha256(b"139\n").hexdigest()
    assert code == 0
    assert ["background/0", "finished", "ran", "0.0", "out", "4", sha[:12]] in [
        line.split() for line in out.splitlines()
    ]
    steps = {step["step"]: step for step in document(cli, "ls", "latest")["steps"]}
    assert steps["background/0"]["files"] == [{"path": "out", "size": 4, "sha256": sha, "executable": False}]
    assert steps["background/0"]["published"] == {"out": "background/0/out"}
    failed = steps["scan/0/check/0"]
    assert (failed["state"], failed["reason"], failed["files"], failed["key"]) == ("failed", "exit code 3", [], None)
    assert steps["summary/0"]["state"] == "pending"


def test_one_step(cli, runs):
    code, out, _ = cli("ls", "a", "signal/1")
    assert code == 0
    assert hashlib.sha256(b"1 2\n").hexdigest() in out
    assert "files in  build/runs/a/signal/1" in out
    assert cli("ls", "summary")[1].startswith("step       summary/0\nstate      pending\n")  # of the latest run
    assert [step["step"] for step in document(cli, "ls", "a", "limit")["steps"]] == ["limit/0"]


def test_no_such_run_or_step(cli, runs):
    assert "'sumary' is neither a run nor a step of build/runs/latest" in refused(cli, "ls", "sumary")
    assert "did you mean 'limit/0'?" in refused(cli, "ls", "a", "limt/0")
    assert "there is no run 'd'" in refused(cli, "ls", "d", "limit")
