"""Sub-workflows and the waiting of stages: who is woken, by what, and that nobody is forgotten or woken for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import LATE, Play, plan, quick, scattered, stage, substage, workflow

from recast_dm.engine import expand
from recast_dm.engine.expand import steps_of
from recast_dm.engine.scope import Scope
from recast_dm.errors import SpecError
from recast_dm.model import INIT, Dir, Path, StepId


def of(name: str, output: str, word: str = "step") -> dict:
    return {word: name, "output": output}


SCAN = substage(
    "scan",
    quick("fit", {"mass": of("init", "m"), "who": "{workdir}/x"}),
    quick("sum", {"fit": of("fit", "mass")}, needs=["fit"]),
    parameters={"m": of("init", "masses")},
    scatter=scattered("m"),
)


class TestSubWorkflows:
    def test_each_has_an_init_step_and_steps_named_by_the_way_to_them(self):
        steps = plan(SCAN, masses=[500, 1000])
        assert set(steps) == {f"scan/{n}/{name}/0" for n in (0, 1) for name in ("init", "fit", "sum")}
        assert steps["scan/1/init/0"].parameters == {"m": 1000}
        assert steps["scan/1/fit/0"].parameters["mass"] == 1000
        assert steps["scan/1/sum/0"].parameters == {"fit": 1000}
        assert steps["scan/1/fit/0"].id == StepId("scan/1/fit", 0)

    def test_edges_lead_through_the_init_steps(self):
        steps = plan(SCAN, masses=[500, 1000])
        assert steps["scan/1/init/0"].depends_on == (INIT,)
        assert steps["scan/1/fit/0"].depends_on == (StepId("scan/1/init"),)
        assert steps["scan/1/sum/0"].depends_on == (StepId("scan/1/fit"),)

    def test_nobody_has_to_perform_an_init_step(self):
        steps = plan(SCAN, masses=[500])
        assert [str(step.id) for step in steps_of(steps.values())] == ["scan/0/fit/0", "scan/0/sum/0"]
        assert steps["scan/0/init/0"].spec.init

    def test_workdir_is_the_directory_of_the_step_where_it_ends_up(self):
        steps = plan(SCAN, masses=[500])
        assert steps["scan/0/fit/0"].parameters["who"] == Path((Dir(StepId("scan/0/fit")), "/x"))
        handed = substage("sub", quick("a", {"out": of("init", "out")}), parameters={"out": "{workdir}/y"})
        assert plan(handed)["sub/0/a/0"].parameters["out"] == Path((Dir(StepId("sub/0/a")), "/y"))

    def test_they_nest(self):
        inner = substage(
            "inner",
            quick("leaf", {"v": of("init", "y")}),
            parameters={"y": of("init", "xs")},
            scatter=scattered("y"),
        )
        outer = substage("outer", inner, parameters={"xs": of("init", "xss")}, scatter=scattered("xs"))
        steps = plan(outer, xss=[[1, 2], [3]])
        leaves = {name: step.parameters["v"] for name, step in steps.items() if name.endswith("leaf/0")}
        assert leaves == {
            "outer/0/inner/0/leaf/0": 1,
            "outer/0/inner/1/leaf/0": 2,
            "outer/1/inner/0/leaf/0": 3,
        }
        assert steps["outer/0/inner/1/leaf/0"].id.names == "outer/inner/leaf"

    def test_a_stage_inside_cannot_see_those_outside(self):
        with pytest.raises(SpecError, match="selects from an unknown stage 'before'"):
            plan(
                quick("before", {"x": 1}),
                substage("sub", quick("a", {"x": of("before", "x")})),
            )

    def test_equal_names_inside_and_outside_do_not_meet(self):
        steps = plan(quick("a", {"x": 1}), substage("sub", quick("a", {"x": 2}), quick("b", {"y": of("a", "x")})))
        assert steps["sub/0/b/0"].parameters == {"y": 2}

    def test_relaxations_are_by_the_names_on_the_way(self):
        play = Play(SCAN, masses=[1, 2], relaxations={"scan/fit": ("compat: raw",), "fit": ("other",)})
        assert [play.steps[f"scan/{n}/fit/0"].relaxations for n in (0, 1)] == [("compat: raw",)] * 2
        assert play.steps["scan/0/sum/0"].relaxations == ()

    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ({"stages": "scan[*].fit", "output": "mass"}, (5, 6)),
            ({"steps": "scan[*].fit[*]", "output": "mass"}, (5, 6)),
            ({"stages": "$.scan[1].fit", "output": "mass"}, (6,)),
            ({"step": "scan[1].fit", "output": "mass"}, 6),
            ({"step": "scan[0].sum[0]", "output": "fit"}, 5),
            ({"stages": "scan[*].(fit|sum)", "output": "*"}, None),
        ],
    )
    def test_their_steps_are_selected_by_jsonpath_from_outside(self, selector, expected):
        if expected is None:
            selector = {"stages": "scan[*].(fit|sum)"}
            expected = ({"mass": 5}, {"fit": 5}, {"mass": 6}, {"fit": 6})
        short = substage(
            "scan",
            quick("fit", {"mass": of("init", "m")}),
            quick("sum", {"fit": of("fit", "mass")}, needs=["fit"]),
            parameters={"m": of("init", "masses")},
            scatter=scattered("m"),
        )
        steps = plan(short, quick("all", {"v": selector}, needs=["scan"]), masses=[5, 6])
        assert steps["all/0"].parameters["v"] == expected

    def test_a_stage_after_one_waits_for_everything_in_it(self):
        sub = substage("sub", quick("a", {}, LATE), quick("b", {"x": of("a", "x")}, LATE))
        play = Play(sub, quick("after", {}, needs=["sub"]))
        assert play.publish("sub/0/a/0", {"x": 1}) == ["sub/0/b/0"]
        assert play.waiting() == {"after": "'sub' has not published"}
        assert play.publish("sub/0/b/0", {}) == ["after/0"]

    def test_a_step_scattered_over_what_many_made_depends_on_its_own_only(self):
        collect = quick("each", {"v": of("scan[*].fit", "mass", "stages")}, scatter=scattered("v"), needs=["scan"])
        steps = plan(SCAN, collect, masses=[500, 1000])
        assert steps["each/1"].depends_on == (StepId("scan/1/fit"),)


class TestEmptySubWorkflows:
    """One without stages is done when its parameters are there; it counts once."""

    def test_a_stage_after_one_becomes_ready(self):
        play = Play(substage("sub"), quick("after", {}, needs=["sub"]))
        assert "after/0" in play.steps
        assert play.expansion.complete

    def test_after_many(self):
        play = Play(
            substage("subs", parameters={"n": [1, 2, 3]}, scatter=scattered("n")), quick("after", {}, needs=["subs"])
        )
        assert "after/0" in play.steps

    def test_nested(self):
        outer = substage("outer", substage("inner", parameters={"n": [1, 2]}, scatter=scattered("n")))
        play = Play(outer, quick("after", {}, needs=["outer"]))
        assert "after/0" in play.steps

    def test_a_stage_after_them_and_a_slow_one_waits_for_all(self):
        subs = substage("subs", parameters={"n": [1, 2, 3]}, scatter=scattered("n"))
        play = Play(subs, quick("slow", {}, LATE), quick("after", {}, needs=["subs", "slow"]))
        assert play.waiting() == {"after": "'slow' has not published"}
        assert play.publish("slow/0", {}) == ["after/0"]

    @pytest.mark.parametrize("slow", [0, 1, 2])
    def test_slow_ones_among_them_are_waited_for(self, slow):
        body = quick("s", {}, LATE)["scheduler"]["step"]
        cases = [{"if": f".n == {slow}", "step": body}, {"if": "true", "workflow": {"stages": []}}]
        mixed = quick("mixed", {"n": [0, 1, 2]}, scatter=scattered("n"), cases=cases)
        play = Play(mixed, quick("after", {}, needs=["mixed"]), quick("last", {}, needs=["after"]))
        assert play.waiting()["after"] == "'mixed' has not published"
        assert set(play.publish(f"mixed/{slow}", {})) == {"after/0", "last/0"}

    def test_an_outer_one_is_done_only_when_all_of_it_is(self):
        """A scope that counted an empty one twice would be done before its slow stage is."""
        empty = substage("empty", parameters={"n": [1, 2]}, scatter=scattered("n"))
        outer = substage("outer", empty, quick("slow", {}, LATE), parameters={"m": [1, 2]}, scatter=scattered("m"))
        play = Play(outer, quick("after", {}, needs=["outer"]))
        for n in range(2):
            assert play.waiting() == {"after": "'outer' has not published"}
            new = play.publish(f"outer/{n}/slow/0", {})
        assert new == ["after/0"]

    def test_one_whose_parameters_come_late(self):
        make = stage("make", "true", {}, {"name": "data.txt"})
        play = Play(make, substage("sub", parameters={"f": of("make", "name")}), quick("after", {}, needs=["sub"]))
        assert "after" in play.waiting()
        assert play.publish("make/0", {"name": "data.txt"}, "data.txt") == ["after/0"]


class TestFilesOfSubWorkflows:
    """A parameter of a sub-workflow that names a file of the one step it came from becomes that file's path."""

    MAKE = stage("make", "true", {}, {"name": "data.txt", "more": "*.txt", "abs": "/data.txt", "n": "7"})

    def sub(self, name: str = "name", **options: object) -> dict:
        return substage(
            "sub", quick("use", {"v": of("init", "f")}), parameters={"f": of("make", name)}, workflow_opts=options
        )

    def test_it_is_deferred_until_the_files_are_known(self):
        play = Play(self.MAKE, self.sub())
        assert list(play.steps) == ["make/0", "sub/0/init/0"]
        assert play.publish("make/0", {"name": "data.txt"}, "data.txt") == ["sub/0/use/0"]
        assert play.parameters("sub/0/use/0")["v"] == Path((Dir(StepId("make")), "/data.txt"))

    def test_a_name_of_no_file_stays_a_text(self):
        play = Play(self.MAKE, self.sub())
        play.publish("make/0", {"name": "data.txt"}, "other.txt")
        assert play.parameters("sub/0/use/0")["v"] == "data.txt"

    @pytest.mark.parametrize(("name", "options"), [("name", {"relative": False}), ("abs", {})])
    def test_what_cannot_name_a_file_there_is_not_deferred(self, name, options):
        play = Play(self.MAKE, self.sub(name, **options))
        assert "sub/0/use/0" in play.steps

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"discover": True}, ("a.txt", "b.txt")),
            ({"discover": False}, "*.txt"),
            ({}, "*.txt"),
        ],
    )
    def test_wildcards_only_with_discover(self, options, expected):
        play = Play(self.MAKE, self.sub("more", **options))
        play.publish("make/0", {}, "b.txt", "a.txt", "d/c.txt", ".h.txt")
        made = Dir(StepId("make"))
        paths = tuple(Path((made, f"/{name}")) for name in expected) if isinstance(expected, tuple) else expected
        assert play.parameters("sub/0/use/0")["v"] == paths

    def test_with_two_sources_nothing_is_looked_for(self):
        two = {**self.MAKE, "name": "two"}
        sub = substage(
            "sub", quick("use", {"v": of("init", "f")}), parameters={"f": of("make", "name"), "g": of("two", "name")}
        )
        assert Play(self.MAKE, two, sub).parameters("sub/0/use/0")["v"] == "data.txt"

    def test_files_of_the_initdir_are_known_at_once(self):
        sub = substage("sub", quick("use", {"v": of("init", "f")}), parameters={"f": of("init", "f")})
        steps = plan(sub, files=["card.dat"], f="card.dat")
        assert steps["sub/0/use/0"].parameters["v"] == Path((Dir(INIT), "/card.dat"))

    def test_a_sub_workflow_of_a_sub_workflow_looks_where_the_outer_one_looks(self):
        inner = substage("inner", quick("use", {"v": of("init", "g")}), parameters={"g": of("init", "f")})
        play = Play(self.MAKE, substage("sub", inner, parameters={"f": of("make", "name")}))
        play.publish("make/0", {}, "data.txt")
        assert play.parameters("sub/0/inner/0/use/0")["v"] == Path((Dir(StepId("make")), "/data.txt"))

    def test_whole_floats_of_parameters_are_integers_inside(self):
        sub = substage("sub", quick("use", {"v": of("init", "x")}), parameters={"x": 3.0})
        value = plan(sub)["sub/0/use/0"].parameters["v"]
        assert (type(value), value) == (int, 3)


