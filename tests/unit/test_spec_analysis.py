"""recast.yml: what an analysis says of itself, and the line to look at when it says it wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recast_dm.errors import Location, SpecError
from recast_dm.model import Policy
from recast_dm.spec import analysis
from recast_dm.spec.reference import Rule


@pytest.fixture
def toy(toy_directory, tmp_path, monkeypatch) -> Path:
    """A copy of the toy analysis in the current directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy_directory, "toy")
    return Path("toy")


def change(toy: Path, old: str, new: str, file: str = "recast.yml") -> None:
    source = (toy / file).read_text()
    assert old in source
    (toy / file).write_text(source.replace(old, new, 1))


def refusal(toy: Path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        analysis.load(toy)
    return caught.value


def test_the_toy_analysis(toy):
    loaded = analysis.load(toy)
    assert (loaded.name, loaded.title) == ("toy", "Toy counting experiment")
    assert [stage.name for stage in loaded.workflow.stages] == ["count", "limit"]
    assert loaded.initdir == toy / "data"
    assert loaded.example == analysis.Example(
        {"program": "toy.py", "seeds": [1, 2], "events": 1000}, "spin1-axial", {"m_med": 1000, "m_dm": 1}
    )
    assert loaded.signal == analysis.Signal("efficiency-map", {"m_med": "parameters.m_med", "m_dm": "parameters.m_dm"})
    assert loaded.results == {"limit": "limit/limit.json"}
    assert loaded.closure[0].value == 0.5
    assert loaded.relaxations == {}


@pytest.mark.parametrize(
    ("old", "new", "message", "place"),
    [
        ("name: toy\n", "nmae: toy\n", "'name' is a required property", (2, 1)),
        ("name: toy\n", "name: toy\nextra: 1\n", "'extra' was unexpected", (2, 1)),
        ("name: toy\n", "name: '../up'\n", "does not match", (2, 7)),
        ("authors: [The", "authors: [7, The", "7 is not of type 'string', 'object' (in metadata/authors/0)", (5, 13)),
        ("  workflow: workflow.yml", "  workflow: none.yml", "the workflow 'none.yml' does not exist", (7, 13)),
        ("  workflow: workflow.yml", "  workflow: .", "the workflow '.' does not exist", (7, 13)),
        ("  workflow: workflow.yml", "  workflow: ../out.yml", "leaves the analysis directory", (7, 13)),
        ("  workflow: workflow.yml", '  workflow: "a\\0b"', "names no file", (7, 13)),
        ("  workflow: workflow.yml", "  workflow: workflow.yml\n  toplevel: ..", "leaves the analysis", (8, 13)),
        ("initdir: data", "initdir: nowhere", "is not a directory of the analysis", (15, 16)),
        ("initdir: data", "initdir: toy.py", "is not a directory of the analysis", (15, 16)),
        ("initdir: data", "initdir: ..", "leaves the analysis directory", (15, 16)),
        ("initdir: data", "initdir: /etc", "leaves the analysis directory", (15, 16)),
        ("initdir: data", f"initdir: {'x' * 300}", "names no file", (15, 16)),
        ("format: efficiency-map", "format: efficiency", "'efficiency' is not one of", (23, 11)),
        ("published: 0.5", "published: 0", "0 is less than or equal to the minimum of 0", (31, 16)),
        ("published: 0.5", "published: .nan", "'.nan' is not a YAML float", (31, 16)),
        ("tolerance: 0.1", "tolerance: none", "'none' is not of type 'number'", (32, 16)),
        ("quantity: mu_upper_obs", "quantity: mu", "'mu' is not one of", (30, 15)),
        ("closure:", "steps: {cuont: {compat: raw}}\nclosure:", "the workflow has no stage 'cuont'", (27, 16)),
        ("closure:", "steps: {count: {compat: rwa}}\nclosure:", "'raw'", (27, 25)),
        ("closure:", "steps: {count: {batch: a; b}}\nclosure:", "a shell would do more with", (27, 24)),
        ("closure:", "steps: {count: {batch: ''}}\nclosure:", "'' should be non-empty", (27, 24)),
        ("closure:", "steps: {count: {batch: python}}\nclosure:", "does not begin with 'python'", (27, 24)),
        ("closure:", "steps: {limit: {batch: python3}}\nclosure:", "does not begin with 'python3'", (27, 24)),
        ("metadata:", "metadata: {", "not valid YAML", (5, 10)),
    ],
)
def test_a_malformed_manifest_names_file_line_and_column(toy, old, new, message, place):
    (toy.parent / "out.yml").write_text("stages: []")
    change(toy, old, new)
    error = refusal(toy)
    assert message in error.message
    assert error.where == Location("toy/recast.yml", *place)
    assert error.exit_code == 3


def test_an_error_in_the_workflow_names_the_workflow(toy):
    change(toy, "scheduler_type: singlestep-stage", "scheduler_type: single", "workflow.yml")
    assert refusal(toy).where == Location("toy/workflow.yml", 20, 23)


def test_an_error_behind_a_reference_names_the_file_it_stands_in(toy):
    change(toy, "{program} count", "{porgram} count", "steps.yml")
    error = refusal(toy)
    assert error.where == Location("toy/steps.yml", 4, 10)
    assert "did you mean 'program'?" in (error.hint or "")


def test_a_directory_without_a_manifest(tmp_path):
    assert "holds no recast.yml" in refusal(tmp_path).message


def test_a_relaxation_reaches_the_stage_it_names_and_no_other(toy):
    change(toy, "python3 {program} count", "python3 `echo {program}` count", "steps.yml")
    assert "after a backquote" in refusal(toy).message
    change(toy, "closure:", "steps: {count: {compat: raw}}\nclosure:")
    assert analysis.load(toy).relaxations == {"count": ("compat: raw",)}
    change(toy, "python3 {program} limit", "python3 `echo {program}` limit", "steps.yml")
    assert "after a backquote" in refusal(toy).message


def test_a_program_of_batches_reaches_the_stage_it_names(toy):
    change(toy, "closure:", "steps: {count: {batch: python3, retries: 2}}\nclosure:")
    assert analysis.load(toy).policies == {"count": Policy(retries=2, batch=("python3",))}


def test_a_statistics_stage_must_exist(toy):
    change(
        toy,
        "closure:",
        "statistics:\n  likelihood: {stage: limit, output: x}\n  patch: {stage: limt, output: x}\n"
        "  channel: c\n  signal_sample: s\nclosure:",
    )
    error = refusal(toy)
    assert error.where == Location("toy/recast.yml", 29, 18)
    assert error.hint == "did you mean 'limit'?"


def test_a_catalogue_entry_of_recast_atlas_works_unchanged(toy):
    (toy / "recast.yml").write_text(
        "name: examples/toy\n"
        "metadata: {author: Ada, short_description: a toy, tags: [x]}\n"
        "spec: {toplevel: ., workflow: workflow.yml}\n"
        "example_inputs:\n  default:\n    initdata: {program: toy.py}\n    dataopts: {initdir: data}\n"
        "results:\n- name: limit\n  relpath: limit/limit.json\n  load_yaml: false\n"
    )
    assert analysis.load(toy).name == "examples/toy"


@pytest.mark.parametrize(
    ("rule", "message", "column"),
    [
        ("{path: limt/limit.json, compare: exact}", "the workflow has no stage 'limt'", 12),
        ("{path: count_x/counts.json, compare: exact}", "the workflow has no stage 'count_x'", 12),
        ("{path: ../limit.json, compare: exact}", "does not lie in a run directory (in reference/0)", 5),
        ("{path: limit/limit.json, compare: exact, rtol: 1}", "'rtol' says nothing", 5),
        ("{path: limit/limit.json, compare: limit, rtol: -1}", "-1 is less than the minimum", 52),
        ("{path: limit/limit.json, compare: limit, rtl: 1}", "'rtl' was unexpected", 5),
    ],
)
def test_a_rule_that_makes_no_sense_names_its_line(toy, rule, message, column):
    change(toy, "closure:", f"reference:\n  - {rule}\nclosure:")
    error = refusal(toy)
    assert message in error.message
    assert error.where == Location("toy/recast.yml", 28, column)


def test_the_rules_of_an_analysis(toy):
    assert analysis.rules_of(analysis.load(toy)) == (Rule("limit/limit.json"),)
    change(
        toy,
        "closure:",
        "reference:\n- {path: count_1/counts.json, compare: json}\n- {path: '*/*/*.json', compare: exact}\nclosure:",
    )
    loaded = analysis.load(toy)
    assert loaded.reference == (Rule("count_1/counts.json", "json", rtol=1e-9), Rule("*/*/*.json"))
    assert analysis.rules_of(loaded) == loaded.reference
