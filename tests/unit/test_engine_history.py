"""A run directory read back: while it runs, when it has ended, and when its runner has died."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import localruns
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recast_dm.engine import history
from recast_dm.engine.rundir import RunDirectory
from recast_dm.errors import IntegrityError, StepFailed, UsageError
from recast_dm.model import StepId

STEPS = [
    *("background/0", "signal/0", "signal/1", "limit/0", "scan/0/fit/0", "scan/0/check/0"),
    *("scan/1/fit/0", "scan/1/check/0", "summary/0"),
]


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def finished(place) -> Path:
    localruns.execute(place)
    return place


def states(run: history.Run) -> dict[str, str]:
    return {str(step.id): step.state for step in run.steps}


def test_a_finished_run(finished):
    run = history.read(finished)
    assert (run.state, run.locked, run.complete) == ("finished", False, True)
    assert states(run) == dict.fromkeys(STEPS, "finished")
    assert {step.how for step in run.steps} == {"ran"}
    assert run.elapsed is not None
    assert 0 < run.elapsed < 60
    step = run.step("limit")
    assert step.log is not None
    assert step.log.read_text() == "the limit\n"
    assert (step.where, step.depends_on) == ("host", (StepId("background"), StepId("signal"), StepId("signal", 1)))
    record = run.record(step.id)
    assert record is not None
    assert record["outputs"][0]["path"] == "out"


def test_stages_of_several_sub_workflows_are_one_line(finished):
    stages = history.read(finished).stages()
    assert [stage.name for stage in stages] == [
        "background",
        "signal",
        "limit",
        "scan/*/fit",
        "scan/*/check",
        "summary",
    ]
    assert [stage.count("finished") for stage in stages] == [1, 2, 1, 2, 2, 1]


def test_a_resumed_run_tells_of_its_last_start(finished):
    localruns.execute(finished)
    run = history.read(finished)
    assert {step.how for step in run.steps} == {"kept"}
    assert run.stages()[1].done("kept") == 2
    assert run.step("limit/0").log is not None  # said by the first start


def test_a_failed_run(place):
    with pytest.raises(StepFailed):
        localruns.execute(place, check="echo bad; exit 3", jobs=1)
    run = history.read(place)
    assert run.state == "failed"
    step = run.step("scan/0/check/0")
    assert (step.state, step.reason, step.how) == ("failed", "exit code 3", None)
    assert step.log is not None
    assert step.log.read_text() == "bad\n"
    assert states(run)["summary/0"] == "pending"
    assert run.stages()[-2].state == "failed"


def test_a_run_whose_runner_died_is_stopped(finished):
    localruns.killed(finished, "limit/0")
    run = history.read(finished)
    assert (run.state, run.locked) == ("stopped", False)
    assert states(run)["limit/0"] == "stopped"
    assert states(run)["summary/0"] == "pending"
    assert run.ended is not None


def test_while_somebody_holds_the_lock_it_runs(finished):
    localruns.killed(finished, "limit/0")
    with (finished / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = history.read(finished)
    assert (run.state, run.locked, run.ended) == ("running", True, None)
    assert states(run)["limit/0"] == "running"
    assert run.stages()[2].elapsed is not None
    assert {states(run)[step] for step in ("scan/0/fit/0", "scan/1/fit/0")} <= {"queued", "running", "finished"}
    assert states(run)["summary/0"] == "pending"


def test_asking_for_the_lock_leaves_it_free(finished):
    assert not history.locked(finished)
    with RunDirectory(finished):
        assert history.locked(finished)
    assert not history.locked(finished)
    assert not history.locked(finished / "nowhere")


def test_records_are_the_truth(finished):
    """An event that was lost does not make a finished step unfinished, nor does one make a missing record."""
    found = [e for e in localruns.events(finished) if (e["event"], e.get("step")) != ("ran", "limit/0")]
    localruns.rewrite(finished, found)
    (finished / ".records/background/0.json").unlink()
    run = history.read(finished)
    assert (run.step("limit/0").state, run.step("limit/0").how) == ("finished", "ran")
    assert run.step("background/0").state == "pending"


def test_a_lost_journal(finished):
    (finished / ".events.jsonl").unlink()
    run = history.read(finished)
    assert (run.state, run.began, run.elapsed) == ("stopped", None, None)
    assert sorted(states(run)) == sorted(STEPS)


def test_a_torn_last_line(finished):
    with (finished / ".events.jsonl").open("ab") as file:
        file.write(b'{"time": 1, "event": "run-sta')
    assert history.read(finished).state == "finished"


def test_a_start_that_came_to_nothing_keeps_the_earlier_plan(finished):
    localruns.rewrite(finished, [*localruns.events(finished), {"time": 1.0, "event": "run-started", "runtime": "x"}])
    run = history.read(finished)
    assert run.state == "stopped"
    assert states(run) == dict.fromkeys(STEPS, "finished")


def test_a_run_that_failed_without_a_failed_step(finished):
    found = [event for event in localruns.events(finished) if event["event"] != "run-finished"]
    localruns.rewrite(finished, [*found, {"time": 9.0, "event": "run-failed", "message": "these stages never ran"}])
    run = history.read(finished)
    assert (run.state, run.message) == ("failed", "these stages never ran")


def test_init_steps_are_seen_through(place):
    place.mkdir()
    (place / ".records").mkdir()
    steps = [
        {"step": "a/0", "depends_on": ["init/0"], "in": None},
        {"step": "scan/0/init/0", "depends_on": ["a/0"], "init": True},
        {"step": "scan/0/fit/0", "depends_on": ["scan/0/init/0"], "in": None},
    ]
    localruns.rewrite(place, [{"event": "planned", "steps": steps, "complete": True}])
    run = history.read(place)
    assert list(states(run)) == ["a/0", "scan/0/fit/0"]
    assert run.step("scan/0/fit").depends_on == (StepId("a"),)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sginal/0", "did you mean 'signal/0'?"),
        ("signal/7", "did you mean 'signal/"),
        ("signal", "name one: signal/0 … signal/1"),
        ("", "known here: background/0"),
    ],
)
def test_no_such_step(finished, name, said):
    with pytest.raises(UsageError) as caught:
        history.read(finished).step(name)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(said)


def test_no_such_run(tmp_path):
    with pytest.raises(UsageError, match="is not a run directory"):
        history.read(tmp_path)
    assert history.runs_in(tmp_path / "nowhere") == ()


def test_a_damaged_run_json(finished):
    (finished / "run.json").write_text("{}")
    with pytest.raises(IntegrityError):
        history.read(finished)


def test_the_runs_of_a_place(tmp_path):
    for name in ("a", "b"):
        localruns.execute(tmp_path / name, seeds=[1])
    (tmp_path / "other").mkdir()
    (tmp_path / "latest").symlink_to("b")
    assert [path.name for path in history.runs_in(tmp_path)] == ["a", "b"]


def test_attempts_are_counted_not_sorted_as_text(tmp_path):
    for number in (2, 10, 1):
        (tmp_path / ".attempts" / f"a.0.{number}").mkdir(parents=True)
    found = history.attempts(tmp_path, StepId("a"))
    assert [path.name for path in found] == ["a.0.1", "a.0.2", "a.0.10"]


NAMES = st.sampled_from(
    ["run-started", "planned", "started", "ran", "cached", "kept", "failed", "warning", "run-failed", "run-finished"]
)
STEP = st.one_of(st.sampled_from(["a/0", "b/1", "scan/0/fit/0", "scan/0/init/0", "a", "/", "a/x", ""]), st.integers())
PLANNED = st.fixed_dictionaries(
    {}, optional={"step": STEP, "depends_on": st.one_of(st.lists(STEP), STEP), "in": st.none(), "init": st.booleans()}
)
EVENTS = st.fixed_dictionaries(
    {"event": NAMES},
    optional={
        "time": st.one_of(st.floats(0, 1e10), st.text(), st.integers()),
        "step": STEP,
        "steps": st.one_of(st.lists(PLANNED), st.text()),
        "complete": st.booleans(),
        "seconds": st.one_of(st.none(), st.floats(0, 100)),
        "reason": st.text(),
    },
)


@settings(max_examples=150)
@given(st.lists(EVENTS, max_size=12), st.booleans())
def test_whatever_the_journal_says_it_can_be_read(tmp_path_factory, found, busy):
    place = tmp_path_factory.mktemp("run")
    (place / ".records/a").mkdir(parents=True)
    (place / ".records/a/0.json").write_text("{}")
    (place / ".events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in [*found, 5, None]))
    with (place / ".lock").open("w") as lock:
        if busy:
            fcntl.flock(lock, fcntl.LOCK_EX)
        run = history.read(place)
    assert all(step.state in ("pending", "queued", "running", "finished", "failed", "stopped") for step in run.steps)
    assert sum(len(stage.steps) for stage in run.stages()) == len(run.steps)
