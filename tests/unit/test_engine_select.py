"""What stages see: selectors, JSONPaths, registered values, fulfilled expressions, and cases."""

from __future__ import annotations

import pytest
from workbench import LATE, Play, plan, quick, scattered, substage

from recast_dm.errors import SpecError
from recast_dm.model import StepId


def of(name: str, output: str, word: str = "step") -> dict:
    return {word: name, "output": output}


def selector(**more: object) -> dict:
    return {"expression_type": "stage-output-selector", **more}


def registered(key: str, **more: object) -> dict:
    return {"expression_type": "fromvalue", "key": key, **more}


def fulfilled(*expressions: dict) -> dict:
    return {"dependency_type": "expressions_fulfilled", "expressions": list(expressions)}


class TestSelectors:
    @pytest.mark.parametrize(
        ("asked", "value"),
        [
            ({"step": "one"}, {"x": 7, "deep": {"er": (1, 2)}, "a.b": 3}),
            ({"step": "one", "output": "x"}, 7),
            ({"step": "one", "output": "deep"}, {"er": (1, 2)}),
            ({"step": "one", "output": "deep.er"}, (1, 2)),
            ({"step": "one", "output": "deep.er[1]"}, 2),
            ({"step": "one", "output": "a.b"}, 3),
            ({"step": "one[0]", "output": "x"}, 7),
            ({"step": "$.one[0]", "output": "x"}, 7),
            ({"stages": "one", "output": "deep.er", "flatten": True}, (1, 2)),
        ],
    )
    def test_names_before_paths(self, asked, value):
        one = quick("one", {}, LATE)
        play = Play(one, quick("two", {"v": asked}))
        play.publish("one/0", {"x": 7, "deep": {"er": [1, 2]}, "a.b": 3})
        assert play.parameters("two/0") == {"v": value}

    @pytest.mark.parametrize(
        ("output", "message"),
        [("y", "publishes no 'y'"), ("x.y", "publishes no 'x.y'"), ("l[*]", "publishes 2 values for 'l[*]'")],
    )
    def test_an_output_must_be_one(self, output, message):
        play = Play(quick("one", {}, LATE), quick("two", {"v": of("one", output)}))
        assert play.publish("one/0", {"x": 7, "l": [1, 2]}) == []
        (error,) = play.expansion.errors
        assert error.message == f"the step one/0 {message}"
        assert error.where is not None
        assert error.hint == "it publishes: l, x"

    def test_an_init_parameter_that_nobody_gave(self):
        with pytest.raises(SpecError, match="there is no init parameter 'mas'") as caught:
            plan(quick("two", {"v": of("init", "mas")}), mass=5)
        assert caught.value.where is not None
        assert caught.value.hint == "give it with -p mas=VALUE; did you mean 'mass'?"

    def test_an_empty_output_is_everything(self):
        play = Play(quick("one", {}, LATE), quick("two", {"v": of("one", "")}))
        play.publish("one/0", {"x": 7})
        assert play.parameters("two/0") == {"v": {"x": 7}}

    def test_some_steps_of_a_stage(self):
        many = quick("many", {"x": [1, 2, 3, 4]}, scatter=scattered("x"))
        steps = plan(many, quick("two", {"v": of("many[1:3]", "x", "stages")}, needs=["many"]))
        assert steps["two/0"].parameters == {"v": (2, 3)}
        assert steps["two/0"].depends_on == (StepId("many", 1), StepId("many", 2))

    def test_null_and_false_make_no_edge(self):
        """As upstream: what nothing came from is waited for by nobody."""
        play = Play(quick("one", {}, LATE), quick("two", {"a": of("one", "a"), "b": of("one", "b")}))
        play.publish("one/0", {"a": None, "b": [False, {"c": None}]})
        assert play.steps["two/0"].depends_on == ()

    @pytest.mark.parametrize("value", [0, "", [0], {"a": 0}])
    def test_other_empty_values_do(self, value):
        play = Play(quick("one", {}, LATE), quick("two", {"a": of("one", "a")}))
        play.publish("one/0", {"a": value})
        assert play.steps["two/0"].depends_on == (StepId("one"),)

    def test_step_of_a_stage_without_steps(self):
        with pytest.raises(SpecError, match="needs exactly one step; there are 0"):
            plan(quick("many", {"x": []}, scatter=scattered("x")), quick("two", {"v": of("many", "x")}))


