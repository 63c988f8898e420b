"""Progress on a terminal: the live table, and questions to who sits there."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from recast_dm.cli import progress
from recast_dm.engine import events
from recast_dm.model import StepId

SPECS = Path(__file__).parents[1] / "conformance/specs"
ASKING = """
mass: 500
---
stages:
- name: approve
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {mass: {step: init, output: mass}}
    step:
      process: {process_type: PROCESS}
      environment: {environment_type: localproc-env}
      publisher: {publisher_type: PUBLISHER}
"""
FROM_MASS = "frompar-pub, outputmap: {mass: mass}"
DO = "manual-instructions-proc, instructions: check the cards"
SAY = "manual-instructions-pub, instructions: enter the limit"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A recast-dm on a terminal of its own."""

    def __init__(self, place: Path, *words: str, columns: int = 80, **environment: str) -> None:
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        env |= {"TERM": "xterm", "RECAST_DM_CACHE_DIR": str(place / "cache"), **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recast_dm", *words, "--allow-host", "--workdir", str(place / "w")],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # nothing else runs here
        )
        os.close(slave)
        self.seen = ""

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def until(self, text: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end and self._read(0.1):
            pass
        assert text in self.seen

    def say(self, line: str) -> None:
        os.write(self.master, line.encode())

    def end(self, seconds: float = 20) -> int:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and self._read(0.1):
            pass
        return self.process.wait(timeout=max(0.1, limit - time.monotonic()))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path) -> Iterator:
    opened = []

    def terminal(*words: str, **more) -> Terminal:
        opened.append(Terminal(tmp_path, *words, **more))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


@pytest.fixture
def asking(tmp_path, terminal):
    """Runs a workflow whose one step needs a person."""

    def asking(process: str, publisher: str) -> Terminal:
        init, _, spec = ASKING.partition("---\n")
        (tmp_path / "workflow.yml").write_text(spec.replace("PROCESS", process).replace("PUBLISHER", publisher))
        (tmp_path / "init.yml").write_text(init)
        return terminal("run", str(tmp_path / "workflow.yml"), "--inputs", str(tmp_path / "init.yml"))

    return asking


class TestTable:
    NUMBERS = ("12/40000", "3", "4", "", "1234 s")

    @pytest.mark.parametrize("width", range(24, 140, 4))
    def test_no_line_is_too_long_and_no_number_is_cut(self, width):
        head, row = progress.table([("scan/*/a-rather-long-name/likelihood", self.NUMBERS, "event 5 " * 20)], width)
        assert max(len(head), len(row)) <= width
        assert "12/40000" in row
        shown = zip(progress.TITLES, self.NUMBERS, strict=True)
        numbers = [number for title, number in shown if title in head.split() and number]
        assert re.search(" +".join(map(re.escape, numbers)) + "( |$)", row)

    def test_a_narrow_terminal_leaves_columns_out_whole(self):
        head, row = progress.table([("a-rather-long-name", self.NUMBERS, "")], 48)
        assert head.split() == ["stage", "done", "cached", "running"]
        assert row.split() == ["a-rather-long-name", "12/40000", "3", "4"]

    def test_what_failed_stays_longer_than_times(self):
        head, _ = progress.table([("a-rather-long-name", ("1/2", "", "1", "1", "5 s"), "")], 45)
        assert head.split() == ["stage", "done", "running", "failed"]

    def test_the_stages_of_sub_workflows_are_one_row(self):
        state = progress.State()
        for step in (StepId("scan/0/fit"), StepId("scan/1/fit"), StepId("sum")):
            state.take(events.StepStarted(step, None, Path("log")))
        state.take(events.StepSaid(StepId("scan/1/fit"), "hello"))
        state.take(events.StepFinished(StepId("scan/0/fit"), "ran", 1.0))
        assert [stage.name for stage in state.stages.values()] == ["scan/*/fit", "sum"]
        assert state.stages["scan/fit"].finished == 1
        assert (state.last_line(StepId("scan/1/fit")), state.last_line(StepId("scan/0/fit"))) == ("hello", "")

    def test_on_a_terminal_of_80_columns(self, terminal):
        spec = SPECS / "nested-sub-workflow"
        run = terminal("run", str(spec / "workflow.yml"), "--inputs", str(spec / "init.yml"))
        assert run.end() == 0, run.seen
        plain = STYLE.sub("", run.seen)
        assert re.search(r"models/\*/points/\*/generate +4/4 ", plain), plain
        assert STYLE.search(run.seen)

    def test_no_color_is_no_style_at_all(self, terminal):
        spec = SPECS / "nested-sub-workflow"
        run = terminal("run", str(spec / "workflow.yml"), "--inputs", str(spec / "init.yml"), NO_COLOR="1")
        assert run.end() == 0
        assert "models/*/points/*/generate" in run.seen
        assert not STYLE.findall(run.seen)


