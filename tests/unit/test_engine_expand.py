"""yadage's semantics: which steps a stage makes, with which parameters, and what they publish."""

from __future__ import annotations

import pytest
import strategies
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recast_dm import spec
from recast_dm.engine import expand, publishers
from recast_dm.engine.expand import Unready
from recast_dm.engine.publishers import NO_FILES, Files
from recast_dm.errors import SpecError, StepFailed
from recast_dm.model import INIT, Dir, Path, Step, StepId, Workflow
from recast_dm.spec import text


def stage(name: str, parameters: dict, *, scatter: dict | None = None, publisher: dict | None = None, needs=()) -> dict:
    """A stage as yadage writes it; its command uses no parameter."""
    scheduler = {
        "scheduler_type": "multistep-stage" if scatter else "singlestep-stage",
        "parameters": parameters,
        "step": {
            "process": {"process_type": "string-interpolated-cmd", "cmd": "true"},
            "environment": {"environment_type": "docker-encapsulated", "image": "image"},
            "publisher": publisher or {"publisher_type": "frompar-pub", "outputmap": {p: p for p in parameters}},
        },
    }
    if scatter:
        scheduler["scatter"] = scatter
    return {"name": name, "dependencies": list(needs), "scheduler": scheduler}


def workflow(*stages: dict) -> Workflow:
    return spec.parse_workflow(text.parse(yaml.safe_dump({"stages": list(stages)})))


def plan(*stages: dict, **init: object) -> dict[str, Step]:
    steps, _ = expand.plan(workflow(*stages), init)
    return {str(step.id): step for step in steps}


def interpolated(publish: object, **more: object) -> dict:
    return {"publisher_type": "interpolated-pub", "publish": publish, **more}


def made(publisher: dict, **parameters: object) -> Step:
    """One step with that publisher."""
    (step,) = expand.plan(workflow(stage("one", parameters, publisher=publisher)), {})[0]
    return step


def files_of(*names: str) -> Files:
    return Files(frozenset(names))


OF_INIT = {"step": "init", "output": "xs"}
OWN = Dir(StepId("one"))


class TestScatter:
    def test_zip_walks_lists_in_step(self):
        steps = plan(
            stage(
                "one",
                {"x": OF_INIT, "y": ["a", "b"], "z": 7},
                scatter={"method": "zip", "parameters": ["x", "y"]},
            ),
            xs=[1, 2],
        )
        assert [(n, dict(s.parameters)) for n, s in steps.items()] == [
            ("one/0", {"x": 1, "y": "a", "z": 7}),
            ("one/1", {"x": 2, "y": "b", "z": 7}),
        ]

    def test_zip_drops_what_is_longer(self):
        steps = plan(
            stage("one", {"x": OF_INIT, "y": [1]}, scatter={"method": "zip", "parameters": ["x", "y"]}), xs=[1, 2]
        )
        assert list(steps) == ["one/0"]

    def test_cartesian_takes_every_combination_the_last_fastest(self):
        steps = plan(
            stage("one", {"x": OF_INIT, "y": ["a", "b"]}, scatter={"method": "cartesian", "parameters": ["x", "y"]}),
            xs=[1, 2],
        )
        assert [tuple(s.parameters.values()) for s in steps.values()] == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]

    def test_the_index_is_in_the_workdir(self):
        steps = plan(
            stage("one", {"x": OF_INIT, "o": "{workdir}/o"}, scatter={"method": "zip", "parameters": ["x"]}), xs=[1, 2]
        )
        assert steps["one/1"].parameters["o"] == Path((Dir(StepId("one", 1)), "/o"))

    def test_scattering_over_what_is_no_list_is_refused(self):
        with pytest.raises(SpecError, match="scatters over 'x', which is not a list"):
            plan(stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]}), xs=5)

    @given(st.lists(strategies.scalars, max_size=5), st.lists(strategies.scalars, max_size=5))
    def test_counts(self, xs, ys):
        parameters = {"x": {"step": "init", "output": "xs"}, "y": {"step": "init", "output": "ys"}}
        for method, expected in (("zip", min(len(xs), len(ys))), ("cartesian", len(xs) * len(ys))):
            scatter = {"method": method, "parameters": ["x", "y"]}
            assert len(plan(stage("one", parameters, scatter=scatter), xs=xs, ys=ys)) == expected