class TestReaddirs:
    def test_they_count_the_steps_that_parameters_came_from(self):
        a, b = (stage(name, "true", {}, {"v": name}) for name in ("a", "b"))
        use = quick("use", {"x": of("b", "v"), "y": of("a", "v"), "z": "{readdir0}/f {readdir1}/g {workdir}"})
        value = plan(a, b, use)["use/0"].parameters["z"]
        assert value == Path((Dir(StepId("b")), "/f ", Dir(StepId("a")), "/g ", Dir(StepId("use"))))

    def test_a_number_too_high_means_nothing(self):
        assert plan(quick("use", {"z": "{readdir0}"}))["use/0"].parameters["z"] == "{readdir0}"


class TestBraces:
    """In the specification `{{` is a brace, as in a Python format; in data, braces are what they are."""

    def test_of_the_specification(self):
        steps = plan(quick("a", {"v": "{{x}} {workdir}", "w": "{{x}}", "z": "{x} {{y}}"}))
        assert steps["a/0"].parameters == {
            "v": Path(("{x} ", Dir(StepId("a")))),
            "w": "{x}",
            "z": "{x} {{y}}",  # no format of directories: upstream fails
        }

    def test_of_data(self):
        given_ = quick("a", {"v": of("init", "v"), "w": of("init", "w")})
        steps = plan(given_, v="{{x}} {workdir}", w="{{workdir}}")
        assert steps["a/0"].parameters["v"] == Path(("{{x}} ", Dir(StepId("a"))))
        assert steps["a/0"].parameters["w"] == Path(("{", Dir(StepId("a")), "}"))


