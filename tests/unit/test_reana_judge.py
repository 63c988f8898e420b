"""How a workflow at REANA ended: its state is a claim, its progress and its files are what is judged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.backends.reana.judge import absent, all_done, judge
from recast_dm.backends.reana.values import STATES, Progress, Status


def status(state: str, total: int = 2, finished: int = 2, failed: int = 0) -> Status:
    progress = Progress(total=total, finished=finished, failed=failed)
    return Status(name="a.1", id="1", state=state, progress=progress)


THERE = ["limit/limit.json", "signal_0/events.txt"]


@pytest.mark.parametrize(
    ("state", "steps", "outputs", "outcome", "why"),
    [
        ("finished", (2, 2, 0), ["limit/limit.json"], "success", ""),
        ("finished", (2, 2, 0), ["limit/limit.json", "plot.png"], "failure", "outputs are not there: plot.png"),
        ("finished", (0, 0, 0), ["limit/limit.json", "x"], "failure", "outputs are not there: x"),
        ("failed", (2, 2, 0), ["limit/limit.json"], "success", "what died came after them"),
        ("failed", (2, 2, 0), ["plot.png"], "failure", "every step finished, but outputs are not there: plot.png"),
        ("failed", (2, 2, 0), [], "failure", "no output is declared"),
        ("failed", (0, 0, 0), ["limit"], "failure", "0 of 0 steps finished"),
        ("failed", (3, 2, 0), ["limit"], "failure", "2 of 3 steps finished"),
        ("failed", (3, 2, 1), ["limit"], "failure", "1 of 3 steps failed"),
        ("failed", (2, 2, 1), ["limit"], "failure", "1 of 2 steps failed"),
        ("stopped", (2, 2, 0), ["limit"], "stopped", ""),
        ("deleted", (2, 2, 0), ["limit"], "deleted", ""),
        ("running", (2, 2, 0), ["limit"], "open", ""),
        ("queued", (0, 0, 0), ["limit"], "open", ""),
    ],
)
def test_verdicts(state, steps, outputs, outcome, why):
    found = judge(status(state, *steps), outputs, THERE)
    assert (found.outcome, found.success) == (outcome, outcome == "success")
    assert why in found.why
    assert bool(found.why) == bool(why)


@given(
    state=st.sampled_from(STATES),
    steps=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    outputs=st.lists(st.sampled_from(["a", "b/", "c/d", "e*"]), unique=True),
    there=st.lists(st.sampled_from(["a", "b/x", "c/d/e", "ef", "g"]), unique=True),
)
def test_success_is_never_claimed_where_an_output_is_missing(state, steps, outputs, there):
    found = judge(status(state, *steps), outputs, there)
    if found.success:
        assert not absent(outputs, there)
        assert state == "finished" or (state == "failed" and steps[0] > 0 and outputs and not steps[2])
    else:
        assert state != "finished" or absent(outputs, there)


def test_outputs():
    assert absent(["limit", "signal_0/", "/limit/limit.json", "signal_?/*.txt"], THERE) == ()
    no = ("lim", "limit/limit", "signal_1", "*.json/x")
    assert absent(no, THERE) == no


def test_no_step_is_not_all_of_them():
    assert not all_done(Progress())
    assert all_done(Progress(total=1, finished=1))