class TestSelectors:
    def steps(self, selector: dict, **init: object) -> Step:
        scattered = stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]})
        return plan(scattered, stage("two", {"v": {"output": "x", **selector}}), **init)["two/0"]

    def test_stages_collects_every_steps_output_in_order(self):
        step = self.steps({"stages": "one"}, xs=[3, 1, 2])
        assert step.parameters["v"] == (3, 1, 2)
        assert step.depends_on == (StepId("one", 0), StepId("one", 1), StepId("one", 2))

    @pytest.mark.parametrize(
        ("options", "xs", "expected"),
        [
            ({}, [[1, 2], [3]], ((1, 2), (3,))),
            ({"flatten": True}, [[1, 2], [3]], (1, 2, 3)),
            ({"flatten": True}, [[1, [2]], 3], (1, (2,), 3)),
            ({"unwrap": True}, [[1, 2]], (1, 2)),
            ({"unwrap": True}, [5], 5),
            ({"unwrap": True}, [5, 6], (5, 6)),
            ({"flatten": True, "unwrap": True}, [[5]], 5),
            ({"flatten": True, "unwrap": True}, [[5, 6]], (5, 6)),
            ({}, [5], (5,)),
        ],
    )
    def test_flatten_and_unwrap(self, options, xs, expected):
        assert self.steps({"stages": "one", **options}, xs=xs).parameters["v"] == expected

    def test_step_needs_exactly_one(self):
        with pytest.raises(SpecError, match="needs exactly one step; there are 2") as caught:
            self.steps({"step": "one"}, xs=[1, 2])
        assert caught.value.where is not None
        assert caught.value.hint == "write `stages: one` for the outputs of all of them"

    def test_an_output_nobody_publishes(self):
        """Found without running anything where the specification says what is published, else when it is published."""
        with pytest.raises(SpecError, match="'one' publishes no 'y'") as caught:
            self.steps({"step": "one", "output": "y"}, xs=[1])
        assert caught.value.hint == "known here: x"
        with pytest.raises(SpecError, match="there is no init parameter 'xs'") as caught:
            self.steps({"step": "one", "output": "x"}, ys=[1])
        assert (caught.value.hint or "").startswith("give it with -p xs=VALUE; ")

    def test_scattered_elements_depend_only_on_the_step_they_came_from(self):
        first = stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]})
        second = stage("two", {"v": {"stages": "one", "output": "x"}}, scatter={"method": "zip", "parameters": ["v"]})
        assert plan(first, second, xs=[1, 2])["two/1"].depends_on == (StepId("one", 1),)

    def test_a_stage_waits_for_what_it_selects_from_though_it_does_not_say_so(self):
        late = stage("two", {"x": 1})
        steps = plan(stage("one", {"v": {"step": "two", "output": "x"}}), late)
        assert list(steps) == ["two/0", "one/0"]

    def test_a_stage_after_one_without_steps_waits_for_ever(self):
        empty = stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]})
        after = stage("two", {"v": {"stages": "one", "output": "x"}}, needs=["one"])
        steps, waiting = expand.plan(workflow(empty, after), {"xs": []})
        assert (steps, waiting) == ((), ("two",))

    def test_a_stage_that_only_selects_from_one_without_steps_gets_an_empty_list(self):
        empty = stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]})
        after = stage("two", {"v": {"stages": "one", "output": "x"}})
        assert plan(empty, after, xs=[])["two/0"].parameters == {"v": ()}


