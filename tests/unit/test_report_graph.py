"""Pictures of workflows and runs: what is shown, that nothing overlaps, and that any text is only text."""

from __future__ import annotations

import itertools
import random
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import localruns
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recast_dm import spec
from recast_dm.engine.history import Run, StepHistory
from recast_dm.errors import RecastError
from recast_dm.model import StepId
from recast_dm.report import graph as graphs
from recast_dm.report import layout, svg
from recast_dm.report.graph import Graph, Group, Node

TOP = Path(__file__).parents[2]


def step(name: str, state: str = "finished", needs: tuple[str, ...] = ()) -> StepHistory:
    return StepHistory(id=StepId.parse(name), state=state, depends_on=tuple(map(StepId.parse, needs)))


def run(*steps: StepHistory) -> Run:
    return Run(
        directory=Path("build/runs/a"),
        about={"analysis": "toy"},
        state="running",
        locked=True,
        complete=True,
        began=0.0,
        ended=None,
        message="",
        at=1.0,
        steps=steps,
        warnings=(),
    )


def fan(number: int) -> Run:
    signals = [step(f"signal/{n}", "finished" if n < number - 2 else "running") for n in range(number)]
    selects = [step(f"select/{n}", "pending", (f"signal/{n}",)) for n in range(number)]
    return run(*signals, *selects, step("limit/0", "pending", tuple(f"select/{n}" for n in range(number))))


def overlaps(box: layout.Box) -> list[tuple[str, str]]:
    """Pairs of boxes side by side in a group that touch, and boxes that reach out of their group."""
    found = []
    for one in box.walk():
        for a, b in itertools.combinations(one.inner, 2):
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            if not (beside or a.y + a.height <= b.y or b.y + b.height <= a.y):
                found.append((a.item.id, b.item.id))
        found += [
            (one.item.id, inner.item.id)
            for inner in one.inner
            if inner.x < one.x
            or inner.y < one.y
            or inner.x + inner.width > one.x + one.width + 0.01
            or inner.y + inner.height > one.y + one.height + 0.01
        ]
    return found


def crossed(box: layout.Box) -> list[str]:
    """Boxes that the straight piece of an arrow runs through, other than the two that it connects."""
    found = []
    for one in box.walk():
        for arrow in one.arrows:
            for (x, y), (to_x, to_y) in itertools.pairwise(arrow[1:-1]):
                if x == to_x:
                    found += [
                        inner.item.id
                        for inner in one.inner
                        if inner.x < x < inner.x + inner.width
                        and inner.y < to_y - 0.1
                        and inner.y + inner.height > y + 0.1
                    ]
    return found


class TestRuns:
    def test_a_small_stage_is_a_box_of_boxes(self):
        found = graphs.of_run(fan(3))
        assert [group.label for group, _ in found.groups()] == ["signal x 3", "select x 3"]
        assert [node.label for node, _ in found.nodes()][:2] == ["signal/0", "signal/1"]
        assert ("signal/1", "select/1") in found.edges
        assert found.edges[-1] == ("select", "limit/0")  # all of them

    def test_a_large_stage_is_one_box(self):
        found = graphs.of_run(fan(100))
        assert [node.label for node, _ in found.nodes()] == ["signal x 100", "select x 100", "limit"]
        assert next(node.notes for node, _ in found.nodes()) == ("98 finished, 2 running",)
        assert found.edges == (("signal", "select"), ("select", "limit/0"))

    def test_every_step_when_asked(self):
        found = graphs.of_run(fan(100), every=True)
        assert len(list(found.nodes())) == 201
        assert found.edges == (("signal", "select"), ("select", "limit/0"))

    def test_sub_workflows(self, tmp_path):
        from recast_dm.engine import history

        localruns.execute(tmp_path / "a")
        found = graphs.of_run(history.read(tmp_path / "a"))
        groups = {group.id: (group.label, outer) for group, outer in found.groups()}
        assert groups["scan"] == ("scan x 2", None)
        assert groups["scan/1"] == ("1", "scan")
        assert ("scan/1/check/0", "summary/0") in found.edges

    def test_many_sub_workflows_are_drawn_as_one(self):
        ways = [f"scan/{n}" for n in range(50)]
        steps = [s for way in ways for s in (step(f"{way}/fit/0"), step(f"{way}/lim/0", needs=(f"{way}/fit/0",)))]
        found = graphs.of_run(run(*steps, step("sum/0", "queued", ("scan/3/lim/0",))))
        assert [group.label for group, _ in found.groups()] == ["scan x 50"]
        assert [node.id for node, _ in found.nodes()] == ["scan/*/fit", "scan/*/lim", "sum/0"]
        assert found.edges == (("scan/*/fit", "scan/*/lim"), ("scan/*/lim", "sum/0"))

    def test_states_are_said_in_words(self):
        failed = StepHistory(id=StepId("a"), state="failed", reason="exit code 3")
        cached = StepHistory(id=StepId("b"), state="finished", how="cached", seconds=0.1)
        ran = StepHistory(id=StepId("c"), state="finished", how="ran", seconds=1.25)
        running = StepHistory(id=StepId("d"), state="running", began=0.0)
        notes = [node.notes for node, _ in graphs.of_run(run(failed, cached, ran, running)).nodes()]
        assert notes == [("failed: exit code 3",), ("cached",), ("finished, 1.2 s",), ("running, 1 s",)]

    def test_a_run_without_steps(self):
        whole = graphs.of_run(run())
        ET.fromstring(svg.svg(whole))
        assert "flowchart TB" in graphs.mermaid(whole)


