"""The scheduler jq-stage: parameter sets out of the scope's steps and their results."""

from __future__ import annotations

import base64
import json

import pytest
from workbench import LATE, Play, plan, quick, scattered, stage, substage

from recast_dm.errors import SpecError
from recast_dm.model import Dir, Path, StepId


def reference(nodes: str, results: str) -> dict:
    return {"$wflowref": [nodes, results]}


MANY = quick("many", {"x": [1, 2, 3]}, scatter=scattered("x"))


def jq(bindings: dict, **more: object) -> dict:
    """A stage whose steps publish what they are given; they start nothing."""
    return quick("jq", publisher={"publisher_type": "fromparjq-pub"}, bindings=bindings, **more)


def sets(*stages: dict) -> list[object]:
    return [step.parameters for name, step in plan(*stages).items() if name.startswith("jq/")]


class TestParameterSets:
    def test_without_scripts_the_bindings_are_the_one_set(self):
        assert sets(jq({"a": 1, "b": {"c": [2]}})) == [{"a": 1, "b": {"c": (2,)}}]

    def test_stepscript_makes_a_list_and_postscript_finishes_each(self):
        made = jq({"ns": [1, 2]}, stepscript="[.ns[] | {n: .}]", postscript="{n: (.n * 10)}")
        assert sets(made) == [{"n": 10}, {"n": 20}]

    def test_a_reference_is_the_results_of_steps(self):
        made = jq({"xs": reference(".many[]", ".x")}, stepscript="[{all: [.xs[][]]}]")
        assert sets(MANY, made) == [{"all": (1, 2, 3)}]

    def test_the_stepscript_sees_pointers_and_the_postscript_values(self):
        see = 'map(.xs[0][0] | has("$wflowpointer"))'
        made = jq({"xs": reference(".many[0]", ".x")}, stepscript=f"[.] | {see} | [{{seen: .[0]}}]")
        assert sets(MANY, made) == [{"seen": True}]
        doubled = jq(
            {"xs": reference(".many[]", ".x")}, stepscript="[.xs[][] | {x: .}]", postscript=".x *= 2 | .x -= 1"
        )
        assert sets(MANY, doubled) == [{"x": 1}, {"x": 3}, {"x": 5}]

    def test_each_set_depends_on_the_steps_whose_values_are_in_it(self):
        made = jq({"xs": reference(".many[]", ".x")}, stepscript="[.xs[][] | {x: .}] | .[1:]")
        steps = plan(MANY, made)
        assert [steps[f"jq/{n}"].depends_on for n in (0, 1)] == [(StepId("many", 1),), (StepId("many", 2),)]

    def test_results_may_be_deep_with_any_key(self):
        play = Play(quick("a", {}, LATE), jq({"v": reference(".a[]", ".")}, stepscript="[{v: .v[0][0]}]"))
        value = {"a/b": [{"~x": 1}, None, False], "c": {"0": "t"}}
        assert play.publish("a/0", value) == ["jq/0"]
        assert play.parameters("jq/0") == {"v": {"a/b": ({"~x": 1}, None, False), "c": {"0": "t"}}}

    def test_paths_stay_paths(self):
        a = stage("a", "true", {}, {"f": "{workdir}/f.root"})
        path = Path((Dir(StepId("a")), "/f.root"))
        made = jq({"f": reference(".a[]", ".f")}, stepscript="[{f: .f[0][0]}]", postscript='{f: .f, g: (.f + ".gz")}')
        found = plan(a, made)["jq/0"]
        assert found.parameters == {"f": path, "g": Path((Dir(StepId("a")), "/f.root.gz"))}
        assert found.input_dirs() == (StepId("a"),)

    def test_workdir_is_each_steps_own(self):
        assert sets(jq({"ns": [1, 2]}, stepscript='[.ns[] | {out: "{workdir}/\\(.)"}]')) == [
            {"out": Path((Dir(StepId("jq", n - 1)), f"/{n}"))} for n in (1, 2)
        ]

    def test_leaves_in_base64_are_what_they_stand_for(self):
        leaf = "b64json://" + base64.b64encode(json.dumps({"m": [1]}).encode()).decode()
        assert sets(jq({"v": leaf})) == [{"v": {"m": (1,)}}]

    def test_lists_and_single_values_are_parameters_too(self):
        steps = plan(jq({"x": 1}, stepscript='[[1, "a"], 7]'))
        assert steps["jq/0"].named() == {"0": 1, "1": "a"}
        assert steps["jq/1"].named() == {"value": 7}

    def test_an_empty_list_is_no_step(self):
        assert sets(jq({}, stepscript="[]")) == []

    def test_sub_workflows_are_scheduled_too(self):
        body = {"stages": [quick("in", {"x": {"step": "init", "output": "n"}})]}
        made = {"name": "jq", "scheduler": {"scheduler_type": "jq-stage", "bindings": {"ns": [4, 5]}}}
        made["scheduler"] |= {"stepscript": "[.ns[] | {n: .}]", "workflow": body}
        steps = plan(made)
        assert [steps[f"jq/{n}/in/0"].parameters for n in (0, 1)] == [{"x": 4}, {"x": 5}]

    def test_steps_in_sub_workflows_can_be_referred_to(self):
        sub = substage("sub", quick("in", {"x": 5}))
        made = jq({"v": reference(".sub[].in[]", ".x")}, stepscript="[{v: .v[0][0]}]")
        assert sets(sub, {**made, "dependencies": ["sub"]}) == [{"v": 5}]


class TestWaiting:
    def test_a_stage_waits_until_what_it_refers_to_is_there_and_has_published(self):
        play = Play(
            jq({"v": reference(".b[]", ".x")}, stepscript="[{v: .v[0][0]}]"),
            quick("a", {}, LATE),
            quick("b", {"go": {"step": "a", "output": "x"}}, LATE),
        )
        assert "Cannot iterate over null" in play.waiting()["jq"]
        assert play.publish("a/0", {"x": 1}) == ["b/0"]
        assert play.waiting() == {"jq": "b/0 has not published"}
        assert play.publish("b/0", {"x": 2}) == ["jq/0"]
        assert play.parameters("jq/0") == {"v": 2}


class TestErrors:
    @pytest.mark.parametrize(
        ("scripts", "message"),
        [
            ({"stepscript": "{}"}, "the stepscript must make a list"),
            ({"stepscript": "empty"}, "makes nothing"),
            ({"stepscript": ".n.x"}, "Cannot index number"),
            ({"postscript": 'error("oh")'}, "fails: oh"),
            ({"postscript": "empty"}, "makes nothing"),
            ({"stepscript": '[{"$wflowpointer": {"step": "nope/0", "result": ""}}]'}, "points at no published value"),
            ({"stepscript": '[{"$wflowpointer": {"step": "init/0", "result": "/q"}}]'}, "points at no published value"),
            ({"stepscript": '[{"$wflowpointer": 5}]'}, "points at no published value"),
            ({"stepscript": '["b64json://!"]'}, "is not JSON in base64"),
        ],
    )
    def test_what_a_program_gets_wrong_is_said_with_its_place(self, scripts, message):
        with pytest.raises(SpecError, match=message) as caught:
            plan(jq({"n": 1}, **scripts), m=1)
        assert caught.value.where is not None