class TestInit:
    FILES = ("yields.yaml", "cards/a.dat", "cards/b.dat", "cards/.hidden", "deep/er/c.dat")

    def init(self, value: object, files: tuple[str, ...] | None = FILES) -> object:
        return publishers.publish_init({"v": value}, files)["v"]

    def path(self, name: str) -> Path:
        return Path((Dir(INIT), f"/{name}"))

    @pytest.mark.parametrize("name", ["yields.yaml", "cards", "cards/a.dat", "deep/er"])
    def test_a_name_below_the_initdir_becomes_its_path(self, name):
        assert self.init(name) == self.path(name)

    @pytest.mark.parametrize(
        "name", ["yields", "cards/c.dat", "/etc/passwd", "../yields.yaml", "*.root", "a b", "cards/../.."]
    )
    def test_other_texts_stay_what_they_are(self, name):
        assert self.init(name) == name

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("cards/*.dat", ["cards/a.dat", "cards/b.dat"]),
            ("cards/*", ["cards/a.dat", "cards/b.dat"]),
            ("cards/.*", ["cards/.hidden"]),
            ("*/[ab].dat", ["cards/a.dat", "cards/b.dat"]),
            ("cards/?.dat", ["cards/a.dat", "cards/b.dat"]),
            ("*.yaml", ["yields.yaml"]),
        ],
    )
    def test_wildcards_become_sorted_lists(self, pattern, names):
        assert self.init(pattern) == tuple(self.path(name) for name in names)

    def test_files_are_found_inside_lists_and_mappings(self):
        assert self.init(["yields.yaml", {"k": "cards"}]) == (self.path("yields.yaml"), {"k": self.path("cards")})

    def test_without_an_initdir_texts_are_texts(self):
        assert self.init("yields.yaml", None) == "yields.yaml"

    @pytest.mark.parametrize(("given", "published"), [(True, True), (1, 1), (0.5, 0.5), (None, None), ("1", "1")])
    def test_other_values_keep_their_types(self, given, published):
        found = self.init(given)
        assert (type(found), found) == (type(published), published)


class TestPublishers:
    def test_interpolated_texts_hold_the_workdir_and_parameters(self):
        step = made(interpolated({"a": "{workdir}/{n}.json", "b": ["{n}", 3]}), n=5)
        assert publishers.publish(step, NO_FILES) == {"a": Path((OWN, "/5.json")), "b": ("5", 3)}

    def test_constant_is_not_interpolated(self):
        assert publishers.publish(made({"publisher_type": "constant-pub", "publish": {"a": "{n}"}}), NO_FILES) == {
            "a": "{n}"
        }

    def test_frompar_renames_parameters(self):
        step = made({"publisher_type": "frompar-pub", "outputmap": {"o": ["p", "q"]}}, p="{workdir}/p", q=(1, 2))
        assert publishers.publish(step, NO_FILES) == {"o": (Path((OWN, "/p")), (1, 2))}

    def test_glob_gives_the_sorted_matches(self):
        step = made(interpolated({"a": "{workdir}/*.json"}, glob=True))
        assert publishers.prepublish(step) is None
        files = files_of("b.json", "a.json", "c.txt", "d/e.json", ".f.json")
        assert publishers.publish(step, files) == {"a": (Path((OWN, "/a.json")), Path((OWN, "/b.json")))}

    def test_relative_paths_are_below_the_workdir(self):
        step = made(interpolated({"a": "x.json", "b": "/abs", "c": "{workdir}/y"}, relative_paths=True))
        published = publishers.publish(step, NO_FILES)
        assert published == {"a": Path((OWN, "/x.json")), "b": "/abs", "c": Path((OWN, "/y"))}

    @pytest.mark.parametrize(
        ("publisher", "message"),
        [
            (interpolated({"a": "{nope}"}), r"names \{nope\}, which is not one of the stage's parameters"),
            ({"publisher_type": "frompar-pub", "outputmap": {"a": "nope"}}, "publishes the unknown parameter 'nope'"),
        ],
    )
    def test_unknown_parameters_are_refused(self, publisher, message):
        with pytest.raises(SpecError, match=message):
            made(publisher, n=1)


