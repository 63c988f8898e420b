"""Many command lines in one start: each job has its directory, its log and its status, as a start of its own would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recast_dm import batch, schemas

PROGRAM = '''
"""A program of the tests: its first word says how it ends."""
import logging, os, subprocess, sys
from pathlib import Path
from recast_dm import batch

def main(argv):
    what, *rest = argv
    if what == "return":
        return int(rest[0])
    if what == "nothing":
        return None
    if what == "exit":
        sys.exit(int(rest[0]))
    if what == "say":
        sys.exit("cannot go on")
    if what == "usage":
        import argparse
        argparse.ArgumentParser().parse_args(["--unknown"])
    if what == "raise":
        raise KeyError(rest[0])
    if what == "write":
        Path("out.txt").write_text(rest[0] + "\\n")
    if what == "tell":
        print("printed", rest[0])
        print("complained", rest[0], file=sys.stderr)
        os.write(1, b"written\\n")
        subprocess.run(["sh", "-c", "echo child; echo grumble >&2"], check=True)
        logging.basicConfig()
        logging.warning("logged %s", rest[0])
    if what == "leave":
        os.chdir("/")
    if what == "close":
        sys.stdout.close()
    if what == "kill":
        os.kill(os.getpid(), 9)
    return 0

raise SystemExit(batch.entry(main))
'''


class Started:
    """One start of the program with a batch of these command lines."""

    def __init__(self, directory: Path, lines: list[list[str]]) -> None:
        self.directory = directory
        jobs = []
        for index, line in enumerate(lines):
            (directory / str(index)).mkdir()
            jobs.append(
                batch.Job(
                    cwd=str(directory / str(index)),
                    argv=tuple(line),
                    log=str(directory / f"{index}.log"),
                    status=str(directory / f"{index}.status"),
                )
            )
        file = directory / "jobs.json"
        file.write_text(batch.text(tuple(jobs)))
        self.ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--batch", str(file)], capture_output=True, text=True, check=False
        )

    def status(self, index: int) -> str | None:
        file = self.directory / f"{index}.status"
        return file.read_text() if file.exists() else None

    def log(self, index: int) -> str:
        return (self.directory / f"{index}.log").read_text()


@pytest.fixture
def start(tmp_path):
    return lambda *lines: Started(tmp_path, [line.split() for line in lines])


def test_each_way_to_end_has_its_status(start):
    """Just as the same words have when the program is started for them alone."""
    lines = [
        "return 0",
        "return 7",
        "nothing",
        "exit 0",
        "exit 5",
        "say",
        "usage",
        "raise key",
        "return 256",
        "exit -1",
    ]
    done = start(*lines)
    alone = [
        subprocess.run([sys.executable, "-c", PROGRAM, *line.split()], capture_output=True, check=False).returncode
        for line in lines
    ]
    assert [int(done.status(index)) for index in range(len(lines))] == alone
    assert alone == [0, 7, 0, 0, 5, 1, 2, 1, 0, 255]
    assert done.ended.returncode == 1


def test_a_batch_that_went_well_ends_with_0(start):
    done = start("return 0", "nothing", "exit 0")
    assert done.ended.returncode == 0
    assert done.ended.stdout.splitlines() == [f"{done.directory}/{index}.status: 0" for index in range(3)]
    assert done.ended.stderr == ""


def test_the_log_holds_why_a_job_failed(start):
    done = start("raise key", "say", "usage", "return 3")
    assert done.log(0).startswith("Traceback")
    assert "KeyError: 'key'" in done.log(0)
    assert done.log(1) == "cannot go on\n"
    assert "unrecognized arguments: --unknown" in done.log(2)
    assert done.log(3) == ""


def test_everything_that_is_said_goes_into_the_job_s_own_log(start):
    """Printed, written to the descriptor, logged by a handler of an earlier job, and said by a process it started."""
    done = start("tell one", "close", "tell two")
    for index, word in ((0, "one"), (2, "two")):
        said = ["printed " + word, "complained " + word, "written", "child", "grumble", f"WARNING:root:logged {word}"]
        assert sorted(done.log(index).splitlines()) == sorted(said)
    assert done.log(1) == ""
    assert len(done.ended.stdout.splitlines()) == 3
    assert done.ended.stderr == ""


def test_each_job_stands_in_its_own_directory(start):
    done = start("write a", "leave", "write c")
    assert [path.relative_to(done.directory).as_posix() for path in sorted(done.directory.glob("*/*"))] == [
        "0/out.txt",
        "2/out.txt",
    ]
    assert (done.directory / "2/out.txt").read_text() == "c\n"


def test_after_a_kill_the_status_files_say_which_jobs_were_done(start):
    done = start("write a", "return 4", "kill", "write d")
    assert done.ended.returncode == -signal.SIGKILL
    assert [done.status(index) for index in range(4)] == ["0\n", "4\n", None, None]
    assert not list(done.directory.glob("*.part"))


def test_a_status_is_never_seen_half_written(tmp_path, monkeypatch):
    """It appears under its name only by renaming what is whole."""
    status = tmp_path / "0.status"
    monkeypatch.setattr(Path, "rename", lambda part, to: pytest.fail(f"{part.read_text()!r} {to.name} {to.exists()}"))
    job = batch.Job(cwd=str(tmp_path), argv=(), log=str(tmp_path / "0.log"), status=str(status))
    with pytest.raises(pytest.fail.Exception, match=r"'0\\n' 0.status False"):
        batch.perform(lambda argv: 0, job)


def test_an_interrupt_ends_the_batch_and_leaves_no_status(tmp_path):
    def interrupted(argv: list[str]) -> int:
        raise KeyboardInterrupt

    job = batch.Job(cwd=str(tmp_path), argv=(), log=str(tmp_path / "0.log"), status=str(tmp_path / "0.status"))
    here = Path.cwd()
    with pytest.raises(KeyboardInterrupt):
        batch.perform(interrupted, job)
    assert not (tmp_path / "0.status").exists()
    assert Path.cwd() == here
    assert os.fstat(1).st_ino != (tmp_path / "0.log").stat().st_ino


def test_without_the_option_a_program_is_called_as_ever():
    seen = []
    assert batch.entry(seen.append, ["a", "--batch", "b"]) == 0
    assert seen == [["a", "--batch", "b"]]


def test_the_file_of_a_batch(tmp_path):
    jobs = (batch.Job(cwd="/workdir/0", argv=("a", "b c"), log="/workdir/0.log", status="/workdir/0.status"),)
    file = tmp_path / "jobs.json"
    file.write_text(batch.text(jobs))
    assert batch.read(file) == jobs
    assert schemas.problem("batch-1", json.loads(file.read_text())) is None
    file.write_text('{"schema": "recast-dm/batch/9", "jobs": []}')
    with pytest.raises(ValueError, match="recast-dm/batch/1"):
        batch.read(file)
