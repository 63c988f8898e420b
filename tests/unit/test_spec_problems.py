"""All that is wrong is found in one pass, each with its place and the next thing to do; warnings stop nothing."""

from __future__ import annotations

import pytest

from recast_dm.errors import Location, SpecError
from recast_dm.spec import text, yadage
from recast_dm.spec.problems import Problems

STEP = """
        process: {process_type: string-interpolated-cmd, cmd: 'run {x}'}
        environment: {environment_type: docker-encapsulated, image: i, imagetag: '1'}
        publisher: {publisher_type: frompar-pub, outputmap: {o: x}}
"""
GOOD = f"""\
stages:
  - name: one
    dependencies: []
    scheduler:
      scheduler_type: singlestep-stage
      parameters: {{x: 1}}
      step:{STEP.rstrip()}
  - name: two
    dependencies: [one]
    scheduler:
      scheduler_type: singlestep-stage
      parameters:
        x: {{step: one, output: o}}
      step:{STEP.rstrip()}
"""


def found(source: str, **more: object) -> list[tuple[str, str, str | None]]:
    _, problems = yadage.inspect(text.parse(source, "w.yml"), **more)
    return [(str(e.where), e.message, e.hint) for e in problems.errors]


def warned(source: str, **more: object) -> list[tuple[str, str]]:
    _, problems = yadage.inspect(text.parse(source, "w.yml"), **more)
    return [(str(w.where), w.message) for w in problems.warnings]


def changed(*pairs: tuple[str, str]) -> str:
    source = GOOD
    for old, new in pairs:
        assert old in source
        source = source.replace(old, new, 1)
    return source


def test_where_nothing_is_wrong_nothing_is_found():
    workflow, problems = yadage.inspect(text.parse(GOOD))
    assert workflow is not None
    assert (problems.errors, problems.warnings) == ((), ())


def test_everything_wrong_is_found_at_once_in_the_order_of_the_places():
    source = changed(
        ("dependencies: []", "dependencies: [tow]"),
        ("'run {x}'", "'run {y}'"),
        ("docker-encapsulated", "docker-encapsuladed"),
        ("outputmap: {o: x}", "outputmap: {o: z}"),
        ("output: o", "outptu: o"),
    )
    problems = found(source)
    assert [(place, message) for place, message, _ in problems] == [
        ("w.yml:2:5", "the stage 'one' depends on an unknown stage 'tow'"),
        ("w.yml:8:63", "the command of the step of 'one' has {y}, which is not one of the stage's parameters"),
        ("w.yml:9:41", "unknown environment_type 'docker-encapsuladed'"),
        ("w.yml:10:65", "the publisher of the step of 'one' publishes the unknown parameter 'z'"),
        ("w.yml:16:32", "the parameter 'x' has no key 'outptu'"),
    ]
    hints = " ".join(hint or "" for _, _, hint in problems)
    for word in ("two", "x", "docker-encapsulated", "output"):
        assert f"did you mean {word!r}?" in hints or f"known here: {word}" in hints


def test_one_mistake_is_one_problem():
    """What follows from a mistake is not wrong by itself."""
    for old, new in [
        ("x: {step: one, output: o}", "x: {step: one, output: o, unwrap: 1}"),
        ("process_type: string-interpolated-cmd", "process_type: string"),
        ("publisher_type: frompar-pub", "publisher_type: frompar"),
        ("parameters: {x: 1}", "parameters: {x: {expression_type: fromvaleu}}"),
        ("dependencies: [one]", "dependencies: one"),
        ("name: two", "name: [two]"),
    ]:
        assert len(found(changed((old, new)))) == 1, new


def test_the_same_mistake_at_one_place_is_said_once():
    shared = GOOD.replace(STEP.rstrip(), " &step" + STEP.rstrip(), 1).replace(
        f"step:{STEP.rstrip()}\n", "step: *step\n"
    )
    source = shared.replace("imagetag: '1'", "imagetag: 1")
    assert [place for place, *_ in found(source)] == ["w.yml:9:82"]


