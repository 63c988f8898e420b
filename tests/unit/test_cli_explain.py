"""`recast-dm explain`."""

from __future__ import annotations

import json

import localruns
import looking
from looking import document, refused

cli, runs = looking.cli, looking.runs  # fixtures


def test_what_changed_and_where_it_began(cli, runs):
    code, out, err = cli("explain", "limit", "--run", "b")
    assert (code, err) == (0, "")
    assert "against  build/runs/a\n" in out
    assert "parameters s[0]: other files from signal/0 (out changed)" in out
    assert "it began at\n  signal/0\n    parameters m: 1 → 2\n" in out


def test_the_same_work(cli, runs):
    assert "the same work" in cli("explain", "background/0", "--run", "b")[1]
    found = document(cli, "explain", "background/0", "--run", "b")
    assert (found["same"], found["changes"], found["causes"]) == (True, [], [])
    assert found["key"] == found["against_key"]


def test_the_document(cli, runs):
    found = document(cli, "explain", "summary", "--run", "b", "--against", "a")
    assert (found["same"], found["replaced"], found["against"]) == (False, False, "build/runs/a")
    assert found["changes"][0]["from"] == "scan/0/check/0"
    assert found["changes"][0]["files"] == [{"path": "out", "change": "changed"}]
    assert [(cause["step"], cause["changes"][0]["name"]) for cause in found["causes"]] == [
        ("signal/0", "m"),
        ("signal/1", "m"),
    ]


def test_a_script_and_a_list(cli, runs):
    localruns.execute(runs / "d", m=1, seeds=[1, 2, 3], signal="true", check="true")
    out = cli("explain", "limit", "--run", "d", "--against", "a")[1]
    assert "parameters s: [" in out
    out = cli("explain", "signal/0", "--run", "d", "--against", "a")[1]
    assert "process text: " in out


def test_what_has_not_finished(cli, runs):
    assert "scan/0/check/0 has not finished, so there is no key" in cli("explain", "scan/0/check/0")[1]
    out = cli("explain", "summary", "--run", "a", "--against", "latest")[1]
    assert "summary/0 has not finished in build/runs/c, so there is no key" in out
    assert document(cli, "explain", "summary")["same"] is None


def test_nothing_to_compare_with(cli, runs):
    assert "there is no earlier work to compare with; --against names a run" in cli("explain", "limit", "--run", "a")[1]


def test_what_it_was_before_in_the_same_run(cli, runs):
    """A run directory that keeps the record that was replaced."""
    before = json.loads((runs / "a/.records/limit/0.json").read_text())
    before["key_parts"]["process"]["text"] = "cat nothing"
    before["key"] = "0" * 64
    place = runs / "a/.attempts/limit.0.2"
    place.mkdir()
    (place / "replaced.json").write_text(json.dumps(before))
    code, out, _ = cli("explain", "limit", "--run", "a")
    assert code == 0
    assert "against  what it was before in build/runs/a" in out
    assert 'process text: "cat nothing" → "cat {b} {s} > {out}' in out
    assert document(cli, "explain", "limit", "--run", "a")["replaced"] is True


def test_no_such_run_or_step(cli, runs):
    assert "did you mean 'limit/0'?" in refused(cli, "explain", "limt/0")
    assert "there is no run 'x'" in refused(cli, "explain", "limit", "--run", "x")
    assert "there is no run 'x'" in refused(cli, "explain", "limit", "--against", "x")