class TestWorkflows:
    def test_stages_and_what_they_wait_for(self):
        found = graphs.of_workflow(localruns.workflow(), "toy")
        assert found.edges == (
            ("background", "limit"),
            ("signal", "limit"),
            ("signal", "scan"),
            ("scan/fit", "scan/check"),
            ("scan", "summary"),
        )
        notes = {node.id: node.notes for node, _ in found.nodes()}
        assert notes["signal"] == ("for each seed", "on this machine")
        assert found.heading == "toy: 5 stages"

    def test_cases_and_registered_values(self):
        step_ = localruns.stage("x", "true", {})["scheduler"]["step"]
        inner = localruns.stage("inner", "true", {})
        document = {
            "stages": [
                {
                    "name": "choice",
                    "dependencies": [],
                    "scheduler": {
                        "scheduler_type": "singlestep-stage",
                        "parameters": {"a": 1, "out": "x"},
                        "cases": [{"if": ".a > 1", "step": step_}, {"if": "true", "workflow": {"stages": [inner]}}],
                    },
                },
            ]
        }
        workflow = spec.parse_workflow(spec.text.parse(yaml.safe_dump(document), "w.yml"))
        found = graphs.of_workflow(workflow, "w")
        assert [group.label for group, _ in found.groups()] == ["choice", "if true"]
        assert [node.label for node, _ in found.nodes()] == ["if .a > 1", "inner"]

    def test_the_whole_corpus_can_be_drawn(self):
        drawn = 0
        for path in sorted(TOP.glob("tests/conformance/specs/*/workflow.yml")):
            try:
                workflow = spec.load(path)
            except RecastError:
                continue
            found = graphs.of_workflow(workflow, path.parent.name)
            names = {item.id for item, _ in graphs.members(found.items)}
            assert {end for edge in found.edges for end in edge} <= names
            ET.fromstring(svg.svg(found))
            assert overlaps(layout.layout(found)) == []
            drawn += 1
        assert drawn > 20


# --- layout ----------------------------------------------------------------------------------------------------------