class TestFulfilled:
    @pytest.mark.parametrize("value", [1, 0, "", "x", [0], {"a": None}, True])
    def test_a_value_is_enough(self, value):
        play = Play(quick("a", {}, LATE), quick("b", {}, needs=fulfilled(selector(step="a", output="x"))))
        assert play.waiting() == {"b": "'a' has not published"}
        assert play.publish("a/0", {"x": value}) == ["b/0"]

    @pytest.mark.parametrize("value", [None, False, [], {}])
    def test_nothing_is_not(self, value):
        play = Play(quick("a", {}, LATE), quick("b", {}, needs=fulfilled(selector(step="a", output="x"))))
        assert play.publish("a/0", {"x": value}) == []
        assert play.waiting() == {"b": "'a' has no value"}

    def test_all_of_them(self):
        both = fulfilled(selector(step="a", output="x"), registered("v"))
        play = Play(
            quick("a", {}, LATE),
            quick("c", {}, LATE, register_values={"v": selector(step="c", output="x")}),
            quick("b", {}, needs=both),
        )
        assert play.publish("a/0", {"x": 1}) == []
        assert play.publish("c/0", {"x": 1}) == ["b/0"]


class TestRegisteredValues:
    SUB = substage(
        "sub",
        quick("in", {}, LATE, register_values={"best": selector(step="in", output="x")}),
        parameters={"n": [1, 2]},
        scatter=scattered("n"),
    )

    def test_a_stage_of_this_scope_registers_them(self):
        a = quick("a", {}, LATE, register_values={"best": selector(step="a", output="x")})
        play = Play(quick("b", {"v": registered("best")}), a)
        assert play.publish("a/0", {"x": 5}) == ["b/0"]
        assert play.parameters("b/0") == {"v": 5}
        assert play.steps["b/0"].depends_on == (StepId("a"),)

    def test_they_are_there_when_the_stage_is_scheduled_not_before(self):
        late = quick("late", {"x": of("gate", "x")}, register_values={"v": selector(step="gate", output="x")})
        play = Play(quick("b", {"v": registered("v")}), late, quick("gate", {}, LATE))
        assert play.waiting()["b"] == "the value 'v' is not registered yet"
        assert set(play.publish("gate/0", {"x": 5})) == {"late/0", "b/0"}

    def test_nobody_registers_it(self):
        assert plan(quick("b", {"v": registered("nope")}))["b/0"].parameters == {"v": None}

    @pytest.mark.parametrize("value", [[], {}, False])
    def test_nothing_is_null(self, value):
        """As upstream's `fromvalue`."""
        a = quick("a", {}, LATE, register_values={"v": selector(step="a", output="x")})
        play = Play(a, quick("b", {"v": registered("v")}))
        play.publish("a/0", {"x": value})
        assert play.parameters("b/0") == {"v": None}

    def test_of_another_scope(self):
        play = Play(self.SUB, quick("b", {"v": registered("best", scope="sub[1]")}))
        assert play.publish("sub/0/in/0", {"x": 1}) == []
        assert play.publish("sub/1/in/0", {"x": 2}) == ["b/0"]
        assert play.parameters("b/0") == {"v": 2}
        assert play.steps["b/0"].depends_on == (StepId("sub/1/in"),)

    def test_a_scope_must_be_one(self):
        play = Play(self.SUB, quick("b", {"v": registered("best", scope="sub")}))
        (error,) = play.expansion.errors
        assert "the scope 'sub' means 2 sub-workflows, not one" in error.message

    def test_a_scope_is_a_sub_workflow(self):
        play = Play(quick("a", {}), quick("b", {"v": registered("best", scope="a")}))
        (error,) = play.expansion.errors
        assert "means 0 sub-workflows" in error.message

    def test_an_output_of_a_sub_workflow_is_what_is_registered_in_it(self):
        play = Play(self.SUB, quick("b", {"v": of("sub", "best", "stages")}))
        play.publish("sub/1/in/0", {"x": 2})
        assert play.publish("sub/0/in/0", {"x": 1}) == ["b/0"]
        assert play.parameters("b/0") == {"v": (1, 2)}
        assert set(play.steps["b/0"].depends_on) == {StepId("sub/0/in"), StepId("sub/1/in")}

    def test_they_may_name_each_other_but_not_for_ever(self):
        a = quick("a", {"x": 1}, register_values={"p": registered("q"), "q": selector(step="a", output="x")})
        assert plan(a, quick("b", {"v": registered("p")}))["b/0"].parameters == {"v": 1}
        circle = quick("a", {"x": 1}, register_values={"p": registered("q"), "q": registered("p")})
        with pytest.raises(SpecError, match=r"the registered value '[pq]' leads back to itself"):
            plan(circle, quick("b", {"v": registered("p")}))

    def test_a_value_that_is_no_expression(self):
        a = quick("a", {"x": 1}, register_values={"p": "text"})
        with pytest.raises(SpecError, match=r"the registered value 'p' is 'text', and no expression"):
            plan(a, quick("b", {"v": registered("p")}))

    def test_a_scatter_can_run_over_one(self):
        a = quick("a", {}, LATE, register_values={"v": selector(step="a", output="xs")})
        play = Play(a, quick("b", {"v": registered("v")}, scatter=scattered("v")))
        assert play.publish("a/0", {"xs": [1, 2]}) == ["b/0", "b/1"]


