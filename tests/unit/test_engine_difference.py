"""What made a step's work other work: the exact parameter, file or part, and the step where it began."""

from __future__ import annotations

from typing import Any

import localruns
import pytest

from recast_dm.engine import difference, history
from recast_dm.model import StepId


def record(**parts: Any) -> dict[str, Any]:
    whole = {"version": 2, "image": None, "environment": {}, "process": {}, "publisher": {}, "parameters": {}}
    return {"step": "a/0", "tree": "t", "key_parts": {**whole, **parts}, "depends_on": [], "outputs": []}


def changed(was: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    return [(c.part, c.name, c.before, c.after) for c in difference.compare(was, now)]


@pytest.mark.parametrize(
    ("part", "was", "now", "expected"),
    [
        ("parameters", {"m": 1}, {"m": 1}, []),
        ("parameters", {"m": 1}, {"m": 1.0}, [("m", 1, 1.0)]),
        ("parameters", {"m": 1}, {"m": True}, [("m", 1, True)]),
        ("parameters", {"m": 1}, {}, [("m", 1, None)]),
        ("parameters", {"m": [1, 2]}, {"m": [1, 3]}, [("m[1]", 2, 3)]),
        ("parameters", {"m": [1, 2]}, {"m": [1]}, [("m", [1, 2], [1])]),
        ("parameters", {"m": {"mapping": {"a": {"mapping": {"b": 1}}}}}, {"m": {"mapping": {"a": 5}}},
         [("m.a", {"mapping": {"b": 1}}, 5)]),
        ("image", {"diff_ids": ["x", "y"]}, {"diff_ids": ["x", "z"]}, [("diff_ids[1]", "y", "z")]),
        ("image", None, {"diff_ids": ["x"]}, [("", None, {"diff_ids": ["x"]})]),
        ("process", {"text": "a"}, {"text": "b"}, [("text", "a", "b")]),
        ("environment", {"env": {"A": "1"}}, {"env": {}}, [("env.A", "1", None)]),
        ("relaxations", [], ["raw"], [("", [], ["raw"])]),
        ("publisher", {"a": {"path": "x"}}, {"a": {"path": "y"}}, [("a", {"path": "x"}, {"path": "y"})]),
    ],
)  # fmt: skip
def test_parts(part, was, now, expected):
    assert changed(record(**{part: was}), record(**{part: now})) == [(part, *rest) for rest in expected]


@pytest.fixture
def two(tmp_path):
    localruns.execute(tmp_path / "a", m=1)
    localruns.execute(tmp_path / "b", m=2)
    return history.read(tmp_path / "a").record, history.read(tmp_path / "b").record


def test_a_change_is_followed_to_the_step_where_it_began(two):
    told = difference.explain(StepId("summary"), *two)
    assert told is not None
    assert {(c.name, str(c.input.step)) for c in told.changes if c.input} == {
        ("all[0]", "scan/0/check/0"),
        ("all[1]", "scan/1/check/0"),
    }
    assert told.changes[0].input.files == (difference.FileChange("out", "changed"),)
    assert {str(root.step) for root in told.roots()} == {"signal/0", "signal/1"}
    root = next(told.roots())
    assert [(c.part, c.name, c.before, c.after) for c in root.changes] == [("parameters", "m", 1, 2)]


def test_the_same_work_has_no_changes(two):
    told = difference.explain(StepId("background"), *two)
    assert told is not None
    assert told.changes == ()


def test_a_step_that_is_missing_cannot_be_compared(two):
    assert difference.explain(StepId("nowhere"), *two) is None


def test_files_that_came_and_went():
    def side(tree: str, files: dict[str, str]) -> difference.Lookup:
        outputs = [{"path": path, "sha256": sha, "executable": False} for path, sha in files.items()]
        source = {**record(), "step": "s/0", "tree": tree, "outputs": outputs}
        parameters = {"x": {"path": [{"tree": tree}, "/out"]}}
        used = {**record(parameters=parameters), "depends_on": ["s/0"]}
        return {StepId("s"): source, StepId("a"): used}.get

    told = difference.explain(
        StepId("a"),
        side("1", {"gone": "x", "same": "y", "new": "1"}),
        side("2", {"same": "y", "new": "2", "more": "3"}),
    )
    assert told is not None
    assert told.changes[0].input == difference.Input(
        StepId("s"),
        (
            difference.FileChange("gone", "removed"),
            difference.FileChange("more", "added"),
            difference.FileChange("new", "changed"),
        ),
    )


def test_a_tree_of_no_step_is_that_of_the_init_directory():
    was, now = (record(parameters={"x": {"path": [{"tree": tree}, "/yields"]}}) for tree in "12")
    (change,) = difference.compare(was, now)
    assert change.input == difference.Input(StepId("init"), ())
