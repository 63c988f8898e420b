"""The journal: one JSON line an event, whatever happens to the disk."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from workbench import POINT, Seen, plan, stage, workflow

from recast_dm.engine import events
from recast_dm.engine.journal import Journal
from recast_dm.errors import StepFailed
from recast_dm.model import Policy, StepId

ONE = StepId("one")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_is_told_from_beginning_to_end(bench, physics):
    bench.run(physics, POINT, jobs=1)
    told = lines(bench.root / "run/.events.jsonl")
    assert [line["event"] for line in told] == ["run-started", "planned", *["started", "ran"] * 4, "run-finished"]
    assert told[0]["runtime"] == "fake 1"
    assert told[1]["complete"] is True
    assert told[1]["steps"][-1] == {
        "step": "limit/0",
        "depends_on": ["background/0", "signal/0", "signal/1"],
        "in": "image:latest",
    }
    assert told[2]["log"] == "background.0.1"
    assert (bench.root / "run/.attempts" / told[2]["log"] / "log").is_file()
    times = [line["time"] for line in told]
    assert times == sorted(times)


def test_a_second_start_is_told_behind_the_first(bench, physics):
    bench.run(physics, POINT)
    first = (bench.root / "run/.events.jsonl").read_bytes()
    bench.run(physics, POINT)
    both = (bench.root / "run/.events.jsonl").read_bytes()
    assert both.startswith(first)
    again = [json.loads(line)["event"] for line in both[len(first) :].splitlines()]
    assert again == ["run-started", "planned", *["kept"] * 4, "run-finished"]


def test_failures_and_retries_are_told_with_their_reasons(bench):
    with pytest.raises(StepFailed):
        bench.run(workflow(stage("one", "exit 3", {}, {})), policy=Policy(retries=1))
    told = lines(bench.root / "run/.events.jsonl")
    assert [line["event"] for line in told[2:]] == ["started", "retried", "started", "failed", "run-failed"]
    assert (told[3]["reason"], told[3]["attempt"]) == ("exit code 3", 1)
    assert told[-2]["reason"] == "exit code 3"
    assert told[-1]["message"] == told[-2]["message"]
    assert told[-1]["message"] == "the step one/0 failed (exit code 3)"


def test_what_steps_say_is_not_in_it_but_handed_on(tmp_path):
    seen = Seen()
    with Journal(tmp_path / "j", seen) as journal:
        journal(events.StepSaid(ONE, "secret"))
        journal(events.Warned("odd\nline"))
    assert [line["event"] for line in lines(tmp_path / "j")] == ["warning"]
    assert len(seen.events) == 2


def test_where_nothing_can_be_written_everything_is_handed_on(tmp_path):
    seen = Seen()
    with Journal(tmp_path / "no" / "where", seen) as journal:
        journal(events.Warned("x"))
    journal(events.Warned("after the end"))
    assert seen.warnings() == ["x", "after the end"]


def test_lines_of_many_threads_do_not_mix(tmp_path):
    with Journal(tmp_path / "j", lambda _event: None) as journal:

        def tell(n: int) -> None:
            for k in range(50):
                journal(events.Warned(f"{n} {k} " + "x" * 3000))

        threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(tmp_path / "j")) == 200


def test_where_a_step_runs_is_told(tmp_path):
    hosted = plan(stage("one", "true", {}, {}, environment={"environment_type": "localproc-env"}))
    with Journal(tmp_path / "j", lambda _event: None) as journal:
        journal(events.StepsPlanned(tuple(hosted.values()), True))
        journal(events.Instructed(ONE, "look", tmp_path))
    planned, instructed = lines(tmp_path / "j")
    assert planned["steps"] == [{"step": "one/0", "depends_on": [], "in": "host"}]
    assert (instructed["event"], instructed["instructions"]) == ("instructed", "look")