def test_the_first_is_raised_and_the_rest_counted():
    source = changed(("dependencies: []", "dependencies: [tow]"), ("output: o", "outptu: o"))
    with pytest.raises(SpecError) as caught:
        yadage.parse_workflow(text.parse(source, "w.yml"))
    assert "1 more: `recast-dm check` lists them all" in (caught.value.hint or "")
    assert caught.value.where is not None


@pytest.mark.parametrize(
    ("pairs", "place", "message"),
    [
        ([("imagetag: '1'", "imagetag: latest")], "w.yml:9:82", "the image i:latest means another one tomorrow"),
        ([(", imagetag: '1'", "")], "w.yml:9:69", "the image i:latest means another one tomorrow"),
        (
            [("parameters: {x: 1}", "parameters: [{key: x, value: 1}, {key: x, value: 2}]")],
            "w.yml:6:40",
            "the parameter 'x' stands here twice; the last one counts",
        ),
        (
            [("{step: one, output: o}", "{expression_type: fromvalue, key: best}")],
            "w.yml:16:12",
            "no stage registers the value 'best', so it is null",
        ),
        (
            [
                (
                    "singlestep-stage\n      parameters: {x: 1}",
                    "multistep-stage\n      parameters: {x: []}\n      scatter: {method: zip, parameters: [x]}",
                )
            ],
            "w.yml:12:5",
            "the stage 'two' never becomes ready: 'one' makes no step",
        ),
        (
            [(f"step:{STEP.rstrip()}", "cases: []")],
            "w.yml:7:14",
            "the stage 'one' has no case, so it makes no step",
        ),
    ],
)
def test_warnings(pairs, place, message):
    source = changed(*pairs)
    assert found(source) == []
    assert (place, message) in warned(source)
    assert yadage.parse_workflow(text.parse(source)).stages


def test_what_waits_for_a_stage_that_never_becomes_ready_is_warned_of_too():
    third = "  - {name: three, dependencies: [two], scheduler: {scheduler_type: singlestep-stage, cases: []}}\n"
    empty = ("{x: 1}", "{x: []}\n      scatter: {method: zip, parameters: [x]}")
    said = [message for _, message in warned(changed(empty, ("singlestep", "multistep")) + third)]
    assert "the stage 'three' never becomes ready: 'two' makes no step" in said


def test_the_names_of_init_parameters_are_checked_where_they_are_known():
    source = changed(("parameters: {x: 1}", "parameters: {x: {step: init, output: msas}}"))
    assert found(source) == []
    assert found(source, init={"mass"}) == [("w.yml:6:23", "'init' publishes no 'msas'", "did you mean 'mass'?")]


def test_problems_inside_sub_workflows_are_found_too():
    inner = "".join(
        f"        {line}\n" for line in changed(("output: o", "output: q"), ("[one]", "[oen]")).splitlines()
    )
    source = "stages:\n  - name: sub\n    scheduler:\n      scheduler_type: singlestep-stage\n      workflow:\n" + inner
    assert [(place, message) for place, message, _ in found(source)] == [
        ("w.yml:16:13", "the stage 'two' depends on an unknown stage 'oen'"),
        ("w.yml:21:20", "'one' publishes no 'q'"),
    ]


class TestProblems:
    def test_they_are_sorted_by_place_and_raised_in_the_order_of_their_finding(self):
        problems = Problems()
        problems.add(SpecError("second", where=Location("a", 9)))
        problems.add(SpecError("first", where=Location("a", 2, 7)))
        problems.add(SpecError("nowhere"))
        problems.add(SpecError("second", where=Location("a", 9), hint="another hint"))
        assert [e.message for e in problems.errors] == ["nowhere", "first", "second"]
        with pytest.raises(SpecError, match="second") as caught:
            problems.demand_none()
        assert caught.value.hint == "2 more: `recast-dm check` lists them all"

    def test_without_errors_nothing_is_raised(self):
        problems = Problems()
        problems.warn("odd", None)
        problems.demand_none()

    def test_only_errors_of_specifications_are_collected(self):
        problems = Problems()
        with pytest.raises(ZeroDivisionError):
            problems.attempt(lambda: 1 / 0)
        assert problems.attempt(lambda: 5) == 5
        assert problems.errors == ()
