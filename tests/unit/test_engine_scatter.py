"""Scattered lists: batches and parts, and which steps each element came from."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import LATE, Play, plan, quick, scattered

from recast_dm.engine import scatter
from recast_dm.errors import SpecError
from recast_dm.model import StepId


def groups(xs: list, **sizes: int) -> list[tuple]:
    steps = plan(quick("one", {"x": {"step": "init", "output": "xs"}}, scatter=scattered("x"), **sizes), xs=xs)
    return [steps[f"one/{n}"].parameters["x"] for n in range(len(steps))]


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_batches_are_full_but_the_last(xs, size):
    found = groups(xs, batchsize=size)
    assert list(itertools.chain(*found)) == xs
    assert all(len(group) == size for group in found[:-1])
    assert all(1 <= len(group) <= size for group in found)


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_parts_are_as_many_as_asked_and_nearly_equal(xs, parts):
    found = groups(xs, partitionsize=parts)
    assert list(itertools.chain(*found)) == xs
    assert len(found) == min(parts, len(xs))
    assert not found or max(map(len, found)) - min(map(len, found)) <= 1


def test_a_group_comes_from_all_its_steps():
    many = quick("many", {"x": [1, 2, 3]}, scatter=scattered("x"))
    each = quick("each", {"v": {"stages": "many", "output": "x"}}, scatter=scattered("v"), batchsize=2)
    steps = plan(many, each)
    assert steps["each/0"].depends_on == (StepId("many", 0), StepId("many", 1))
    assert steps["each/1"].depends_on == (StepId("many", 2),)


@pytest.mark.parametrize("value", [5, "text", {"a": 1}, None])
def test_only_lists_are_scattered(value):
    play = Play(quick("a", {}, LATE), quick("b", {"x": {"step": "a", "output": "x"}}, scatter=scattered("x")))
    assert play.publish("a/0", {"x": value}) == []
    (error,) = play.expansion.errors
    assert error.message == "the stage 'b' scatters over 'x', which is not a list"
    assert error.where is not None
    assert play.waiting() == {}


def test_more_steps_than_anybody_wants_are_refused_before_they_are_made():
    lists = {name: list(range(101)) for name in ("x", "y", "z")}
    with pytest.raises(SpecError, match="the stage 'b' would make more than 1000000 steps") as caught:
        plan(quick("b", lists, scatter=scattered("x", "y", "z", method="cartesian")))
    assert caught.value.where is not None


def test_a_million_combinations_are_not_too_many(monkeypatch):
    monkeypatch.setattr(scatter, "MAX_STEPS", 6)
    fits = {"x": [1, 2, 3], "y": [1, 2]}
    assert len(plan(quick("b", fits, scatter=scattered("x", "y", method="cartesian")))) == 6
    with pytest.raises(SpecError, match="more than 6 steps"):
        plan(quick("b", {**fits, "y": [1, 2, 3]}, scatter=scattered("x", "y", method="cartesian")))


def test_literal_lists_make_no_edges():
    steps = plan(quick("b", {"x": ["{workdir}/a", 2]}, scatter=scattered("x")))
    assert [step.depends_on for step in steps.values()] == [(), ()]
    assert steps["b/0"].input_dirs() == ()


def test_base64_of_the_specification_is_a_list_too():
    steps = plan(quick("b", {"x": ["b64json://WzEsMl0="]}, scatter=scattered("x")))
    assert steps["b/0"].parameters == {"x": (1, 2)}
