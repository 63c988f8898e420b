"""The calls that are about the files of a workflow."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.reana import files
from tests.reana.files import BadPath
from tests.reana.refusing import Refusal
from tests.reana.standin import Standin, body_of
from tests.reana.things import USER, Run
from tests.reana.wire import Request, Response


def _workspace(run: Run) -> Path:
    if not run.workspace.is_dir():
        raise Refusal(404, f"Workspace of {run.full} does not exist.")
    return run.workspace


def _matching(run: Run, pattern: str | None) -> list[Path]:
    try:
        return files.matching(_workspace(run), pattern)
    except BadPath as error:
        raise Refusal(400, str(error)) from None


def _inside(run: Run, name: str) -> Path:
    try:
        return files.inside(_workspace(run), name)
    except BadPath as error:
        raise Refusal(400, str(error)) from None


def listing(standin: Standin, request: Request, w: str) -> Response:
    run = standin.find(w)
    found = [files.item(run.workspace, path) for path in _matching(run, request.query.get("file_name"))]
    found = _searched(found, json.loads(request.query.get("search") or "{}"))
    page = int(request.query.get("page", "1"))
    if "size" not in request.query:
        return Response.json(200, {**_page(found, page, len(found) or 1), "page": page})
    size = int(request.query["size"])
    first = (page - 1) * size
    links = {"self": {"page": page}, "next": {"page": page + 1}}
    more = {"links": {**links, **({"prev": {"page": page - 1}} if page > 1 else {})}}
    bounds = {"from_idx": first, "to_idx": first + size, "page": page, "size": size}
    return Response.json(200, {**_page(found, page, size), **bounds, **more})


def _page(found: list[dict[str, Any]], page: int, size: int) -> dict[str, Any]:
    return {
        "has_next": page * size < len(found),
        "has_prev": page > 1,
        "items": found[(page - 1) * size : page * size],
        "total": len(found),
    }


def _searched(found: list[dict[str, Any]], search: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = search.get("name")
    if not names:
        return found
    given = [names] if isinstance(names, str) else names
    return [each for each in found if any(str(name) in each["name"] for name in given)]


def upload(standin: Standin, request: Request, w: str) -> Response:
    name = request.query.get("file_name")
    if not name:
        raise Refusal(400, "No file_name provided")
    kind = request.headers.get("content-type", "")
    if "application/octet-stream" not in kind:
        raise Refusal(400, f"Wrong Content-Type {kind} use application/octet-stream")
    run = standin.find(w)
    standin.demand_quota(len(request.body), f"Uploading file {name}")
    target = _inside(run, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(request.body)
    return Response.json(200, {"message": f"{name} has been successfully uploaded."})


def download(standin: Standin, _: Request, w: str, name: str) -> Response:
    run = standin.find(w)
    found = _matching(run, name)
    if len(found) == 1 and found[0].is_file() and not _inside(run, name).is_dir():
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{found[0].relative_to(run.workspace)}"',
        }
        return Response(status=200, body=found[0].read_bytes(), headers=headers)
    if not found:
        raise Refusal(404, f"{name} does not exist.")
    when = datetime.fromtimestamp(standin.now(), UTC).strftime("%Y-%m-%d-%H%M%S")
    shown = name.replace("/", "_").replace("*", "")
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f"attachment; filename=download_{run.full}_{shown}_{when}.zip",
    }
    return Response(status=200, body=files.packed(run.workspace, found), headers=headers)


def remove(standin: Standin, _: Request, w: str, pattern: str) -> Response:
    run = standin.find(w)
    deleted = {}
    for path in _matching(run, pattern):
        if path.is_file():
            deleted[path.relative_to(run.workspace).as_posix()] = {"size": path.stat().st_size}
            path.unlink()
    return Response.json(200, {"deleted": deleted, "failed": {}})


def move(standin: Standin, request: Request, w: str) -> Response:
    run = standin.find(w)
    source, target = request.query["source"], request.query["target"]
    if run.alive:
        raise Refusal(400, "Workflow is running, files can not be moved")
    here, there = _inside(run, source), _inside(run, target)
    if not here.exists():
        raise Refusal(404, f"Path {source} does not exist")
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(here, there)
    said = f"File(s) {source} were successfully moved"
    return Response.json(200, {"message": said, "workflow_id": run.id, "workflow_name": run.full})


def disk_usage(standin: Standin, request: Request, w: str) -> Response:
    run = standin.find(w)
    asked = body_of(request) or {}
    found = files.usage(_workspace(run), asked.get("search") or None)
    if asked.get("summarize"):
        found = found[-1:]
    return Response.json(
        200, {"disk_usage_info": found, "user": USER, "workflow_id": run.id, "workflow_name": run.name}
    )


def difference(standin: Standin, request: Request, a: str, b: str) -> Response:
    one, other = standin.find(a), standin.find(b)
    brief = json.loads(request.query.get("brief", "false").lower())
    lines = int(request.query.get("context_lines", "5"))
    parts = ("version", "inputs", "outputs", "workflow")
    found = {part: _specification_diff(one.specification.get(part), other.specification.get(part)) for part in parts}
    said = _workspace_diff(one, other, brief, lines)
    return Response.json(
        200, {"reana_specification": json.dumps(found, sort_keys=True), "workspace_listing": json.dumps(said)}
    )


def _specification_diff(one: Any, other: Any) -> list[str]:
    a, b = (json.dumps(each, indent=2, sort_keys=True).splitlines() for each in (one, other))
    return list(difflib.unified_diff(a, b))


def _workspace_diff(one: Run, other: Run, brief: bool, lines: int) -> str:
    with tempfile.TemporaryDirectory() as place:
        for run in (one, other):
            Path(place, run.full).symlink_to(_workspace(run))
        argv = ["diff", *(["-q"] if brief else [f"--unified={lines}"]), "-r", one.full, other.full]
        done = subprocess.run(argv, cwd=place, capture_output=True, check=False)
    return done.stdout.decode(errors="replace")


def retention_rules(standin: Standin, _: Request, w: str) -> Response:
    run = standin.find(w)
    asked = (run.specification.get("workspace") or {}).get("retention_days") or {}
    rules = [
        {"apply_on": None, "id": pattern, "retention_days": days, "status": "created", "workspace_files": pattern}
        for pattern, days in asked.items()
    ]
    return Response.json(200, {"retention_rules": rules, "workflow_id": run.id, "workflow_name": run.full})


def prune(standin: Standin, request: Request, w: str) -> Response:
    run = standin.find(w)
    if run.alive:
        raise Refusal(403, f"The workspace of {run.full} cannot be pruned: it is {run.status}.")
    gone = {part for part in ("inputs", "outputs") if request.query.get(f"include_{part}") == "true"}
    kept = [name for part in ("inputs", "outputs") if part not in gone for name in _named(run, part)]
    for path in list(files.walk(_workspace(run))):
        name = path.relative_to(run.workspace).as_posix()
        if not any(name == each or name.startswith(f"{each.rstrip('/')}/") for each in kept):
            path.unlink()
    said = "The workspace has been correctly pruned."
    return Response.json(200, {"message": said, "workflow_id": run.id, "workflow_name": run.name})


def _named(run: Run, part: str) -> list[str]:
    """The files and directories that a specification calls its inputs or outputs."""
    asked = run.specification.get(part) or {}
    return [*(asked.get("files") or ()), *(asked.get("directories") or ())]


# --- interactive sessions: nothing is started, only remembered --------------------------------------------------------

_SESSIONS = ("jupyter",)


def open_session(standin: Standin, _: Request, w: str, kind: str) -> Response:
    run = standin.find(w, missing=403)
    if kind not in _SESSIONS:
        known = ", ".join(_SESSIONS)
        raise Refusal(404, f"Interactive session type {kind} not found, try with one of: [{known}].")
    if run.session is not None:
        raise Refusal(409, "Interactive session is already open.")
    run.session = kind
    return Response.json(200, {"path": f"/{run.id}"})


def close_session(standin: Standin, _: Request, w: str) -> Response:
    run = standin.find(w)
    if run.session is None:
        raise Refusal(404, f"Workflow - {run.full} has no open interactive session.")
    run.session = None
    return Response.json(200, {"message": "The interactive session has been closed"})