class TestWaiting:
    def test_a_stage_is_not_looked_at_again_before_its_stage_is_complete(self, monkeypatch):
        tries = []
        real = expand.select.demand
        monkeypatch.setattr(
            expand.select, "demand", lambda stage, sight: (tries.append(stage.name), real(stage, sight))
        )
        play = Play(
            quick("many", {"n": list(range(50))}, LATE, scatter=scattered("n")),
            quick("after", {}, needs=["many"]),
            quick("select", {"v": of("many", "x", "stages")}),
        )
        for n in range(50):
            play.publish(f"many/{n}", {"x": n})
        assert "select/0" in play.steps
        assert tries.count("after") == 2
        assert tries.count("select") == 2

    def test_jsonpaths_into_a_sub_workflow_are_woken_by_what_happens_in_it(self):
        sub = substage("sub", quick("a", {}, LATE), quick("b", {"x": of("a", "x")}, LATE))
        play = Play(sub, quick("after", {}, needs=["sub[*].a"]), quick("last", {}, needs=["sub[*].b[0]"]))
        assert play.waiting()["last"] == "nothing is called 'sub[*].b[0]'"
        assert set(play.publish("sub/0/a/0", {"x": 1})) == {"after/0", "sub/0/b/0"}
        assert play.publish("sub/0/b/0", {}) == ["last/0"]

    def test_a_path_that_begins_anywhere_is_woken_by_everything(self):
        play = Play(quick("a", {}, LATE), substage("sub", quick("b", {}, LATE)), quick("after", {}, needs=["$..b"]))
        assert "after" in play.waiting()
        assert play.publish("a/0", {}) == []
        assert play.publish("sub/0/b/0", {}) == ["after/0"]

    def test_a_union_waits_for_both(self):
        play = Play(quick("a", {}, LATE), quick("b", {}, LATE), quick("c", {"v": of("a|b", "x", "stages")}))
        assert play.publish("b/0", {"x": 2}) == []
        assert play.publish("a/0", {"x": 1}) == ["c/0"]
        assert play.parameters("c/0")["v"] == (1, 2)

    def test_a_stage_that_two_changes_wake_is_looked_at_once(self):
        """As when two steps end together."""
        play = Play(quick("a", {}, LATE), quick("b", {}, LATE), quick("after", {}, needs=["(a[*])|(b[*])"]))
        for name in ("a", "b"):
            play.expansion.publish(StepId(name), {})
        assert play.advance() == ["after/0"]

    def test_a_second_publication_changes_nothing(self):
        play = Play(quick("a", {}, LATE), quick("b", {}, LATE), quick("after", {}, needs=["a", "b"]))
        play.publish("a/0", {})
        assert play.publish("a/0", {}) == []
        assert play.waiting() == {"after": "'b' has not published"}
        assert play.publish("b/0", {}) == ["after/0"]

    def test_many_stages_in_a_row_need_no_deep_stack(self):
        row = [quick("s0", {"v": 1})]
        row += [quick(f"s{n}", {"v": of(f"s{n - 1}", "v")}) for n in range(1, 1500)]
        assert len(plan(*reversed(row))) == 1500

    def test_a_deep_nest_is_complete(self):
        body = quick("leaf", {}, LATE)
        for depth in range(10):
            body = substage(f"d{depth}", body)
        play = Play(body, quick("after", {}, needs=["d9"]))
        leaf = next(name for name in play.steps if "leaf" in name)
        assert play.publish(leaf, {}) == ["after/0"]


