"""Upstream yadage and our engine make the same of every workflow of the corpus and of the preserved analyses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recast_dm.backends.yadage import Graph, Node, Upstream, expand
from recast_dm.errors import SpecError, ToolMissing
from recast_dm.model import INIT, Dir, StepId
from recast_dm.model import Path as StepPath
from recast_dm.reinterpret import example_inputs
from recast_dm.spec import analysis
from tests.conformance import compare, corpus, judge, our_side, upstream_side
from tests.conformance.corpus import SPECS, Case

TOP = Path(__file__).parents[2]
ANALYSES = [
    pytest.param(manifest.parent, id=manifest.parent.name)
    for manifest in sorted([*TOP.glob("specs/*/recast.yml"), *TOP.glob("tests/analyses/*/recast.yml")])
]


def of_upstream(name: str, upstream: Upstream) -> Graph:
    case = corpus.read(SPECS / name)
    return upstream.expand(case.workflow, case.initdata, case.initdir)


def below(step: StepId, text: str) -> StepPath:
    return StepPath((Dir(step), text))


# --- upstream alone, against what a person reads in the specification ---------------------------------------


def test_upstream_expands_one_stage_after_the_other(upstream):
    cross_section, limit = StepId("cross-section"), StepId("limit")
    assert of_upstream("singlestep", upstream) == Graph(
        nodes=(
            Node(
                id=INIT,
                name="init",
                parameters={"model": "spin1-axial", "m_med": 2000, "g_q": 0.25},
                depends_on=(),
                prepublished=True,
                published={"model": "spin1-axial", "m_med": 2000, "g_q": 0.25},
            ),
            Node(
                id=cross_section,
                name="cross-section",
                parameters={"model": "spin1-axial", "m_med": 2000, "g_q": 0.25, "order": "NLO"},
                depends_on=(INIT,),
                prepublished=True,
                published={"sigma": below(cross_section, "/sigma.json")},
            ),
            Node(
                id=limit,
                name="limit",
                parameters={"sigma": below(cross_section, "/sigma.json"), "level": 0.95, "toys": 0},
                depends_on=(cross_section,),
                prepublished=True,
                published={"limit": below(limit, "/limit.json"), "log": below(limit, "/logs/limit.log")},
            ),
        ),
        unapplied=(),
        without_steps=(),
    )


def test_upstream_scatters_in_lock_step_and_merges(upstream):
    graph = of_upstream("scatter-zip", upstream)
    generated = [StepId("generate", index) for index in range(3)]
    selected = [StepId("select", index) for index in range(3)]
    assert [node.id for node in graph.nodes] == [INIT, *generated, *selected, StepId("merge")]
    assert [node.name for node in graph.nodes[1:4]] == ["generate_0", "generate_1", "generate_2"]
    assert [graph.node(step).parameters for step in generated] == [
        {"seed": 11, "events": 1000, "cards": ("one", "two")},
        {"seed": 12, "events": 1000, "cards": ("one", "two")},
        {"seed": 13, "events": 500, "cards": ("one", "two")},
    ]
    assert [graph.node(step).depends_on for step in selected] == [(step,) for step in generated]
    merge = graph.node(StepId("merge"))
    assert merge.parameters == {"samples": tuple(below(step, "/histogram.json") for step in selected)}
    assert merge.depends_on == tuple(selected)


def test_upstream_names_the_stages_that_wait_for_files(upstream):
    graph = of_upstream("publishers", upstream)
    assert graph.unapplied == ("waits-for-files",)
    assert not graph.node(StepId("globbed")).prepublished


def test_upstream_names_the_stages_without_steps(upstream):
    graph = of_upstream("no-steps", upstream)
    assert graph.without_steps == ("scattered",)
    assert graph.unapplied == ("merge",)


def test_upstreams_refusal_is_an_error_with_its_text(upstream, tmp_path):
    workflow = tmp_path / "workflow.yml"
    workflow.write_text("stages: [{name: a, scheduler: {scheduler_type: singlestp-stage}}]")
    with pytest.raises(SpecError, match="scheduler_type: ValidationError: 'singlestp-stage' is not one of"):
        upstream.expand(workflow, {"n": 1})


def test_a_file_that_upstream_cannot_read_is_named(upstream, tmp_path):
    with pytest.raises(SpecError, match=r"No such file or directory: '.*missing\.yml'"):
        upstream.expand(tmp_path / "missing.yml", {"n": 1})


def test_an_exception_inside_upstream_says_where(upstream, tmp_path):
    workflow = tmp_path / "workflow.yml"
    text = (SPECS / "singlestep" / "workflow.yml").read_text().replace("output: model", "output: modle")
    workflow.write_text(text)
    (tmp_path / "steps.yml").write_text((SPECS / "singlestep" / "steps.yml").read_text())
    with pytest.raises(SpecError, match="no matches found") as caught:
        upstream.expand(workflow, corpus.read(SPECS / "singlestep").initdata)
    assert "expression_handlers.py" in str(caught.value)


def test_an_expansion_that_takes_too_long_is_ended(upstream_python):
    with pytest.raises(SpecError, match="did not finish expanding"):
        expand(SPECS / "singlestep" / "workflow.yml", {"n": 1}, python=upstream_python, timeout=0.01)


def test_without_upstream_the_tool_is_missing(tmp_path):
    with pytest.raises(ToolMissing, match="cannot start upstream yadage"):
        expand(SPECS / "singlestep" / "workflow.yml", {"n": 1}, python=tmp_path / "python")


# --- our engine beside upstream -----------------------------------------------------------------------------


def parameter(case: Case) -> Any:
    """A case as a test's parameter."""
    return pytest.param(case, id=case.name, marks=[pytest.mark.container] if "docker" in case.needs else [])


@pytest.mark.parametrize("case", [parameter(case) for case in corpus.cases()])
def test_a_workflow_of_the_corpus(case, upstream, request):
    if case.needs:
        request.getfixturevalue("docker")
    assert judge.judge_case(case, upstream).problems == ()


@pytest.mark.parametrize("directory", ANALYSES)
def test_a_preserved_analysis_expands_as_upstream_does(directory, upstream):
    preserved = analysis.load(directory)
    initdata, initdir = example_inputs(preserved), preserved.initdir
    theirs = upstream_side.expanded(upstream.expand(preserved.workflow_path, initdata, initdir))
    ours = our_side.expanded(preserved.workflow_path, initdata, initdir)
    assert compare.differences(theirs, ours) == []
