"""The key: what changes it, and what must not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.engine import key, publishers
from recast_dm.errors import Location
from recast_dm.model import (
    Command,
    ConstantPublisher,
    Dir,
    DockerEnvironment,
    FromParPublisher,
    Image,
    InterpolatedPublisher,
    Path,
    Script,
    Step,
    StepId,
    StepSpec,
)
from recast_dm.spec import template

HERE = Location("steps.yml", 1)
IMAGE = Image(reference="a:1", image_id="sha256:1", diff_ids=("sha256:x", "sha256:y"), platform="linux/amd64")
SOURCE = StepId("source")
SPEC = StepSpec(
    Command(template.parse("run {p}", HERE)), DockerEnvironment("a", "1"), ConstantPublisher({"o": 1}), HERE
)
STEP = Step(StepId("one"), SPEC, {"p": Path((Dir(SOURCE), "/f")), "q": 1}, (SOURCE,))
TREES = {SOURCE: "00" * 32}


def of(step: Step = STEP, image: Image = IMAGE, trees: dict = TREES) -> str:
    return key.of(key.parts(step, image, trees))


def with_parameters(**parameters: object) -> Step:
    return replace(STEP, parameters=parameters)


def test_the_key_of_a_step_is_pinned():
    """Raise `key.VERSION` when this has to change: every cache entry made before is then left alone."""
    assert of() == "2b7dab0a6b6ac6e9ce2c9af1badf3f5f701e5de1fd22d42c7bf80b2375794c99"


@pytest.mark.parametrize(
    "other",
    [
        of(image=replace(IMAGE, diff_ids=("sha256:y", "sha256:x"))),
        of(image=replace(IMAGE, diff_ids=("sha256:x",))),
        of(image=replace(IMAGE, platform="linux/arm64")),
        of(image=replace(IMAGE, config={"env": ["A=1"]})),
        of(image=replace(IMAGE, config={"workdir": "/code"})),
        of(trees={SOURCE: "11" * 32}),
        of(replace(STEP, relaxations=("compat: raw",))),
        of(with_parameters(p=Path((Dir(SOURCE), "/g")), q=1)),
        of(with_parameters(p=Path((Dir(SOURCE), "/f")), q=2)),
        of(with_parameters(p=Path((Dir(SOURCE), "/f")), r=1)),
        of(with_parameters(p="/inputs/0/f", q=1)),
        of(replace(STEP, spec=replace(SPEC, process=Command(template.parse("run  {p}", HERE))))),
        of(replace(STEP, spec=replace(SPEC, process=Script(template.parse("run {p}", HERE), "sh")))),
        of(replace(STEP, spec=replace(SPEC, process=Script(template.parse("run {p}", HERE), "bash")))),
        of(replace(STEP, spec=replace(SPEC, publisher=ConstantPublisher({"o": 2})))),
        of(replace(STEP, spec=replace(SPEC, publisher=FromParPublisher({"o": "q"})))),
        of(replace(STEP, spec=replace(SPEC, publisher=InterpolatedPublisher({"o": 1})))),
        of(replace(STEP, spec=replace(SPEC, publisher=InterpolatedPublisher({"o": 1}, glob=True)))),
        of(replace(STEP, spec=replace(SPEC, publisher=InterpolatedPublisher({"o": 1}, relative_paths=True)))),
    ],
)
def test_what_a_step_does_changes_its_key(other):
    assert other != of()


@pytest.mark.parametrize(
    "same",
    [
        of(image=replace(IMAGE, reference="b:2", image_id="sha256:2", registry_digest="r@sha256:3")),
        of(replace(STEP, id=StepId("another", 5))),
        of(replace(STEP, depends_on=())),
        of(replace(STEP, spec=replace(SPEC, where=Location("elsewhere.yml", 9)))),
        of(replace(STEP, spec=replace(SPEC, environment=DockerEnvironment("b", "2")))),
        of(with_parameters(q=1, p=Path((Dir(SOURCE), "/f")))),
        of(trees={**TREES, StepId("unused"): "22" * 32}),
    ],
)
def test_where_and_when_it_is_done_does_not(same):
    assert same == of()


def test_which_step_a_directory_came_from_does_not_matter_only_what_is_in_it():
    other = StepId("other", 3)
    moved = replace(STEP, parameters={"p": Path((Dir(other), "/f")), "q": 1})
    assert of(moved, trees={other: TREES[SOURCE]}) == of()


@pytest.mark.parametrize("name", ["env", "workdir"])
def test_two_images_that_set_other_variables_or_start_elsewhere_do_other_things(name):
    settings = {"env": ["A=1"], "workdir": "/code"}
    others = [{**settings, name: other} for other in (["A=2"], [], ["A=1", "B=1"], "/", "")]
    keys = {of(image=replace(IMAGE, config=config)) for config in (settings, *others)}
    assert len(keys) == 6


def test_equal_trees_at_different_places_can_be_told_apart():
    """A command that is given one directory twice sees another thing than one that is given two that are alike."""
    twin = StepId("twin")
    trees = {SOURCE: TREES[SOURCE], twin: TREES[SOURCE]}
    once = of(with_parameters(p=Path((Dir(SOURCE), "/f")), q=Path((Dir(SOURCE), "/g"))), trees=trees)
    two = of(with_parameters(p=Path((Dir(SOURCE), "/f")), q=Path((Dir(twin), "/g"))), trees=trees)
    swapped = of(with_parameters(p=Path((Dir(twin), "/f")), q=Path((Dir(SOURCE), "/g"))), trees=trees)
    assert once != two == swapped


def test_a_directory_that_the_environment_starts_in_is_part_of_it():
    """Rendered: which step it is of does not matter, which of the mounted ones it is does."""

    def starting(workdir: str, *readdirs: StepId) -> str:
        environment = DockerEnvironment("a", "1", workdir=workdir)
        step = replace(STEP, spec=replace(SPEC, environment=environment), readdirs=readdirs)
        return of(replace(step, parameters={"p": Path((Dir(SOURCE), "/f")), "q": Path((Dir(twin), "/f"))}), trees=trees)

    twin = StepId("twin")
    trees = {SOURCE: TREES[SOURCE], twin: TREES[SOURCE]}
    assert starting("{readdir0}", SOURCE, twin) == starting("{readdir1}", twin, SOURCE) == starting("/inputs/0")
    assert starting("{readdir0}", SOURCE, twin) != starting("{readdir0}", twin, SOURCE)
    assert starting("{workdir}") == starting("/workdir") != starting("/inputs/0")


def test_a_steps_own_directory_is_the_same_wherever_it_lies():
    one, two = (replace(STEP, id=StepId(n), parameters={"o": Path((Dir(StepId(n)), "/o"))}) for n in ("one", "two"))
    assert of(one) == of(two)
    assert of(one) != of(replace(one, parameters={"o": Path((Dir(SOURCE), "/o"))}))


@pytest.mark.parametrize("values", [(1, 1.0, True, "1"), (0, 0.0, -0.0, False, None, "", "0"), (1e16, 10**16)])
def test_numbers_truths_and_texts_are_told_apart(values):
    assert len({of(with_parameters(p=value)) for value in values}) == len(values)


@given(strategies.documents, strategies.documents)
def test_equal_keys_mean_equal_values(one, two):
    first, second = (publishers.freeze(value) for value in (one, two))
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (of(with_parameters(p=first)) == of(with_parameters(p=second))) is same


@given(st.dictionaries(strategies.names, strategies.documents, max_size=4), st.randoms())
def test_the_order_of_parameters_does_not_matter(parameters, random):
    frozen = {name: publishers.freeze(value) for name, value in parameters.items()}
    names = list(frozen)
    random.shuffle(names)
    assert of(replace(STEP, parameters=frozen)) == of(replace(STEP, parameters={name: frozen[name] for name in names}))


@given(strategies.documents)
def test_no_value_looks_like_a_path(value):
    path = Path((Dir(SOURCE), "/f"))
    assert of(with_parameters(p=path)) != of(with_parameters(p=publishers.freeze(value)))


def test_a_mapping_that_mimics_a_path_is_not_one():
    mimic = {"path": ({"tree": TREES[SOURCE]}, "/f")}
    assert of(with_parameters(p=mimic)) != of(with_parameters(p=Path((Dir(SOURCE), "/f"))))
