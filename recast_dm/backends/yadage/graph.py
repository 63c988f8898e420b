"""What upstream says of a workflow, in our words: the same StepId, Path and Dir that the engine uses.

Upstream knows host paths; here each of them becomes the step that owns it. A node of a nested workflow keeps
the way to it in its stage: the first step of stage `fit`, in the second workflow that stage `scan` made, is
`scan/1/fit/0`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from recast_dm.model import INIT, Dir, Path, StepId, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step as upstream made it.

    `parameters` are what its command sees. `depends_on` are the steps whose outputs it uses, sorted.
    `published` is known before the step has run only where `prepublished` says so; it is None otherwise.
    """

    id: StepId
    name: str
    parameters: Value
    depends_on: tuple[StepId, ...]
    prepublished: bool
    published: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """An expanded workflow.

    `nodes` are in the order in which upstream made them. `unapplied` are the stages that never became ready
    without executing anything; `without_steps` those that became ready and made no step.
    """

    nodes: tuple[Node, ...]
    unapplied: tuple[str, ...]
    without_steps: tuple[str, ...]

    def node(self, step: StepId) -> Node:
        return next(node for node in self.nodes if node.id == step)


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A regular file in a step's work directory; `path` is relative to it."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended in upstream's hands. `failure` is upstream's text where it failed."""

    step: StepId
    state: Literal["succeeded", "failed", "never run"]
    published: Value
    files: tuple[OutputFile, ...]
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """An executed workflow. `succeeded` is what upstream says, also of a workflow in which stages never became ready.

    `places` are the host directories of the steps that have one, and of the init files; `version` is upstream's.
    """

    graph: Graph
    outcomes: tuple[Outcome, ...]
    succeeded: bool
    places: Mapping[StepId, str]
    version: str

    def outcome(self, step: StepId) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.step == step)


def read_graph(document: Mapping[str, Any], initdir: str) -> Graph:
    """The driver's document as values; `initdir` is where the init files lie on the host."""
    ids = _ids(document)
    symbolic = _Symbolic(_places(document, ids, initdir))
    return Graph(
        nodes=tuple(_node(node, ids, symbolic) for node in document["nodes"]),
        unapplied=tuple(_stage(stage) for stage in document["unapplied"]),
        without_steps=tuple(_stage(stage) for stage in document["without_steps"]),
    )


def read_execution(answer: Mapping[str, Any], initdir: str) -> Execution:
    """The driver's answer to an execution as values."""
    ids = _ids(answer["graph"])
    symbolic = _Symbolic(_places(answer["graph"], ids, initdir))
    nodes = answer["graph"]["nodes"]
    return Execution(
        graph=read_graph(answer["graph"], initdir),
        outcomes=tuple(
            Outcome(
                step=ids[outcome["id"]],
                state=outcome["state"],
                published=symbolic.value(outcome["published"]),
                files=tuple(OutputFile(**file) for file in outcome["files"]),
                failure=outcome["failure"],
            )
            for outcome in answer["outcomes"]
        ),
        succeeded=answer["succeeded"],
        places={INIT: initdir} | {ids[node["id"]]: node["workdir"] for node in nodes if node["workdir"]},
        version=answer["version"],
    )


def _ids(document: Mapping[str, Any]) -> dict[str, StepId]:
    return {node["id"]: StepId(_stage(node), node["index"]) for node in document["nodes"]}


def _places(document: Mapping[str, Any], ids: Mapping[str, StepId], initdir: str) -> dict[str, StepId]:
    return {initdir: INIT} | {node["workdir"]: ids[node["id"]] for node in document["nodes"] if node["workdir"]}


def _stage(document: Mapping[str, Any]) -> str:
    """`/scan/1` and `fit` are `scan/1/fit`."""
    return f"{document['offset']}/{document['stage']}".removeprefix("/")


def _node(document: Mapping[str, Any], ids: Mapping[str, StepId], symbolic: _Symbolic) -> Node:
    return Node(
        id=ids[document["id"]],
        name=document["name"],
        parameters=symbolic.value(document["parameters"]),
        depends_on=tuple(sorted(ids[parent] for parent in document["depends_on"])),
        prepublished=document["prepublished"],
        published=symbolic.value(document["published"]),
    )


class _Symbolic:
    """Turns host paths inside JSON into paths below steps."""

    def __init__(self, places: Mapping[str, StepId]) -> None:
        self._places = places
        longest_first = sorted(places, key=len, reverse=True)
        self._place = re.compile("(" + "|".join(re.escape(place) for place in longest_first) + ")")

    def value(self, json: Any) -> Value:
        if isinstance(json, str):
            return self._text(json)
        if isinstance(json, list):
            return tuple(self.value(item) for item in json)
        if isinstance(json, dict):
            return {key: self.value(item) for key, item in json.items()}
        scalar: Value = json
        return scalar

    def _text(self, text: str) -> str | Path:
        if not self._place.search(text):
            return text
        pieces = (piece for piece in self._place.split(text) if piece)
        return Path(tuple(Dir(self._places[piece]) if piece in self._places else piece for piece in pieces))
