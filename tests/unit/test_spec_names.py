"""Names that fit together: stages, outputs, scopes, and an order that exists."""

from __future__ import annotations

import pytest
import yaml
from workbench import LATE, quick, scattered, substage

from recast_dm.spec import names, text, yadage

SELECTOR = {"expression_type": "stage-output-selector"}
ONE = quick("one", {"x": 1})
SUB = substage("sub", quick("fit", {"m": 1}, register_values={"best": {**SELECTOR, "step": "fit", "output": "m"}}))


def errors(*stages: dict, **more: object) -> list[tuple[str, str | None]]:
    _, problems = yadage.inspect(text.parse(yaml.safe_dump({"stages": list(stages)})), **more)
    return [(error.message, error.hint) for error in problems.errors]


def selecting(query: str, output: str | None = None, word: str = "stages") -> list[tuple[str, str | None]]:
    value = {word: query} if output is None else {word: query, "output": output}
    return errors(ONE, SUB, quick("late", {}, LATE), quick("two", {"v": value}))


class TestSelectors:
    @pytest.mark.parametrize(
        ("query", "output"),
        [
            ("one", "x"),
            ("one[0]", "x"),
            ("$.one", "x"),
            ("one", None),
            ("one", "x.deep"),
            ("one", "x[0]"),
            ("sub[*].fit", "m"),
            ("sub.fit[0]", "m"),
            ("sub", "best"),
            ("sub[0].init", "anything"),
            ("late", "anything"),
            ("init", "anything"),
            ("one|sub", None),
            ("*", None),
        ],
    )
    def test_good_ones(self, query, output):
        assert selecting(query, output) == []

    @pytest.mark.parametrize(
        ("query", "output", "message", "hint"),
        [
            ("oen", "x", "selects from an unknown stage 'oen'", "did you mean 'one'?"),
            ("oen[*]", "x", "selects from an unknown stage 'oen'", "did you mean 'one'?"),
            ("one|tow", None, "selects from an unknown stage 'tow'", "did you mean 'two'?"),
            ("one", "y", "'one' publishes no 'y'", "known here: x"),
            ("one", "y.x", "'one' publishes no 'y'", "known here: x"),
            ("sub[*].fti", "m", "'fti' in the workflow of 'sub', which is not there", "did you mean 'fit'?"),
            ("sub[*].fit", "n", "'sub[*].fit' publishes no 'n'", "known here: m"),
            ("one[*].x", None, "'x' in the workflow of 'one', which is not there", "there is none here"),
        ],
    )
    def test_others(self, query, output, message, hint):
        ((said, next_),) = selecting(query, output)
        assert message in said
        assert next_ == hint

    def test_what_a_sub_workflow_does_not_register_is_null_and_warned_of(self):
        two = quick("two", {"v": {"stages": "sub", "output": "bset"}})
        _, problems = yadage.inspect(text.parse(yaml.safe_dump({"stages": [SUB, two]})))
        assert problems.errors == ()
        ((message, hint),) = [(warning.message, warning.hint) for warning in problems.warnings]
        assert message.endswith("'sub' publishes no 'bset', so it is null")
        assert hint == "did you mean 'best'?"


class TestOrder:
    def value(self, key: str) -> dict:
        return {"expression_type": "fromvalue", "key": key}

    def test_circles(self):
        a = quick("a", {"v": {"step": "b", "output": "v"}})
        b = quick("b", {"v": {"stages": "c[*]", "output": "v"}})
        c = quick("c", {"v": 1}, needs=["a"])
        ((message, _),) = errors(ONE, a, b, c)
        assert message == "these stages wait for each other: a, b, c"

    def test_what_only_waits_for_a_circle_is_not_in_it(self):
        a, b = quick("a", {}, LATE, needs=["b"]), quick("b", {}, LATE, needs=["a"])
        after = [quick("c", {}, LATE, needs=["a"]), quick("d", {}, LATE, needs=["c", "one"])]
        ((message, _),) = errors(*after, ONE, a, b)
        assert message == "these stages wait for each other: a, b"

    def test_a_circle_through_registered_values(self):
        a = quick("a", {"v": self.value("k")})
        b = quick("b", {}, LATE, needs=["a"], register_values={"k": {**SELECTOR, "step": "b", "output": "v"}})
        ((message, _),) = errors(a, b)
        assert message == "these stages wait for each other: a, b"

    def test_a_stage_that_waits_for_its_own_value(self):
        a = quick("a", {"v": self.value("k")}, register_values={"k": {**SELECTOR, "step": "a", "output": "v"}})
        ((message, _),) = errors(a)
        assert message == "these stages wait for each other: a"

    def test_a_circle_inside_a_sub_workflow(self):
        a, b = quick("a", {}, LATE, needs=["b"]), quick("b", {}, LATE, needs=["a"])
        assert [message for message, _ in errors(substage("sub", a, b))] == ["these stages wait for each other: a, b"]


def test_what_a_stage_needs():
    (stage,) = yadage.parse_workflow(
        text.parse(
            yaml.safe_dump(
                {
                    "stages": [
                        quick("a", {}, LATE),
                        quick("b", {}, LATE),
                        SUB,
                        quick(
                            "c",
                            {
                                "v": {"stages": "b[*]", "output": "x"},
                                "w": {"expression_type": "fromvalue", "key": "k", "scope": "sub[0]"},
                            },
                            needs=["a", "init"],
                        ),
                    ]
                }
            )
        )
    ).stages[-1:]
    assert names.needs(stage) == {"a", "b", "sub", "init"}


def test_two_stages_that_register_one_value():
    first, second = (quick(n, {"x": 1}, register_values={"k": {**SELECTOR, "step": n, "output": "x"}}) for n in "ab")
    assert "the value 'k' is registered twice: by 'a' and 'b'" in [message for message, _ in errors(first, second)]


def test_the_parameters_of_a_sub_workflow_are_what_its_init_publishes():
    inner = quick("a", {"v": {"step": "init", "output": "masss"}})
    ((message, hint),) = errors(substage("sub", inner, parameters={"mass": 1, "xs": []}, scatter=scattered("xs")))
    assert message == "'init' publishes no 'masss'"
    assert hint == "did you mean 'mass'?"