KINDS = ["needs", "path", "select", "fulfilled", "value", "readdir"]


@st.composite
def dags(draw):
    """Stages in any order, each needing some others in any of the ways to say so, and the needs of each."""
    count = draw(st.integers(1, 7))
    stages, needs, has_inner = [], {}, {}
    for n in range(count):
        name = f"s{n}"
        before = draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else []
        needs[name] = {f"s{k}" for k in before}
        ways = {f"s{k}": draw(st.sampled_from(KINDS)) for k in before}
        parameters, said = _said(ways, has_inner)
        shape = draw(st.sampled_from(["one", "many", "sub", "subs"]))
        has_inner[name] = shape.startswith("sub")
        more: dict = {"register_values": {f"v{name}": {**SELECTOR, "stages": name, "output": "x"}}}
        if shape in ("many", "subs"):
            parameters["n"] = list(range(draw(st.integers(1, 3))))
            more["scatter"] = scattered("n")
        if has_inner[name]:
            x = {**SELECTOR, "step": "in", "output": "x"}
            inner = [quick("in", {}, LATE, register_values={"x": x}), quick("out", {}, LATE, needs=["in"])]
            made = substage(name, *draw(st.permutations(inner)), needs=said, parameters=parameters, **more)
        else:
            made = quick(name, parameters, LATE, said, **more)
        stages.append(made)
    return draw(st.permutations(stages)), needs