class TestCases:
    def bodies(self, *conditions: str) -> list[dict]:
        return [
            {
                "if": condition,
                "step": {
                    "process": None,
                    "environment": None,
                    "publisher": {"publisher_type": "constant-pub", "publish": {"case": n}},
                },
            }
            for n, condition in enumerate(conditions)
        ]

    def chosen(self, *conditions: str, **parameters: object) -> object:
        one = quick("one", parameters, cases=self.bodies(*conditions))
        steps = plan(one, quick("two", {"v": of("one", "case", "stages")}))
        return steps["two/0"].parameters["v"]

    @pytest.mark.parametrize(("m", "case"), [(5, 0), (50, 1), (500, 2)])
    def test_the_first_that_holds(self, m, case):
        assert self.chosen(".m < 10", ".m < 100", "true", m=m) == (case,)

    @pytest.mark.parametrize("value", [0, None, False, "", [], {}])
    def test_what_python_calls_false_does_not_hold(self, value):
        """As upstream: jq itself would call 0 and "" true."""
        assert self.chosen(".m", "true", m=value) == (1,)

    def test_none_holds(self):
        one = quick("one", {"m": 1}, cases=self.bodies("false"))
        play = Play(one, quick("two", {}, needs=["one"]))
        assert play.steps == {}
        assert play.waiting() == {"two": "'one' made no step"}

    def test_they_are_decided_for_each_scattered_element(self):
        one = quick("one", {"m": [1, 20, 3]}, scatter=scattered("m"), cases=self.bodies(".m > 10"))
        steps = plan(one)
        assert {name: step.parameters for name, step in steps.items()} == {"one/0": {"m": 20}}

    def test_a_case_may_be_a_workflow(self):
        workflow = {"stages": [quick("in", {"x": of("init", "m")})]}
        one = quick("one", {"m": 1}, cases=[{"if": ".m == 1", "workflow": workflow}])
        assert plan(one)["one/0/in/0"].parameters == {"x": 1}

    def test_a_condition_that_says_nothing_does_not_hold(self):
        assert self.chosen("empty", "true", m=1) == (1,)

    def test_a_condition_that_fails_says_where(self):
        with pytest.raises(SpecError, match="Cannot index") as caught:
            self.chosen(".m.x", m=1)
        assert caught.value.where is not None
