"""What a picture of a workflow or of a run shows: boxes, boxes in boxes, and arrows; as mermaid and as JSON too.

A workflow is drawn by its stages. A run is drawn by its steps; a stage of many steps is one box, `generate x 100`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from recast_dm.engine.history import Run, State, StepHistory, combined
from recast_dm.model import (
    Body,
    DockerEnvironment,
    HostEnvironment,
    RegisteredValue,
    Stage,
    StepId,
    StepSpec,
    SubWorkflow,
    Workflow,
)
from recast_dm.spec.names import needs

FEW = 12
"""So many steps of a stage are drawn one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box: one step, or several of one stage. `notes` are its smaller lines, `states` how many steps are in which."""

    id: str
    label: str
    notes: tuple[str, ...] = ()
    states: Mapping[State, int] = field(default_factory=dict)

    @property
    def state(self) -> State | None:
        return combined(self.states) if self.states else None

    @property
    def steps(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A box around others: a stage with its steps beside each other (`row`), or a workflow, in layers."""

    id: str
    label: str
    members: tuple[Item, ...]
    row: bool = False


Item: TypeAlias = "Node | Group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A picture: `edges` go from what is needed to what needs it, by the ids of nodes and groups."""

    of: str
    name: str
    heading: str
    items: tuple[Item, ...]
    edges: tuple[tuple[str, str], ...]

    def nodes(self) -> Iterator[tuple[Node, str | None]]:
        """Every node with the group that it is in."""
        for item, group in members(self.items):
            if isinstance(item, Node):
                yield item, group

    def groups(self) -> Iterator[tuple[Group, str | None]]:
        for item, group in members(self.items):
            if isinstance(item, Group):
                yield item, group

    def document(self, output: str | None) -> dict[str, Any]:
        """The graph as JSON (schema `recast-dm/graph/1`)."""
        return {
            "schema": "recast-dm/graph/1",
            "of": self.of,
            "name": self.name,
            "output": output,
            "nodes": [
                {
                    "id": node.id,
                    "label": node.label,
                    "note": "; ".join(node.notes),
                    "group": group,
                    "steps": node.steps,
                    "states": dict(node.states),
                }
                for node, group in self.nodes()
            ],
            "groups": [{"id": one.id, "label": one.label, "group": group} for one, group in self.groups()],
            "edges": [{"from": source, "to": target} for source, target in self.edges],
        }

    def description(self) -> str:
        """The picture in words, for those who cannot see it."""
        edges = [f"{source} to {target}" for source, target in self.edges]
        more = f", and {len(edges) - 40} more" if len(edges) > 40 else ""
        boxes = [" ".join((node.label, *(f"({note})" for note in node.notes))) for node, _ in self.nodes()]
        rest = f", and {len(boxes) - 40} more" if len(boxes) > 40 else ""
        arrows = f" Arrows: {', '.join(edges[:40])}{more}." if edges else ""
        return f"{len(boxes)} boxes: {', '.join(boxes[:40])}{rest}.{arrows}"


def members(items: Iterable[Item], group: str | None = None) -> Iterator[tuple[Item, str | None]]:
    """Everything in a picture with the group that it is in, outer before inner."""
    for item in items:
        yield item, group
        if isinstance(item, Group):
            yield from members(item.members, item.id)


# --- a workflow ------------------------------------------------------------------------------------------------------


def of_workflow(workflow: Workflow, name: str) -> Graph:
    """The stages of a workflow before any run. Stages that only need init parameters have no arrow."""
    edges: dict[tuple[str, str], None] = {}
    items = tuple(_stages(workflow, "", edges))
    return Graph(
        of="workflow", name=name, heading=f"{name}: {_plural(len(items), 'stage')}", items=items, edges=tuple(edges)
    )


def _stages(workflow: Workflow, way: str, edges: dict[tuple[str, str], None]) -> Iterator[Item]:
    names = {stage.name for stage in workflow.stages}
    registrars = {key: stage.name for stage in workflow.stages for key in stage.registers}
    for stage in workflow.stages:
        for need in sorted(_needs(stage, registrars) & names - {stage.name}):
            edges[f"{way}{need}", f"{way}{stage.name}"] = None
        yield _body(stage.body, f"{way}{stage.name}", stage.name, _scattered(stage), edges)


def _needs(stage: Stage, registrars: Mapping[str, str]) -> set[str]:
    values = (*stage.parameters.values(), *stage.fulfilled)
    keys = {value.key for value in values if isinstance(value, RegisteredValue) and value.scope is None}
    return {*needs(stage), *(registrars[key] for key in keys & registrars.keys())}