@st.composite
def pictures(draw: st.DrawFn) -> Graph:
    """Stages with arrows from earlier to later ones; some are rows of steps, some hold a workflow of their own."""
    edges: list[tuple[str, str]] = []

    def workflow(way: str, depth: int) -> tuple[graphs.Item, ...]:
        items: list[graphs.Item] = []
        for n in range(draw(st.integers(1, 6))):
            ident = f"{way}{n}"
            kind = draw(st.sampled_from(["node", "node", "row", "group"] if depth < 2 else ["node"]))
            label = draw(st.text(max_size=60))
            if kind == "node":
                items.append(Node(id=ident, label=label, notes=("note",), states={"finished": draw(st.integers(0, 3))}))
            elif kind == "row":
                nodes = tuple(Node(id=f"{ident}/{k}", label="s" * k) for k in range(draw(st.integers(1, 30))))
                items.append(Group(id=ident, label=label, members=nodes, row=True))
            else:
                items.append(Group(id=ident, label=label, members=workflow(f"{ident}/", depth + 1)))
            for earlier in items[:-1]:
                if draw(st.booleans()):
                    ends = [[one.id for one, _ in graphs.members([item])] for item in (earlier, items[-1])]
                    edges.append((draw(st.sampled_from(ends[0])), draw(st.sampled_from(ends[1]))))
        return tuple(items)

    return Graph(of="run", name="n", heading=draw(st.text(max_size=20)), items=workflow("", 0), edges=tuple(edges))


@settings(max_examples=100)
@given(pictures())
def test_boxes_never_overlap_and_arrows_run_beside_them_downwards(picture):
    whole = layout.layout(picture)
    assert overlaps(whole) == []
    assert crossed(whole) == []
    for box in whole.walk():
        for arrow in box.arrows:
            assert all(a[1] <= b[1] + 0.01 for a, b in itertools.pairwise(arrow))
    ET.fromstring(svg.svg(picture))
    graphs.mermaid(picture)


def test_a_circle_is_drawn_all_the_same():
    nodes = (Node(id="a", label="a"), Node(id="b", label="b"))
    ET.fromstring(svg.svg(Graph(of="run", name="", heading="", items=nodes, edges=(("a", "b"), ("b", "a")))))


def test_layers_are_longest_paths():
    names = [str(n) for n in range(2000)]
    edges = {(str(n), str(n + 1)) for n in range(1999)} | {("0", "1999")}
    random.Random(1).shuffle(names)
    layers = layout._layers(names, edges)
    assert layers == {name: int(name) for name in names}


def test_two_hundred_stages_in_no_time():
    rng = random.Random(2)
    nodes = tuple(Node(id=str(n), label=f"stage {n}", notes=("image:latest",)) for n in range(200))
    edges = tuple({(str(rng.randrange(max(0, n - 20), n)), str(n)) for n in range(1, 200) for _ in range(2)})
    began = time.process_time()
    whole = layout.layout(Graph(of="workflow", name="", heading="", items=nodes, edges=edges))
    assert time.process_time() - began < 5
    assert overlaps(whole) == []
    assert crossed(whole) == []


# --- text ------------------------------------------------------------------------------------------------------------

EVIL = '"]; <script>alert(1)</script> & ]]> --> \x00\x1b\n`x` {y} #z;'


def test_any_text_is_only_text():
    node = Node(id=EVIL, label=EVIL, notes=(EVIL,), states={"failed": 1})
    picture = Graph(of="run", name=EVIL, heading=EVIL, items=(Group(id="g", label=EVIL, members=(node,)),), edges=())
    root = ET.fromstring(svg.svg(picture))
    assert {child.tag.rpartition("}")[2] for child in root.iter()} == {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "text",
        "g",
    }
    drawn = graphs.mermaid(picture)
    assert len(drawn.splitlines()) == 9
    assert "<script" not in drawn.partition("flowchart")[2]
    assert re.search(r'n1\["#34;#93;; #60;script#62;', drawn)


def test_a_picture_says_what_it_is():
    root = ET.fromstring(svg.svg(graphs.of_run(fan(3))))
    name = {"s": "http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    assert root.findtext("s:title", namespaces=name) == "toy: running, 1 of 7 steps"
    described = root.findtext("s:desc", namespaces=name)
    assert described is not None
    assert described.startswith("7 boxes: signal/0 (finished), signal/1 (running)")


@pytest.mark.parametrize("wide", [False, True])
def test_long_names_are_cut_and_kept_in_the_tooltip(wide):
    label = ("漢" if wide else "m") * 100
    picture = svg.svg(Graph(of="run", name="", heading="", items=(Node(id="a", label=label),), edges=()))
    assert label in picture
    root = ET.fromstring(picture)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert max(len(text or "") for text in texts) == layout.LONGEST
