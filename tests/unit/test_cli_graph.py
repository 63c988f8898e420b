"""`recast-dm graph`: of runs, workflows, analyses and capsules."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import localruns
import looking
import pytest
import yaml
from looking import document, refused

cli, runs = looking.cli, looking.runs  # fixtures


def test_the_latest_run_as_mermaid(cli, runs):
    code, out, err = cli("graph")
    assert (code, err) == (0, "")
    assert out.startswith('---\ntitle: "toy: failed, 6 of 9 steps"\n---\nflowchart TB\n')
    assert '["check<br>failed: exit code 3"]' in out


def test_an_svg(cli, runs):
    code, out, _ = cli("graph", "a", "-o", "deep/run.svg")
    assert (code, out.splitlines()[0]) == (0, "picture  deep/run.svg")
    assert ET.parse("deep/run.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_document_of_a_run(cli, runs):
    found = document(cli, "graph", "build/runs/a", "-o", "run.mmd")
    assert (found["of"], found["name"], found["output"]) == ("run", "build/runs/a", "run.mmd")
    assert Path("run.mmd").read_text().startswith("---\ntitle")
    nodes = {node["id"]: node for node in found["nodes"]}
    assert (nodes["signal/1"]["group"], nodes["signal/1"]["states"]) == ("signal", {"finished": 1})
    assert {"from": "signal", "to": "limit/0"} in found["edges"]


def test_few_boxes_or_every_step(cli, runs):
    localruns.execute(runs / "d", seeds=range(14))
    few = {node["id"]: node for node in document(cli, "graph", "d")["nodes"]}
    assert (few["signal"]["label"], few["signal"]["steps"]) == ("signal x 14", 14)
    assert len(document(cli, "graph", "d", "--steps")["nodes"]) == 45


def test_a_workflow_and_an_analysis(cli, toy_directory):
    Path("workflow.yml").write_text(yaml.safe_dump(localruns.document()))
    found = document(cli, "graph", "workflow.yml")
    assert (found["of"], found["name"]) == ("workflow", "workflow")
    assert {group["id"] for group in found["groups"]} == {"scan"}
    assert document(cli, "graph", str(toy_directory))["name"] == "toy"


def test_a_capsule(cli, toy_capsule):
    found = document(cli, "graph", str(toy_capsule.path))
    assert found["of"] == "workflow"
    assert found["nodes"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "nowhere does not exist"),
        ((), "there is no run at build/runs/latest"),
        (("workflow.yml", "--steps"), "only a run has steps"),
        (("workflow.yml", "-o", "w.png"), "pictures are written as .svg or .mmd"),
        (("workflow.yml", "-o", "."), "pictures are written as .svg or .mmd"),
        (("workflow.yml", "-o", "d.svg"), "is a directory"),
    ],
)
def test_words_that_cannot_be(cli, words, message):
    Path("workflow.yml").write_text(yaml.safe_dump(localruns.document()))
    Path("d.svg").mkdir()
    assert message in refused(cli, "graph", *words)


def test_a_workflow_that_is_none(cli):
    Path("bad.yml").write_text("stages: 5")
    assert "bad.yml:1:9: " in refused(cli, "graph", "bad.yml", code=3)