def _body(body: Body, ident: str, label: str, notes: tuple[str, ...], edges: dict[tuple[str, str], None]) -> Item:
    if isinstance(body, StepSpec):
        return Node(id=ident, label=label, notes=(*notes, _where(body)))
    title = ", ".join((label, *notes))
    if isinstance(body, SubWorkflow):
        return Group(id=ident, label=title, members=tuple(_stages(body.workflow, f"{ident}/", edges)))
    cases = tuple(
        _body(case.body, f"{ident}?{n}", f"if {' '.join(case.condition.split())}", (), edges)
        for n, case in enumerate(body.cases)
    )
    return Group(id=ident, label=title, members=cases, row=True) if cases else Node(id=ident, label=title)


def _scattered(stage: Stage) -> tuple[str, ...]:
    if stage.jq is not None:
        return ("steps made by jq",)
    if stage.scatter is None:
        return ()
    each = stage.scatter
    names = ", ".join(each.parameters)
    if each.batchsize is not None:
        return (f"for each {each.batchsize} of {names}",)
    if each.partitionsize is not None:
        return (f"for each of {each.partitionsize} parts of {names}",)
    names = names if len(each.parameters) == 1 else f"({names})"
    return (f"for each {names}" if each.method == "zip" else f"for each combination of {names}",)


def _where(spec: StepSpec) -> str:
    if isinstance(spec.environment, DockerEnvironment):
        return spec.environment.reference
    return "on this machine" if isinstance(spec.environment, HostEnvironment) else "publishes only"


# --- a run -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Made:
    """What one stage made: steps, or workflows by their index."""

    steps: list[StepHistory] = field(default_factory=list)
    scopes: dict[str, _Scope] = field(default_factory=dict)


@dataclass(slots=True)
class _Scope:
    stages: dict[str, _Made] = field(default_factory=dict)

    def add(self, step: StepHistory) -> None:
        scope = self
        *way, name = step.id.stage.split("/")
        for stage, index in zip(way[::2], way[1::2], strict=True):
            scope = scope.stages.setdefault(stage, _Made()).scopes.setdefault(index, _Scope())
        scope.stages.setdefault(name, _Made()).steps.append(step)

    def join(self, other: _Scope, index: str) -> None:
        """Takes in the stages of another workflow of the same stage."""
        for name, made in other.stages.items():
            own = self.stages.setdefault(name, _Made())
            own.steps.extend(made.steps)
            own.scopes.update({f"{index}.{key}": scope for key, scope in made.scopes.items()})

    def size(self) -> int:
        return sum(len(m.steps) + sum(scope.size() for scope in m.scopes.values()) for m in self.stages.values())


class _OfRun:
    """The boxes of a run's steps, and which box a step is in."""

    def __init__(self, run: Run, every: bool) -> None:
        self._every = every
        self._run = run
        self.box: dict[StepId, str] = {}

    def items(self) -> tuple[Item, ...]:
        root = _Scope()
        for step in self._run.steps:
            root.add(step)
        return self._scope(root, "")

    def _scope(self, scope: _Scope, way: str) -> tuple[Item, ...]:
        return tuple(self._stage(made, f"{way}{name}", name) for name, made in scope.stages.items())

    def _stage(self, made: _Made, ident: str, name: str) -> Item:
        if not made.scopes:
            return self._steps(made.steps, ident, name)
        if len(made.scopes) == 1 and not made.steps:
            ((index, only),) = made.scopes.items()
            return Group(id=ident, label=name, members=self._scope(only, f"{ident}/{index}/"))
        if self._every or sum(scope.size() for scope in made.scopes.values()) <= 2 * FEW:
            inner = tuple(
                Group(id=f"{ident}/{index}", label=index, members=self._scope(scope, f"{ident}/{index}/"))
                for index, scope in made.scopes.items()
            )
            steps = tuple(self._step(step) for step in made.steps)
            return Group(id=ident, label=f"{name} x {len(inner) + len(steps)}", members=(*inner, *steps), row=True)
        together = _Scope()
        for index, scope in made.scopes.items():
            together.join(scope, index)
        alone = (self._steps(made.steps, f"{ident}/", name),) if made.steps else ()
        within = self._scope(together, f"{ident}/*/")
        return Group(id=ident, label=f"{name} x {len(made.scopes) + len(made.steps)}", members=(*within, *alone))

    def _steps(self, steps: list[StepHistory], ident: str, name: str) -> Item:
        if len(steps) == 1:
            return self._step(steps[0], name)
        title = f"{name} x {len(steps)}"
        if self._every or len(steps) <= FEW:
            return Group(id=ident, label=title, members=tuple(self._step(step) for step in steps), row=True)
        self.box |= {step.id: ident for step in steps}
        states = Counter(step.state for step in steps)
        return Node(id=ident, label=title, notes=(", ".join(f"{n} {s}" for s, n in states.items()),), states=states)

    def _step(self, step: StepHistory, label: str | None = None) -> Node:
        self.box[step.id] = str(step.id)
        return Node(id=str(step.id), label=label or str(step.id), notes=(self._note(step),), states={step.state: 1})

    def _note(self, step: StepHistory) -> str:
        if step.state == "finished":
            ran = f"{step.seconds:.1f} s" if step.seconds is not None and step.how == "ran" else ""
            return (
                ", ".join(word for word in (step.how if step.how != "ran" else "finished", ran) if word) or "finished"
            )
        if step.state == "failed" and step.reason:
            return f"failed: {step.reason}"
        if step.state == "running" and step.began is not None:
            return f"running, {max(0.0, self._run.at - step.began):.0f} s"
        return step.state