class TestQuestions:
    def test_enter_is_enough_where_something_is_to_be_done(self, asking):
        run = asking(DO, FROM_MASS)
        run.until("press Enter")
        run.say("\n")
        assert run.end() == 0
        assert run.seen.count("check the cards") == 1

    def test_what_is_no_mapping_is_asked_for_again(self, asking):
        run = asking("string-interpolated-cmd, cmd: 'echo {mass} > mass.txt'", SAY)
        run.until("JSON or YAML?")
        run.say("0.5\n")
        run.until("that is no mapping")
        run.say("{limit: \n")
        run.until("cannot be read")
        run.say("{limit: 0.5}\n")
        assert run.end() == 0, run.seen
        assert run.seen.count("enter the limit") == 1

    def test_nothing_is_drawn_over_a_question(self, asking):
        run = asking(DO, FROM_MASS)
        run.until("press Enter")
        before = len(run.seen)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            run._read(0.1)
        assert run.seen[before:].strip() in ("", "when it is done:", ": ")

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_it(self, asking, number, code):
        run = asking(DO, FROM_MASS)
        run.until("press Enter")
        if number == signal.SIGINT:
            run.say("\x03")
        else:
            run.process.send_signal(number)
        assert run.end(10) == code
        assert "error: interrupted" in run.seen

    def test_the_end_of_the_input_is_no_answer(self, asking):
        run = asking(DO, FROM_MASS)
        run.until("press Enter")
        run.say("\x04")
        assert run.end() == 1
        assert "nobody answered" in run.seen

    def test_instructions_are_told_once_also_where_there_is_nobody(self, tmp_path):
        for name, spec, code in (("do", "manual-process", 0), ("say", "manual-publisher", 1)):
            words = ["run", str(SPECS / spec / "workflow.yml"), "--inputs", str(SPECS / spec / "init.yml")]
            done = subprocess.run(
                [sys.executable, "-m", "recast_dm", *words, "--allow-host", "--workdir", str(tmp_path / name)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            told = {"do": "check the cards", "say": "enter the limit"}[name]
            assert (done.returncode, done.stderr.count(told)) == (code, 1), done.stderr


class TestCounting:
    """Long work that is no step: copying, hashing, packing."""

    def test_what_goes_on_is_counted_until_a_step_starts(self):
        state = progress.State()
        assert state.counted() == ""
        for what, count in (("copying", 5), ("hashing", 1_000_000), ("hashing", 2_000_000)):
            state.count(what, count)
        assert state.counted() == "hashing: 3 MB"
        state.take(events.StepStarted(StepId("fit", 0), None, Path("log")))
        assert state.counted() == ""

    def test_lines_say_it_now_and_then_when_it_has_got_on(self, capsys, monkeypatch):
        monkeypatch.setattr(progress, "HEARTBEAT", 0.02)
        said = ""
        with progress.Lines() as lines:
            for line in ("  ...       packing: 10 B", "  ...       packing: 20 B"):
                lines.count("packing", 10)
                while line not in said:
                    time.sleep(0.01)
                    said += capsys.readouterr().err
            time.sleep(0.1)
        said += capsys.readouterr().err
        assert said.splitlines() == ["  ...       packing: 10 B", "  ...       packing: 20 B"]

    def test_the_table_says_it_below(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        live = progress.Live()
        live.count("packing", 10)
        assert str(live._draw().renderables[-1]).endswith(" s, packing: 10 B")


class TestBatches:
    """Fifty steps in one start are as easy to read as one."""

    def test_lines_name_the_start_once_and_the_sign_of_life_a_few(self, capsys, monkeypatch):
        monkeypatch.setattr(progress, "HEARTBEAT", 0.02)
        said = ""
        with progress.Lines() as lines:
            for n in range(50):
                lines(events.StepStarted(StepId("fit", n), "image:1", Path("log"), (n, 50)))
            lines(events.StepSaid(StepId("fit", 3), "4 of 50 done together"))
            while "and 45 more" not in said:
                time.sleep(0.01)
                said += capsys.readouterr().err
        first, beat, *_ = said.splitlines()
        assert first == "  running   fit/0 and 49 more together  in image:1"
        assert re.fullmatch(r"  \.\.\.       (fit/\d 0 s( \(4 of 50 done together\))?, ){5}and 45 more", beat)

    def test_the_table_counts_them_and_says_how_far_they_are(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        live = progress.Live()
        for n in range(50):
            live(events.StepStarted(StepId("fit", n), "image:1", Path("log"), (n, 50)))
        live(events.StepSaid(StepId("fit", 3), "4 of 50 done together"))
        row = str(live._draw().renderables[1])
        assert row.split() == ["fit", "0/0", "50", "0", "s", "4", "of", "50", "done", "together"]