SELECTOR = {"expression_type": "stage-output-selector"}


def _said(ways: dict[str, str], has_inner: dict[str, bool]) -> tuple[dict, object]:
    """Parameters and dependencies that say what a stage needs, each in its way."""
    parameters: dict = {}
    dependencies: list = []
    fulfilled: list = []
    for other, way in ways.items():
        registered = {"expression_type": "fromvalue", "key": f"v{other}"}
        if way == "needs":
            dependencies.append(other)
        elif way == "path":
            dependencies.append(f"{other}[*]")
        elif way == "select":
            parameters[f"p{other}"] = {"stages": f"$.{other}" + "[*].in" * has_inner[other], "output": "x"}
            dependencies += [other] * has_inner[other]  # a path into it does not say that all of it is meant
        elif way == "value":
            parameters[f"p{other}"] = registered
        elif way == "fulfilled":
            fulfilled.append(registered if has_inner[other] else {**SELECTOR, "stages": other, "output": "x"})
        else:
            dependencies.append(other)
            parameters[f"p{other}"] = "{readdir0}/x"
    if not fulfilled:
        return parameters, dependencies
    parameters |= {f"d{n}": {"stages": d.removesuffix("[*]")} for n, d in enumerate(dependencies)}
    return parameters, {"dependency_type": "expressions_fulfilled", "expressions": fulfilled}


@settings(max_examples=300)
@given(dags(), st.randoms(use_true_random=False))
def test_whatever_the_order_every_stage_is_scheduled_once_and_as_soon_as_it_can(dag, random):
    """No stage is lost, none makes its steps twice, none comes before its needs or later than them."""
    stages, needs = dag
    play = Play(*stages)
    left: list[str] = []
    seen: set[str] = set()

    def look() -> None:
        new = [name for name in play.steps if name not in seen]
        seen.update(new)
        left.extend(name for name in new if not play.steps[name].spec.init)

    def top(name: str) -> str:
        """The stage of the outermost workflow."""
        return name.split("/", 1)[0]

    look()
    while left:
        waiting = set(play.waiting())
        unfinished = {top(name) for name in left} | {top(name) for name in waiting}
        for name, needed in needs.items():
            if name in waiting:
                assert needed & unfinished, f"{name} waits for nothing"
        step = left.pop(random.randrange(len(left)))
        play.publish(step, {"x": 1})
        look()
    assert play.waiting() == {}
    assert play.expansion.complete
    assert {top(name) for name in seen} == set(needs)


def test_a_scope_is_done_when_every_stage_is():
    scope = Scope(workflow(quick("a", {}), quick("b", {})))
    assert not scope.done
    for name in ("init", "a", "b"):
        made = scope.made[name]
        scope.completed(made)  # which it is not
        made.applied = True
        for _ in range(2):  # told twice, counted once
            assert not scope.done or name == "b"
            scope.completed(made)
        assert made.counted
    assert scope.done