class TestCheckPublished:
    @pytest.mark.parametrize(
        ("publish", "names", "missing"),
        [
            ("{workdir}/a", {"b", "c"}, "a"),
            (["{workdir}/b", "{workdir}/a"], {"b"}, "a"),
            ({"x": {"y": "{workdir}/d/a"}}, {"d/b"}, "d/a"),
            ("{workdir}a", {"a"}, "{workdir}a"),
            ("{workdir}/../a", {"a"}, "../a"),
        ],
    )
    def test_a_declared_output_that_is_not_there_fails_the_step(self, publish, names, missing):
        step = made(interpolated({"o": publish}))
        with pytest.raises(StepFailed) as caught:
            publishers.check_published(step, publishers.publish(step, files_of(*names)), files_of(*names))
        assert caught.value.message == (f"the step one/0 ended well but did not write its declared output {missing!r}")
        assert caught.value.hint == f"it wrote: {', '.join(sorted(names))}"

    def test_a_wildcard_that_matches_nothing_fails_the_step(self):
        step = made(interpolated({"o": "{workdir}/*.root"}, glob=True))
        with pytest.raises(StepFailed, match=r"declared output '\*\.root'"):
            publishers.check_published(step, publishers.publish(step, files_of("a")), files_of("a"))

    @pytest.mark.parametrize("publish", ["{workdir}/a", "{workdir}/d/b", "{workdir}/d", "{workdir}", "/elsewhere", "t"])
    def test_what_is_there_or_not_ours_is_fine(self, publish):
        step = made(interpolated({"o": publish}))
        files = files_of("a", "d/b")
        publishers.check_published(step, publishers.publish(step, files), files)


def test_expansion_is_the_same_every_time():
    stages = [
        stage("one", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]}),
        stage("two", {"v": {"stages": "one", "output": "x"}}),
    ]
    assert expand.plan(workflow(*stages), {"xs": [1, 2]}) == expand.plan(workflow(*stages), {"xs": [1, 2]})


def test_an_error_in_one_stage_keeps_no_other_from_its_steps():
    xs = {"step": "init", "output": "xs"}
    bad = stage("bad", {"x": xs}, scatter={"method": "zip", "parameters": ["x"]})
    stages = [bad, stage("good", {"x": 1}), stage("better", {"x": {"step": "good", "output": "x"}})]
    expansion = expand.Expansion(workflow(*stages), {"xs": 5}, {})
    assert [str(step.id) for step in expansion.advance()] == ["good/0", "better/0"]
    (error,) = expansion.errors
    assert error.message == "the stage 'bad' scatters over 'x', which is not a list"
    assert expansion.waiting == ()
    assert expansion.advance() == ()
    assert expansion.errors == [error]
    with pytest.raises(SpecError, match="which is not a list"):
        expand.plan(workflow(*stages), {"xs": 5})


def test_what_waits_for_a_stage_with_an_error_goes_on_waiting():
    bad = stage("bad", {"x": OF_INIT}, scatter={"method": "zip", "parameters": ["x"]})
    expansion = expand.Expansion(workflow(bad, stage("after", {}, needs=["bad"])), {"xs": 5}, {})
    assert expansion.advance() == ()
    assert [unready.stage for unready in expansion.waiting] == ["after"]


def test_a_later_publication_makes_the_stages_that_wait_for_it_ready():
    first = stage("one", {}, publisher=interpolated({"o": "{workdir}/*"}, glob=True))
    expansion = expand.Expansion(workflow(first, stage("two", {"v": {"step": "one", "output": "o"}})), {}, {})
    (one,) = expansion.advance()
    assert expansion.waiting == (Unready("two", "'one' has not published"),)
    assert not expansion.complete
    assert expansion.advance() == ()
    expansion.publish(one.id, {"o": (Path((OWN, "/f")),)})
    (two,) = expansion.advance()
    assert two.parameters["v"] == (Path((OWN, "/f")),)
    assert expansion.waiting == ()
    assert expansion.complete
