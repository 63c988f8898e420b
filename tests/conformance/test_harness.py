"""The harness itself: it sees every difference, reads the corpus, and makes workflows that upstream takes."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings

from recast_dm.errors import SpecError
from recast_dm.model import INIT, Dir, Path, StepId
from tests.conformance import compare, corpus
from tests.conformance.compare import Refused, Seen, SeenStep, differences
from tests.conformance.generate import MOST_STEPS, workflow_of, workflows

FIT, GEN = StepId("fit"), StepId("gen")
CASES = corpus.cases()


def seen(step=FIT, waiting=(), **more) -> Seen:
    """A workflow of one step."""
    told = {"parameters": {"n": 1}, "depends_on": (INIT,), "known": True, "published": {"a": 1}, "files": {"out": "00"}}
    return Seen({step: SeenStep(**{**told, **more})}, waiting)


# --- side by side -----------------------------------------------------------------------------------------------------


def test_the_same_is_no_difference():
    assert differences(seen(), seen()) == []
    assert differences(Refused("one reason"), Refused("another")) == []


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (seen(parameters={"n": 1.0}), "fit/0: parameters {'n': 1}, ours {'n': 1.0}"),
        (seen(parameters={"n": True}), "fit/0: parameters {'n': 1}, ours {'n': True}"),
        (seen(depends_on=()), "fit/0: depends on init/0, ours on nothing"),
        (seen(published={"a": "1"}), "fit/0: publishes {'a': 1}, ours {'a': '1'}"),
        (seen(known=False, published=None), "fit/0: publishes {'a': 1}, ours 'not known before it has run'"),
        (seen(files={}), "fit/0: the file out: 00, ours none"),
        (seen(files={"out": "00", "log": "11"}), "fit/0: the file log: none, ours 11"),
        (seen(waiting=("merge",)), "stages that wait: , ours merge"),
        (Refused("no"), "we refuse: no"),
    ],
)
def test_a_difference_is_said(ours, said):
    assert differences(seen(), ours) == [said]


def test_steps_that_only_one_has_are_named():
    assert differences(seen(), seen(GEN)) == ["only upstream has the steps fit/0", "only we have the steps gen/0"]
    assert differences(Refused("no"), seen()) == ["upstream refuses: no"]


def test_the_parameters_of_init_are_no_matter():
    assert differences(seen(INIT), seen(INIT, parameters=None)) == []


def test_only_our_own_errors_are_an_answer():
    def refuse() -> Seen:
        raise SpecError("no")

    assert compare.attempt(refuse) == Refused("no")
    with pytest.raises(ZeroDivisionError):
        compare.attempt(lambda: 1 // 0)  # type: ignore[arg-type,return-value]


def test_a_text_that_names_its_own_directory_compares_equal(tmp_path):
    here, there = tmp_path / "fit", tmp_path / "fit_1"
    for place, text in ((here, f"{here}/a {there}/b"), (there, "/seen/a /inputs/b"), (tmp_path / "raw", "")):
        place.mkdir()
        (place / "out").write_text(text)
    hosts = {str(here): FIT, str(there): GEN}
    assert compare.content(here / "out", hosts) == compare.content(there / "out", {"/seen": FIT, "/inputs": GEN})
    assert compare.content(here / "out", hosts) != compare.content(here / "out", {})
    (here / "out").write_bytes(b"\xff" + str(here).encode())
    assert compare.content(here / "out", hosts) == compare.content(here / "out", {})


def test_values_are_told_apart_by_their_types():
    values = (1, 1.0, True, "1", None, (1,), {"a": 1}, Path((Dir(FIT),)))
    assert len({json.dumps(compare.exactly(value), default=str) for value in values}) == len(values)


# --- the corpus -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_what_it_is(case):
    assert case.upstream in (None, "refuses", "fails")
    assert set(case.needs) <= {"docker"}
    assert case.deviation is None or case.deviation in corpus.deviations()
    assert case.workflow.is_file()
    assert isinstance(case.initdata, dict)
    if (case.directory / "case.yml").exists():
        assert case.features


def test_there_are_enough_specs():
    assert len(CASES) >= 80


# --- generated workflows ----------------------------------------------------------------------------------------------


@given(workflows)
@settings(max_examples=200)
def test_a_generated_workflow_is_a_document(generated):
    """It survives YAML and JSON, and stage names are not used twice."""
    document = generated.workflow
    assert yaml.safe_load(yaml.safe_dump(document)) == json.loads(json.dumps(document)) == document
    names = [stage["name"] for stage in document["stages"]]
    assert len(set(names)) == len(names)


def test_a_seed_makes_the_same_workflow_again():
    assert [workflow_of(seed) for seed in range(20)] == [workflow_of(seed) for seed in range(20)]


def test_generated_workflows_use_the_language():
    many = [workflow_of(seed) for seed in range(300)]
    used = {feature for generated in many for feature in generated.features}
    assert sum(generated.execute for generated in many) > 150
    assert {"jq-stage", "cases", "nested sub-workflow", "scatter zip", "expressions_fulfilled", "fromyaml-pub"} <= used


def test_upstream_takes_most_of_them_and_they_are_small(upstream, tmp_path):
    refused = 0
    for seed in range(40):
        generated = workflow_of(seed)
        spec = generated.write(tmp_path / str(seed))
        try:
            graph = upstream.expand(spec / "workflow.yml", generated.initdata, spec / "data")
        except SpecError:
            refused += 1
            continue
        assert sum(not node.id.stage.endswith("init") for node in graph.nodes) <= MOST_STEPS
    assert refused < 8
