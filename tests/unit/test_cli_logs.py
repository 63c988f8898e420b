"""`recast-dm logs`: which step, which attempt, and following without missing or repeating a line."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import localruns
import looking
import pytest
from looking import document, refused

from recast_dm.cli import logs
from recast_dm.errors import StepFailed

cli, runs = looking.cli, looking.runs  # fixtures

PROGRAM = """
import sys, typer
from recast_dm.cli import logs, main
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("logs")(logs.logs)
app.callback()(lambda: None)
sys.modules["recast_dm.cli.main"].app = app
sys.exit(main())
"""


def test_what_failed(cli, runs):
    assert cli("logs") == (0, "bad\n", "scan/0/check/0: build/runs/c/.attempts/scan.0.check.0.1/log\n")


def test_else_the_last_that_ended(cli, runs):
    assert cli("logs", "a")[2].startswith("summary/0: ")


def test_one_step(cli, runs):
    assert cli("logs", "a", "signal/1")[:2] == (0, "seed 2\n")
    assert cli("logs", "signal/1")[:2] == (0, "seed 2\n")  # of the latest run


def test_several_that_run_are_told_apart(cli, runs, monkeypatch):
    localruns.killed(runs / "a", "signal/0")
    found = localruns.events(runs / "a")
    started = [{**found[-1], "step": f"signal/{n}", "log": f"signal.{n}.1"} for n in (0, 1)]
    localruns.rewrite(runs / "a", [*(e for e in found if e.get("step") not in ("signal/0", "signal/1")), *started])
    (runs / "a/.records/signal/1.json").unlink(missing_ok=True)
    with (runs / "a/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, out, _ = cli("logs", "a")
    assert out == "signal/0 | seed 1\nsignal/1 | seed 2\n"


def test_attempts(cli, tmp_path):
    for said in ("first", "second"):
        with contextlib.suppress(StepFailed):
            localruns.execute(tmp_path / "build/runs/latest", signal=f"echo {said}; exit 1", seeds=[1])
    assert cli("logs")[1] == "seed 1\nsecond\n"
    assert cli("logs", "signal", "--attempt", "1")[1] == "seed 1\nfirst\n"
    assert "attempts with a log: 1, 2" in refused(cli, "logs", "signal", "--attempt", "3")
    assert "name the step too" in refused(cli, "logs", "--attempt", "1")


def test_the_document(cli, runs):
    (said,) = document(cli, "logs")["logs"]
    assert (said["step"], said["state"], said["text"]) == ("scan/0/check/0", "failed", "bad\n")


def test_what_said_nothing(cli, runs):
    assert cli("logs", "summary") == (0, "", "summary/0 is pending: it has said nothing yet\n")


def test_words_that_cannot_be(cli, runs):
    assert "did you mean 'limit/0'?" in refused(cli, "logs", "limt/0")
    assert cli("logs", "--follow", "--json")[0] == 2


def test_bytes_that_are_no_text(cli, runs):
    log = runs / "c/.attempts/scan.0.check.0.1/log"
    log.write_bytes(b"\xff\x1b[31m\n")
    assert document(cli, "logs")["logs"][0]["text"] == "\ufffd\x1b[31m\n"


def test_following_what_is_over_shows_it(cli, runs):
    assert cli("logs", "--follow")[:2] == (0, "bad\n")


# --- following -------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path):
    """A run in a thread, one signal after the other, each saying three lines in .6 s."""
    place = tmp_path / "build/runs/latest"
    script = "for i in 1 2 3; do echo line $i; sleep .2; done; printf end"
    run = threading.Thread(target=localruns.execute, args=(place,), kwargs={"signal": script, "jobs": 1})
    run.start()
    deadline = time.monotonic() + 20
    while not list(place.glob(".attempts/signal.0.1/log")) and time.monotonic() < deadline:
        time.sleep(0.02)
    yield place
    run.join()


def said(seed: int) -> list[str]:
    return [f"seed {seed}", "line 1", "line 2", "line 3", "end"]


def test_following_a_run_to_its_end(cli, slow):
    code, out, _ = cli("logs", "--follow")
    assert code == 0
    expected = [f"signal/{n} | {line}" for n in (0, 1) for line in said(n + 1)]
    assert [line for line in out.splitlines() if line.startswith("signal")] == expected
    assert "limit/0 | the limit\n" in out


def test_following_one_step_to_its_end(cli, slow):
    code, out, _ = cli("logs", "signal/1", "--follow")
    assert (code, out.splitlines()) == (0, said(2))


def follow(place: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, "logs", str(place), "--follow"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place.parent)


def test_ctrl_c_ends_following_only(slow):
    process = follow(slow)
    assert process.stdout is not None
    assert process.stdout.readline() == "signal/0 | seed 1\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_has_gone_ends_following(slow):
    process = follow(slow)
    assert process.stdout is not None
    assert process.stdout.readline() == "signal/0 | seed 1\n"
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=10) == 1


def test_a_runner_that_is_killed_ends_following(cli, runs, monkeypatch):
    """It writes nothing more; its lock says that it is gone."""
    localruns.killed(runs / "a", "limit/0")
    monkeypatch.setattr(logs, "INTERVAL", 0.01)
    with (runs / "a/.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ending = threading.Timer(0.5, lambda: fcntl.flock(lock, fcntl.LOCK_UN))
        ending.start()
        code, out, _ = cli("logs", "a", "-f")
        ending.join()
    assert code == 0
    assert "limit/0 | the limit\n" in out


def test_following_costs_nearly_nothing(slow):
    before = os.times()
    process = follow(slow)
    process.communicate(timeout=20)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 1.0  # most of it is the start of Python; a busy loop would take all of the run
