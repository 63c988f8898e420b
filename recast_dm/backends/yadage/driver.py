"""Upstream yadage's own expansion of a workflow, as JSON. Runs as a subprocess, in upstream's environment.

Nothing of recast_dm is imported here, and nothing is re-implemented: upstream loads and validates the spec,
upstream's rules are applied by upstream's loop until none applies, and upstream's prepublishing says what
each step will publish. No step is ever submitted, so no container and no command runs.

A request a line on standard input, an answer a line on standard output; all that upstream prints goes to
standard error. A request:

    {"toplevel": dir, "workflow": "workflow.yml", "initdata": {...}, "initdir": dir or null, "workdir": dir}

An answer is `{"graph": {...}}`, see `graph_document`, or `{"error": {"kind", "type", "message", "path",
"raised_in"}}` where kind is `spec` (upstream refuses the document), `expansion` (upstream fails on it later)
or `tool` (upstream is not there).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

DEEPEST_RECURSION = 100_000
"""Upstream recurses once for every round of rules: a chain of n stages needs n levels."""


class UpstreamError(Exception):
    """What upstream said, and during what."""

    def __init__(self, kind: str, error: BaseException) -> None:
        super().__init__(kind)
        self.kind = kind
        self.error = error

    def document(self) -> dict[str, Any]:
        told = deepest(self.error)
        return {
            "kind": self.kind,
            "type": type(told).__name__,
            "message": str(getattr(told, "message", None) or told),
            "path": [str(part) for part in getattr(told, "absolute_path", ())],
            "raised_in": raised_in(self.error),
        }


def deepest(error: Any) -> Any:
    """The exception that says most: upstream's loader hides the cause, its validator the place.

    Where a value fits none of several schemas, the failures are those of the schema whose `..._type` it names.
    """
    while not str(error) and error.__context__ is not None:
        error = error.__context__
    while getattr(error, "context", None):
        foreign = {inner.schema_path[0] for inner in error.context if inner.validator == "enum"}
        meant = [inner for inner in error.context if inner.schema_path[0] not in foreign]
        error = max(meant or error.context, key=lambda inner: len(inner.absolute_path))
    return error


def raised_in(error: BaseException) -> str:
    """The function of upstream's that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


def load(request: dict[str, Any]) -> Any:
    """The workflow as upstream's controller: spec read, references resolved, defaults set, schema checked."""
    try:
        from yadage.creators import handlers as creators  # type: ignore[import-not-found,unused-ignore]
    except Exception as error:
        raise UpstreamError("tool", error) from error
    try:
        return creators["local"](
            metadir=None,
            workflow=request["workflow"],
            toplevel=request["toplevel"],
            initdata=request["initdata"],
            dataarg="local:" + request["workdir"],
            dataopts={"initdir": request["initdir"]} if request["initdir"] else {},
        )
    except Exception as error:
        raise UpstreamError("spec", error) from error


def expand(controller: Any) -> None:
    """Apply rules until none applies, with upstream's loop; submit nothing."""
    from adage.pollingexec import (  # type: ignore[import-not-found,unused-ignore]
        advance_coroutine,
        update_dag,
        yes_man,
    )

    always = yes_man()
    advance_coroutine(always)
    try:
        controller.sync_backend()
        update_dag(controller, always, True)
    except Exception as error:
        raise UpstreamError("expansion", error) from error


def graph_document(workflow: Any) -> dict[str, Any]:
    """The expanded workflow: its nodes in the order upstream made them, and the stages that made none."""
    made = [workflow.dag.getNode(identifier) for identifier in workflow.dag.nodes()]
    with_steps = {(node.task.metadata["wflow_offset"], node.task.metadata["wflow_stage"]) for node in made}
    return {
        "nodes": [node_document(workflow, node) for node in made],
        "unapplied": [stage_document(rule) for rule in workflow.rules],
        "without_steps": [
            stage_document(rule)
            for rule in workflow.applied_rules
            if (rule.offset, rule.rule.name) not in with_steps and not has_scopes(workflow, rule)
        ],
    }


def node_document(workflow: Any, node: Any) -> dict[str, Any]:
    """One step. `parameters` are what its command sees; `published` is null unless `prepublished`."""
    from packtivity.syncbackends import finalize_inputs  # type: ignore[import-not-found,unused-ignore]

    task = node.task
    parameters, state = finalize_inputs(task.parameters.json(), task.state)
    return {
        "id": node.identifier,
        "name": node.name,
        "offset": task.metadata["wflow_offset"],
        "stage": task.metadata["wflow_stage"],
        "index": task.metadata["wflow_stage_node_idx"],
        "workdir": state.readwrite[0] if state.readwrite else None,
        "inputs": state.readonly,
        "parameters": parameters.json(),
        "depends_on": list(workflow.dag.predecessors(node.identifier)),
        "prepublished": node.has_result(),
        "published": node.result.json() if node.has_result() else None,
    }


def stage_document(rule: Any) -> dict[str, Any]:
    return {"offset": rule.offset, "stage": rule.rule.name}


def has_scopes(workflow: Any, rule: Any) -> bool:
    """Whether the stage made sub-workflows."""
    from jsonpointer import JsonPointer  # type: ignore[import-not-found,unused-ignore]

    return bool(JsonPointer(rule.offset).resolve(workflow.stepsbystage).get(rule.rule.name))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        controller = load(request)
        expand(controller)
        return {"graph": graph_document(controller.adageobj)}
    except UpstreamError as refusal:
        traceback.print_exc()
        return {"error": refusal.document()}


def main() -> None:
    """Answer every line of standard input; what upstream prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.setrecursionlimit(DEEPEST_RECURSION)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
