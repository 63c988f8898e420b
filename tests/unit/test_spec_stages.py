"""Stages as the specification writes them: schedulers, dependencies, expressions, bodies."""

from __future__ import annotations

import pytest
import yaml
from workbench import quick, scattered, substage

from recast_dm import spec
from recast_dm.errors import SpecError
from recast_dm.model import Cases, OutputSelector, RegisteredValue, Stage, SubWorkflow
from recast_dm.spec import text

ONE = quick("one", {"x": 1})
SELECTOR = {"expression_type": "stage-output-selector"}


def read(stage: dict, *others: dict) -> Stage:
    source = yaml.safe_dump({"stages": [*others, stage]})
    return spec.parse_workflow(text.parse(source, "w.yml")).stages[-1]


def refusal(stage: dict, *others: dict) -> SpecError:
    with pytest.raises(SpecError) as caught:
        read(stage, *others)
    assert caught.value.where is not None
    return caught.value


class TestExpressions:
    @pytest.mark.parametrize(
        ("value", "query", "output", "many"),
        [
            ({"step": "one", "output": "x"}, "one", "x", False),
            ({"stages": "one[*]", "output": "x"}, "one[*]", "x", True),
            ({"steps": "one"}, "one", None, True),
            ({"steps": "one", "output": None}, "one", None, True),
            ({**SELECTOR, "step": "one", "output": "x"}, "one", "x", False),
        ],
    )
    def test_selectors(self, value, query, output, many):
        found = read(quick("two", {"v": value}), ONE).parameters["v"]
        assert isinstance(found, OutputSelector)
        assert (found.query, found.output, found.many) == (query, output, many)

    def test_registered_values(self):
        value = {"expression_type": "fromvalue", "key": "k", "scope": "one[0]"}
        found = read(quick("two", {"v": value}), ONE).parameters["v"]
        assert isinstance(found, RegisteredValue)
        assert (found.key, found.scope) == ("k", "one[0]")

    @pytest.mark.parametrize("value", [{"a": 1}, {"output": "x"}, [1, {"step": "one"}], "one", None, 1.5])
    def test_everything_else_is_a_value(self, value):
        found = read(quick("two", {"v": value}), ONE).parameters["v"]
        assert not isinstance(found, OutputSelector | RegisteredValue)

    def test_in_a_list_of_parameters_a_selector_says_its_type(self):
        """As upstream: there `{step: ..., output: ...}` is a mapping."""
        bare = {"step": "one", "output": "x"}
        two = quick("two", [{"key": "v", "value": bare}, {"key": "w", "value": {**SELECTOR, **bare}}])
        parameters = read(two, ONE).parameters
        assert parameters["v"] == bare
        assert isinstance(parameters["w"], OutputSelector)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"expression_type": "formvalue", "key": "k"}, "unknown expression_type 'formvalue'"),
            ({"expression_type": "fromvalue"}, "lacks the key 'key'"),
            ({"expression_type": "fromvalue", "key": "k", "output": "x"}, "has no key 'output'"),
            ({"expression_type": "fromvalue", "key": "k", "scope": "a["}, "is no JSONPath"),
            (dict(SELECTOR), "needs exactly one of step, steps, stages"),
            ({"step": "one["}, "is no JSONPath"),
            ({"step": 5}, "must be a text"),
            ({"step": "one", "flatten": "yes"}, "flatten must be true or false"),
        ],
    )
    def test_what_cannot_be(self, value, message):
        assert message in refusal(quick("two", {"v": value}), ONE).message


class TestDependencies:
    def test_expressions(self):
        needs = {
            "dependency_type": "expressions_fulfilled",
            "expressions": [{**SELECTOR, "step": "one", "output": "x"}],
        }
        stage = read(quick("two", {}, needs=needs), ONE)
        assert stage.dependencies == ()
        assert [e.query for e in stage.fulfilled] == ["one"]

    def test_they_must_be_expressions(self):
        needs = {"dependency_type": "expressions_fulfilled", "expressions": ["one"]}
        assert "must be expressions" in refusal(quick("two", {}, needs=needs), ONE).message


