"""Upstream yadage's own expansion and execution of a workflow, as JSON. Runs in upstream's environment.

Nothing of recast_dm is imported here, and nothing is re-implemented: upstream loads and validates the spec,
upstream's rules are applied by upstream's loop until none applies, and upstream's prepublishing says what
each step will publish. Where a request asks only for the expansion, no step is ever submitted, so no container and no
command runs; where it asks for the execution, upstream's loop runs to its end on upstream's multiproc backend, which is
the one that `yadage-run` takes when none is named.

A request a line on standard input, an answer a line on standard output; all that upstream prints goes to
standard error. A request:

    {"kind": "expand" or "execute", "toplevel": dir, "workflow": "workflow.yml", "initdata": {...},
     "initdir": dir or null, "workdir": dir, "jobs": 2}

An answer is `{"graph": {...}}`, see `graph_document`; after an execution with `"outcomes": [...]` (`outcome_document`),
`"succeeded"` and upstream's `"version"` beside it. Or it is `{"error": {"kind", "type", "message", "path",
"raised_in"}}` where kind is `spec` (upstream refuses the document), `expansion` (upstream fails on it later, as long as
nothing was executed), `execution` (upstream's loop itself fails) or `tool` (upstream is not there).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

DEEPEST_RECURSION = 100_000
"""Upstream recurses once for every round of rules: a chain of n stages needs n levels."""


UPDATE_INTERVAL = 0.005
"""Seconds between two rounds of upstream's polling loop."""
BOOKKEEPING = re.compile(r"_packtivity|_yadage|_yadage_parmount_\d+\.txt")
"""What upstream itself leaves in a work directory."""


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
        from yadage.creators import handlers as creators
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
    from adage.pollingexec import advance_coroutine, update_dag, yes_man

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
    from packtivity.syncbackends import finalize_inputs

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
        "prepublished": node.expected_result is not None,
        "published": node.result.json() if node.has_result() else None,
    }


def stage_document(rule: Any) -> dict[str, Any]:
    return {"offset": rule.offset, "stage": rule.rule.name}


def has_scopes(workflow: Any, rule: Any) -> bool:
    """Whether the stage made sub-workflows."""
    from jsonpointer import JsonPointer

    return bool(JsonPointer(rule.offset).resolve(workflow.stepsbystage).get(rule.rule.name))


def execute(controller: Any, jobs: int) -> bool:
    """Run upstream's loop to its end; whether it says that the workflow succeeded.

    Upstream raises one RuntimeError for a step that failed, which is an outcome, and others for what its loop cannot
    go on with, which are errors. Steps that still run are awaited: they hold the work directory.
    """
    import adage
    from yadage.utils import setupbackend_fromstring

    backend = setupbackend_fromstring(f"multiproc:{jobs}")
    pool = backend.backends["packtivity"].pool
    controller.backend = backend
    try:
        adage.rundag(controller=controller, default_trackers=False, update_interval=UPDATE_INTERVAL)
    except Exception as error:
        if str(error) != "workflow finished but failed":
            raise UpstreamError("execution", error) from error
        return False
    finally:
        pool.close()
        pool.join()
    return True


def outcome_document(node: Any) -> dict[str, Any]:
    """How a node ended: its state, what it published, the files that it left, and why it failed."""
    state = str(node.state)
    workdir = node.task.state.readwrite[0] if node.task.state.readwrite else None
    return {
        "id": node.identifier,
        "state": {"SUCCESS": "succeeded", "FAILED": "failed"}.get(state, "never run"),
        "published": node.result.json() if state == "SUCCESS" else None,
        "failure": why(node) if state == "FAILED" else None,
        "files": [file_document(workdir, path) for path in sorted(files_below(workdir))] if workdir else [],
    }


def why(node: Any) -> str:
    """The exception of a node that failed, in one line."""
    if not hasattr(node.resultproxy, "proxy"):  # upstream publishes without a process in the foreground
        return "what it published is empty"
    try:
        node.resultproxy.proxy.get()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what is asked for
        return traceback.format_exception_only(type(error), error)[-1].strip()
    return "unknown"


def files_below(root: str) -> Iterator[str]:
    """Every regular file, relative to the root, without what upstream keeps there for itself."""
    for path in Path(root).rglob("*"):
        relative = path.relative_to(root)
        if not BOOKKEEPING.fullmatch(relative.parts[0]) and path.is_file() and not path.is_symlink():
            yield str(relative)


def file_document(root: str, relative: str) -> dict[str, Any]:
    path = Path(root, relative)
    with path.open("rb") as file:
        return {
            "path": relative,
            "size": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        controller = load(request)
        if request["kind"] == "expand":
            expand(controller)
            return documents(controller)
        succeeded = execute(controller, request["jobs"])
        return {**documents(controller, executed=True), "succeeded": succeeded, "version": version("yadage")}
    except UpstreamError as refusal:
        traceback.print_exc()
        return {"error": refusal.document()}


def documents(controller: Any, executed: bool = False) -> dict[str, Any]:
    """What became of the workflow. Values that upstream publishes and JSON cannot hold are upstream's failure."""
    workflow = controller.adageobj
    try:
        document: dict[str, Any] = {"graph": graph_document(workflow)}
        if executed:
            nodes = [workflow.dag.getNode(identifier) for identifier in workflow.dag.nodes()]
            document["outcomes"] = [outcome_document(node) for node in nodes]
        json.dumps(document)
    except Exception as error:
        raise UpstreamError("execution" if executed else "expansion", error) from error
    return document


def prepare() -> None:
    """What changes nothing that upstream means, before any of it is imported.

    Directories are listed by the alphabet, where upstream takes the order of the disk. JSONPaths and jq programs, which
    upstream compiles again whenever it looks at one, are compiled once: that was most of its time.
    """
    listdir = os.listdir
    os.listdir = lambda *place: sorted(listdir(*place))  # type: ignore[assignment]  # of all its forms, upstream uses this
    try:
        import jq
        import jsonpath_rw
    except ImportError:
        return  # the first request will say so
    jq.jq = cache(jq.jq)
    jsonpath_rw.parse = cache(jsonpath_rw.parse)


def main() -> None:
    """Answer every line of standard input; what upstream prints goes to standard error.

    Commands that upstream runs on this host inherit the standard streams: they may neither read the requests nor write
    among the answers.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.setrecursionlimit(DEEPEST_RECURSION)
    prepare()
    for line in requests:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
