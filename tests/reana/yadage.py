"""Yadage workflows as REANA's engine takes them: read from the workspace, and without what it ignores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recast_dm import spec
from recast_dm.model import Workflow
from recast_dm.spec import refs, text

IGNORED = frozenset({"env", "envscript", "workdir", "par_mounts", "resources"})
"""What REANA's yadage engine does nothing with, of an environment; `resources` are the cluster's matter."""
ELSEWHERE = "/tmp"  # in the container
"""Where commands start here. At REANA that is the workspace, and in no case the step's or the image's directory."""


def load(workspace: Path, file: str, toplevel: str = "") -> dict[str, Any]:
    """The workflow in a file of the workspace, its references resolved. Raises SpecError."""
    top = workspace / toplevel if toplevel else workspace
    place = workspace / file
    found = refs.load(place if place.is_file() else top / file, top).plain()
    spec.parse_workflow(text.parse(json.dumps(found), file), raw_stages=stages(found))
    return dict(found)


def stages(workflow: Mapping[str, Any], above: str = "") -> frozenset[str]:
    """The names of all stages, those of sub-workflows after the way to them."""
    found: set[str] = set()
    for stage in workflow.get("stages") or ():
        name = f"{above}{stage['name']}"
        found.add(name)
        for body in _bodies(stage):
            found |= stages(body, f"{name}/")
    return frozenset(found)


def _bodies(stage: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The sub-workflows of a stage."""
    scheduler = stage.get("scheduler") or {}
    for holder in (scheduler, *(scheduler.get("cases") or ())):
        for body in (holder.get("workflow"), holder.get("step")):
            if isinstance(body, Mapping) and "stages" in body:
                yield body


def compute_backends(document: Any, step: str = "") -> Iterator[tuple[str, str]]:
    """The compute backends that resources ask for, with the stage that does."""
    if isinstance(document, list):
        for each in document:
            yield from compute_backends(each, step)
    elif isinstance(document, Mapping):
        step = str(document.get("name") or step)
        for resource in _list(document.get("resources")):
            if isinstance(resource, Mapping) and "compute_backend" in resource:
                yield step, str(resource["compute_backend"])
        for each in document.values():
            yield from compute_backends(each, step)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_executed(document: Any) -> Any:
    """A workflow without what REANA's engine ignores; commands are bash's, as in REANA's jobs."""
    if isinstance(document, list):
        return [as_executed(each) for each in document]
    if not isinstance(document, Mapping):
        return document
    found = {key: as_executed(each) for key, each in document.items()}
    if found.get("environment_type") == "docker-encapsulated":
        return {key: each for key, each in found.items() if key not in IGNORED} | {"workdir": ELSEWHERE}
    if found.get("process_type") == "string-interpolated-cmd" and isinstance(found.get("cmd"), str):
        return {"process_type": "interpolated-script-cmd", "interpreter": "bash", "script": found["cmd"]}
    return found


def workflow(document: Mapping[str, Any]) -> Workflow:
    """What is executed of a workflow: texts are substituted as they are."""
    found = as_executed(document)
    return spec.parse_workflow(text.parse(json.dumps(found), "workflow"), raw_stages=stages(found))