class TestBodies:
    @pytest.mark.parametrize(
        ("options", "discover", "relative"),
        [(None, False, True), ({}, False, True), ({"discover": True}, True, True), ({"relative": False}, False, False)],
    )
    def test_workflows(self, options, discover, relative):
        body = read(substage("sub", ONE, workflow_opts=options)).body
        assert isinstance(body, SubWorkflow)
        assert [stage.name for stage in body.workflow.stages] == ["one"]
        assert (body.discover, body.relative) == (discover, relative)

    def test_cases(self):
        step = ONE["scheduler"]["step"]
        body = read(quick("two", {"x": 1}, cases=[{"if": ".x", "step": step}, {"if": "true", "step": step}])).body
        assert isinstance(body, Cases)
        assert [case.condition for case in body.cases] == [".x", "true"]

    @pytest.mark.parametrize(
        ("scheduler", "message"),
        [
            ({"workflow": {"stages": [ONE]}, "step": {}}, "needs exactly one of step, workflow, cases"),
            ({"workflow": {"stages": [ONE]}, "workflow_opts": {"relativ": 1}}, "has no key 'relativ'"),
            ({"workflow": {"stages": [ONE]}, "workflow_opts": {"relative": 1}}, "relative must be true or false"),
            ({"workflow": {}}, "the workflow of 'two' lacks the key 'stages'"),
            ({"cases": [{"step": {}}]}, "lacks the key 'if'"),
            ({"cases": [{"if": "true"}]}, "needs either step or workflow"),
            ({"cases": [{"if": "env.X", "workflow": {"stages": [ONE]}}]}, "reads the machine"),
            ({"cases": [{"if": ".a |", "workflow": {"stages": [ONE]}}]}, "jq does not understand"),
            ({"cases": {}}, "must be a list"),
        ],
    )
    def test_what_cannot_be(self, scheduler, message):
        made = {"name": "two", "scheduler": {"scheduler_type": "singlestep-stage", "parameters": {}, **scheduler}}
        assert message in refusal(made).message

    def test_raw_reaches_stages_of_sub_workflows_by_their_way(self):
        body = {"process": {"process_type": "string-interpolated-cmd", "cmd": "run `{x}`"}}
        fit = quick("fit", {"x": 1})
        fit["scheduler"]["step"].update(body, environment={"environment_type": "localproc-env"})
        tree = text.parse(yaml.safe_dump({"stages": [substage("scan", fit)]}))
        for raw in (frozenset(), frozenset({"fit"}), frozenset({"scan"})):
            with pytest.raises(SpecError, match="after a backquote"):
                spec.parse_workflow(tree, raw_stages=raw)
        assert spec.parse_workflow(tree, raw_stages=frozenset({"scan/fit"})).stages


class TestJqStages:
    def test_scripts_have_defaults(self):
        jq = read(quick("two", bindings={"a": {"$wflowref": [".one[]", ".x"]}}), ONE).jq
        assert jq is not None
        assert (jq.stepscript, jq.postscript) == ("[.]", ".")

    @pytest.mark.parametrize(
        ("scheduler", "message"),
        [
            ({"bindings": 5}, "bindings must be a mapping"),
            ({"bindings": {"$wflowref": ["."]}}, "$wflowref needs two jq programs"),
            ({"bindings": {"a": [{"$wflowref": [".", "env"]}]}}, "reads the machine"),
            ({"bindings": {"a": {"$wflowref": "."}}}, "$wflowref must be a list"),
            ({"bindings": {}, "stepscript": "["}, "jq does not understand"),
            ({"bindings": {}, "postscript": "$ENV"}, "reads the machine"),
            ({"bindings": {}, "scatter": scattered("x")}, "has no key 'scatter'"),
        ],
    )
    def test_what_cannot_be(self, scheduler, message):
        made = quick("two", bindings={})
        made["scheduler"].update(scheduler)
        made["scheduler"]["scheduler_type"] = "jq-stage"
        made["scheduler"].pop("parameters", None)
        made["scheduler"]["step"] = ONE["scheduler"]["step"] | {
            "publisher": {"publisher_type": "constant-pub", "publish": 1}
        }
        assert message in refusal(made, ONE).message


class TestScatters:
    @pytest.mark.parametrize("value", [5, "text", {"a": 1}])
    def test_a_literal_that_is_no_list(self, value):
        error = refusal(quick("two", {"x": value}, scatter=scattered("x")))
        assert f"runs over 'x', which is {value!r} and not a list" in error.message
        assert error.hint == "write a list, or select one"

    @pytest.mark.parametrize(("key", "size"), [("batchsize", -1), ("partitionsize", True), ("batchsize", 1.5)])
    def test_sizes_are_whole(self, key, size):
        assert (
            f"{key} must be a whole number"
            in refusal(quick("two", {"x": []}, scatter=scattered("x"), **{key: size})).message
        )
