"""Upstream yadage and our engine expand every workflow to the same graph, parameters and published values.

Each directory of `specs/` here is a workflow that needs only to be expanded: `workflow.yml`, the `init.yml`
that it is started with and, where init files matter, the initdir `data/`. The preserved analyses are compared
the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from recast_dm import engine, spec
from recast_dm.backends.yadage import Graph, Node, expand
from recast_dm.errors import SpecError, ToolMissing
from recast_dm.model import INIT, Dir, StepId, Value
from recast_dm.model import Path as StepPath
from recast_dm.reinterpret import example_inputs
from recast_dm.spec import analysis

TOP = Path(__file__).parents[2]
SPECS = Path(__file__).with_name("specs")


def by_name(directory: Path) -> Any:
    """A directory as a test's parameter."""
    return pytest.param(directory, id=directory.name)


CORPUS = [by_name(path) for path in sorted(SPECS.iterdir())]
ANALYSES = [
    by_name(manifest.parent)
    for manifest in sorted([*TOP.glob("specs/*/recast.yml"), *TOP.glob("tests/analyses/*/recast.yml")])
]


@cache
def of_upstream(name: str, python: Path) -> Graph:
    directory = SPECS / name
    return expand(directory / "workflow.yml", init_of(directory), initdir_of(directory), python=python)


def init_of(directory: Path) -> dict[str, Any]:
    initdata: dict[str, Any] = yaml.safe_load((directory / "init.yml").read_text())
    return initdata


def initdir_of(directory: Path) -> Path | None:
    data = directory / "data"
    return data if data.is_dir() else None


def files_below(initdir: Path | None) -> list[str]:
    return [str(path.relative_to(initdir)) for path in initdir.rglob("*") if path.is_file()] if initdir else []


def exactly(value: Value) -> object:
    """A value that equals another only if their types do too: 1, 1.0 and true differ in a command."""
    if isinstance(value, tuple):
        return tuple(exactly(item) for item in value)
    if isinstance(value, Mapping):
        return {key: exactly(item) for key, item in value.items()}
    return (type(value).__name__, value)


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
        expand(workflow, {"n": 1}, python=upstream)


def test_a_file_that_upstream_cannot_read_is_named(upstream, tmp_path):
    with pytest.raises(SpecError, match=r"No such file or directory: '.*missing\.yml'"):
        expand(tmp_path / "missing.yml", {"n": 1}, python=upstream)


def test_an_exception_inside_upstream_says_where(upstream, tmp_path):
    workflow = tmp_path / "workflow.yml"
    text = (SPECS / "singlestep" / "workflow.yml").read_text().replace("output: model", "output: modle")
    workflow.write_text(text)
    (tmp_path / "steps.yml").write_text((SPECS / "singlestep" / "steps.yml").read_text())
    with pytest.raises(SpecError, match="no matches found") as caught:
        expand(workflow, init_of(SPECS / "singlestep"), python=upstream)
    assert "expression_handlers.py" in str(caught.value)


def test_an_expansion_that_takes_too_long_is_ended(upstream):
    with pytest.raises(SpecError, match="did not finish expanding"):
        expand(SPECS / "singlestep" / "workflow.yml", {"n": 1}, python=upstream, timeout=0.01)


def test_without_upstream_the_tool_is_missing(tmp_path):
    with pytest.raises(ToolMissing, match="cannot start upstream yadage"):
        expand(SPECS / "singlestep" / "workflow.yml", {"n": 1}, python=tmp_path / "python")


# --- our engine beside upstream -----------------------------------------------------------------------------


def agree(workflow: Path, initdata: Mapping[str, Any], initdir: Path | None, graph: Graph) -> None:
    """Our engine's steps are upstream's nodes. The order of stages is no part of a graph; the index is."""
    files = files_below(initdir)
    steps, waiting = engine.plan(spec.load(workflow), initdata, files)
    theirs = {node.id: node for node in graph.nodes}
    init = engine.publish_init(initdata, files)
    assert exactly(init) == exactly(theirs.pop(INIT).published)
    assert sorted(step.id for step in steps) == sorted(theirs)
    assert sorted(waiting) == sorted(graph.unapplied)
    for step in steps:
        node = theirs[step.id]
        assert exactly(step.parameters) == exactly(node.parameters), step.id
        assert tuple(sorted(step.depends_on)) == node.depends_on, step.id
        published = engine.prepublish(step)
        assert (published is not None) == node.prepublished, step.id
        assert exactly(published) == exactly(node.published), step.id


@pytest.mark.parametrize("directory", CORPUS)
def test_we_expand_as_upstream_does(directory, upstream):
    graph = of_upstream(directory.name, upstream)
    agree(directory / "workflow.yml", init_of(directory), initdir_of(directory), graph)


@pytest.mark.parametrize("directory", ANALYSES)
def test_a_preserved_analysis_expands_as_upstream_does(directory, upstream):
    preserved = analysis.load(directory)
    initdata, initdir = example_inputs(preserved), preserved.initdir
    graph = expand(preserved.workflow_path, initdata, initdir, python=upstream)
    agree(preserved.workflow_path, initdata, initdir, graph)