def of_run(run: Run, *, every: bool = False) -> Graph:
    """The steps of a run with their states; with `every`, each step is a box however many there are."""
    made = _OfRun(run, every)
    items = made.items()
    found = {
        (made.box[source], made.box[step.id]): None
        for step in run.steps
        for source in step.depends_on
        if source in made.box and made.box[source] != made.box[step.id]
    }
    done = sum(step.state == "finished" for step in run.steps)
    heading = (
        f"{run.about.get('analysis') or run.directory.name}: {run.state}, {done} of {_plural(len(run.steps), 'step')}"
    )
    return Graph(of="run", name=str(run.directory), heading=heading, items=items, edges=tuple(_bundled(found, items)))


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _bundled(edges: Mapping[tuple[str, str], None], items: tuple[Item, ...]) -> Iterator[tuple[str, str]]:
    """The edges; those between all steps of a stage and all of another are one, from box to box."""
    rows = {g.id: g for g, _ in ((i, w) for i, w in members(items) if isinstance(i, Group)) if g.row}
    row = {member.id: g.id for g in rows.values() for member in g.members if isinstance(member, Node)}
    size = {g.id: len(g.members) for g in rows.values()}
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, target in edges:
        pairs.setdefault((row.get(source, source), row.get(target, target)), []).append((source, target))
    for (left, right), between in pairs.items():
        whole = len(between) == size.get(left, 1) * size.get(right, 1)
        yield from [(left, right)] if whole or max(size.get(left, 1), size.get(right, 1)) > FEW else between


# --- mermaid ---------------------------------------------------------------------------------------------------------

_CLASSES: Mapping[State, str] = {
    "finished": "stroke:#2e7d4f,stroke-width:2px",
    "running": "stroke:#1f6fb5,stroke-width:3px",
    "failed": "stroke:#b3261e,stroke-width:3px",
    "stopped": "stroke:#8a5a00,stroke-width:2px",
    "queued": "stroke-dasharray:4 3",
    "pending": "stroke-dasharray:4 3",
    "created": "stroke-dasharray:4 3",
}


def mermaid(graph: Graph) -> str:
    """A mermaid flowchart, as GitHub and GitLab draw it out of a ```mermaid block."""
    names = {item.id: f"n{n}" for n, (item, _) in enumerate(members(graph.items))}
    lines = ["---", f"title: {json.dumps(graph.heading)}", "---", "flowchart TB"]
    lines += _boxes(graph.items, names, "  ")
    lines += [f"  {names[source]} --> {names[target]}" for source, target in graph.edges]
    states: dict[State, list[str]] = {}
    for node, _ in graph.nodes():
        if node.state is not None:
            states.setdefault(node.state, []).append(names[node.id])
    for state, found in states.items():
        lines += [f"  classDef {state} {_CLASSES[state]}", f"  class {','.join(found)} {state}"]
    return "\n".join(lines) + "\n"


def _boxes(items: Iterable[Item], names: Mapping[str, str], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Group):
            yield f"{indent}subgraph {names[item.id]}[{_quoted(item.label)}]"
            yield from _boxes(item.members, names, indent + "  ")
            yield f"{indent}end"
        else:
            text = "<br>".join(_escaped(line) for line in (item.label, *item.notes))
            yield f'{indent}{names[item.id]}["{text}"]'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Text that mermaid takes for nothing else; its entities are written with #.

    >>> _escaped('a "b" <c> #d')
    'a #34;b#34; #60;c#62; #35;d'
    """
    kept = " _-.,:;/()=+*?!|'%@$"
    return "".join(c if c.isalnum() or c in kept else f"#{ord(c)};" for c in text)
