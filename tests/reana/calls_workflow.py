"""The calls that are about workflows: created, started, looked at, ended."""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import io
import json
import shutil
import uuid
import zipfile
from typing import Any

import yaml

from tests.reana import files, things
from tests.reana.refusing import Refusal
from tests.reana.standin import Standin, body_of
from tests.reana.things import USER, Run
from tests.reana.wire import Request, Response

_ENGINES = ("cwl", "serial", "snakemake", "yadage")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "CACHE": ("serial",),
    "FROM": ("serial",),
    "TARGET": ("serial", "cwl"),
    "toplevel": ("yadage",),
    "initdir": ("yadage",),
    "initfiles": ("yadage",),
    "accept_metadir": ("yadage",),
    "report": ("snakemake",),
}


# --- lists -----------------------------------------------------------------------------------------------------------


def listing(standin: Standin, request: Request) -> Response:
    query = request.query
    runs = [run for run in standin.ordered() if _wanted(run, query)]
    for run in runs:
        standin.engine.look(standin, run)
    statuses = query.get("status")
    if statuses:
        runs = [run for run in runs if run.status in statuses.split(",")]
    page, size = int(query.get("page", "1")), int(query.get("size", str(len(runs) or 1)))
    shown = runs[(page - 1) * size : page * size]
    return Response.json(
        200,
        {
            "has_next": page * size < len(runs),
            "has_prev": page > 1,
            "items": [_item(standin, run, query) for run in shown],
            "page": page,
            "total": len(runs),
            "user_has_workflows": bool(standin.runs),
        },
    )


def _wanted(run: Run, query: Any) -> bool:
    which = query.get("workflow_id_or_name")  # a name without the number of a run
    if which and which not in (run.id, run.name):
        return False
    names = json.loads(query.get("search") or "{}").get("name")
    if names:
        return str(names[0]).lower() in run.name.lower()
    return query.get("type", "batch") == "batch" or run.session is not None


def _item(standin: Standin, run: Run, query: Any) -> dict[str, Any]:
    sized = query.get("include_workspace_size") == "true" and run.workspace.is_dir()
    return {
        "created": things.moment(run.created),
        "id": run.id,
        "launcher_url": None,
        "name": run.full,
        "progress": run.progress(long=query.get("include_progress") == "true"),
        "size": things.size(files.used(run.workspace)) if sized else things.no_size(),
        "status": run.status,
        "user": USER,
        **_session(run, query),
    }


def _session(run: Run, query: Any) -> dict[str, Any]:
    if query.get("type") != "interactive":
        return {}
    return {"session_status": "running", "session_type": run.session, "session_uri": f"/{run.id}"}


# --- created ---------------------------------------------------------------------------------------------------------


def create(standin: Standin, request: Request) -> Response:
    if standin.site.bundles:
        bundle = _bundle(request)
        specification = yaml.safe_load(bundle.read("reana.yaml"))
    else:
        bundle = None
        specification = body_of(request)
    name = request.query.get("workflow_name") or "workflow"
    _demand_name(name)
    kind = specification["workflow"]["type"]
    if kind not in _ENGINES:
        raise Refusal(500, "Unknown workflow type.")
    standin.demand_quota(action="Creating a workflow")
    with standin.lock:
        numbers = [int(run.number.partition(".")[0]) for run in standin.runs_of(name)]
        run = standin.add(name, str(max(numbers, default=0) + 1), specification)
    if bundle is not None:
        bundle.extractall(run.workspace)
    said = {"message": "Workflow workspace created", "workflow_id": run.id, "workflow_name": run.full}
    return Response.json(201, said)


def _demand_name(name: str) -> None:
    if "." in name:
        raise Refusal(403, f'Workflow name {name} contains illegal character "."')
    try:
        uuid.UUID(name, version=4)
    except ValueError:
        return
    raise Refusal(400, "Workflow name cannot be a valid UUIDv4.")


def _bundle(request: Request) -> zipfile.ZipFile:
    """The form's field `bundle`: a ZIP of the specification's files."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise Refusal(400, "This server takes workflow specifications as bundles.")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    for part in message.iter_parts():
        if isinstance(part, email.message.EmailMessage) and part.get_param("name", header="content-disposition") == (
            "bundle"
        ):
            packed = zipfile.ZipFile(io.BytesIO(part.get_payload(decode=True)))
            _demand_packing(packed)
            return packed
    raise Refusal(400, "The form has no field bundle.")


def _demand_packing(packed: zipfile.ZipFile) -> None:
    entries = packed.infolist()
    if len(entries) > 1000 or sum(entry.file_size for entry in entries) > 100 * 1024 * 1024:
        raise Refusal(400, "The bundle is too large.")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or ".." in entry.filename or entry.filename.startswith("/"):
            raise Refusal(400, f"The bundle's entry {entry.filename} is not acceptable.")
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:
            raise Refusal(400, f"The bundle's entry {entry.filename} is a link.")
    if "reana.yaml" not in packed.namelist():
        raise Refusal(400, "The bundle has no reana.yaml.")


# --- started ---------------------------------------------------------------------------------------------------------


def start(standin: Standin, request: Request, w: str) -> Response:
    given = body_of(request) or {}
    run = standin.find(w, missing=403)
    with standin.lock:
        _demand_options(run, given.get("operational_options") or {})
        standin.demand_quota(action="Starting a workflow")
        again = "restart" in given
        if again and run.status not in ("finished", "failed"):
            raise Refusal(403, "Only finished or failed workflows can be restarted.")
        if not again and run.status != "created":
            said = f"Workflow {run.full} is already {run.status} and cannot be started again."
            raise Refusal(standin.site.not_startable, said)
        specification = {**run.specification, **(given.get("reana_specification") or {})} if again else None
        loaded = _loaded(run, specification or run.specification, given.get("operational_options") or {})
        _demand_backends(standin, loaded)
        if again:
            run = _clone(standin, run)
        run.specification = loaded
        run.parameters = dict(given.get("input_parameters") or {})
        run.options = dict(given.get("operational_options") or {})
        standin.engine.begin(standin, run)
    return Response.json(
        200,
        {
            "message": "Workflow submitted.",
            "run_number": run.number,
            "status": "queued",
            "user": USER,
            "workflow_id": run.id,
            "workflow_name": run.name,
        },
    )


def _demand_options(run: Run, options: dict[str, Any]) -> None:
    kind = run.specification["workflow"]["type"]
    for option in options:
        if option not in _OPTIONS:
            raise Refusal(400, f'==> ERROR: Operational option "{option}" not supported.')
        if kind not in _OPTIONS[option]:
            raise Refusal(400, f'==> ERROR: Operational option "{option}" not supported for {kind} workflows.')


def _loaded(run: Run, specification: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The specification with the workflow that lies in the workspace: whatever was sent with it is forgotten."""
    from tests.reana import yadage

    workflow = specification["workflow"]
    if workflow["type"] != "yadage":
        return specification
    file = workflow.get("file")
    if file is None:
        raise Refusal(500, "join() argument must be str, bytes, or os.PathLike object, not 'NoneType'")
    toplevel = str(options.get("toplevel") or "")
    if not (run.workspace / file).exists():
        raise Refusal(500, f"Workflow file {file} does not exist")
    return {**specification, "workflow": {**workflow, "specification": yadage.load(run.workspace, file, toplevel)}}


def _demand_backends(standin: Standin, specification: dict[str, Any]) -> None:
    from tests.reana import yadage

    for step, backend in yadage.compute_backends(specification["workflow"].get("specification") or {}):
        if backend not in standin.site.compute_backends:
            known = ", ".join(standin.site.compute_backends)
            raise Refusal(
                400,
                f'Compute backend "{backend}" found in step "{step}" is not supported. '
                f'List of supported compute backends: "{known}"',
            )


def _clone(standin: Standin, run: Run) -> Run:
    major, _, _ = run.number.partition(".")
    minors = [int(each.number.partition(".")[2] or 0) for each in standin.runs_of(run.name)]
    own = [minor for minor, each in zip(minors, standin.runs_of(run.name), strict=True) if _major(each) == major]
    return standin.add(run.name, f"{major}.{max(own) + 1}", run.specification, run.workspace)


def _major(run: Run) -> str:
    return run.number.partition(".")[0]


# --- looked at -------------------------------------------------------------------------------------------------------


def specification(standin: Standin, _: Request, w: str) -> Response:
    run = standin.find(w, missing=403)
    return Response.json(200, {"parameters": run.parameters, "specification": run.specification})


def parameters(standin: Standin, _: Request, w: str) -> Response:
    run = standin.find(w)
    return Response.json(
        200,
        {
            "id": run.id,
            "name": run.full,
            "parameters": (run.specification.get("inputs") or {}).get("parameters") or {},
            "type": run.specification["workflow"]["type"],
        },
    )


def status(standin: Standin, _: Request, w: str) -> Response:
    run = standin.find(w)
    with run.lock:
        return Response.json(
            200,
            {
                "created": things.moment(run.created),
                "id": run.id,
                "logs": json.dumps(run.job_logs()),
                "name": run.full,
                "progress": run.progress(),
                "status": run.status,
                "user": USER,
            },
        )


def logs(standin: Standin, request: Request, w: str) -> Response:
    run = standin.find(w)
    with run.lock:
        found = run.logs(body_of(request))
    return Response.json(200, {"logs": found, "user": USER, "workflow_id": run.id, "workflow_name": run.full})


# --- ended -----------------------------------------------------------------------------------------------------------


def set_status(standin: Standin, request: Request, w: str) -> Response:
    wanted = request.query.get("status")
    given = body_of(request) or {}
    if wanted == "start":
        return start(standin, request, w)
    if wanted == "stop":
        return _stopped(standin, standin.find(w))
    if wanted == "deleted":
        return _deleted(standin, standin.find(w), given)
    raise Refusal(500, _NONSENSE.format(wanted))


_NONSENSE = """\
{0!r} is not one of ['start', 'stop', 'deleted']

Failed validating 'enum' in schema:
    {{'description': 'Required. New status.',
     'enum': ['start', 'stop', 'deleted'],
     'in': 'query',
     'name': 'status',
     'required': True,
     'type': 'string'}}

On instance:
    {0!r}"""


def _stopped(standin: Standin, run: Run) -> Response:
    with run.lock:
        if not run.alive:
            raise Refusal(409, f"Workflow {run.id} is not running.")
        standin.engine.stop(standin, run)
    return _done(run, "Workflow successfully stopped")


def _deleted(standin: Standin, run: Run, given: dict[str, Any]) -> Response:
    everything = bool(given.get("all_runs"))
    runs = standin.runs_of(run.name) if everything else [run]
    for each in runs:
        standin.engine.look(standin, each)
        if each.status == "running":
            raise Refusal(409, f"Workflow {each.full} cannot be deleted as it is currently running.")
    for each in runs:
        each.status = "deleted"
        if given.get("workspace"):
            shutil.rmtree(each.workspace, ignore_errors=True)
    said = f"All workflows named {run.name} successfully deleted." if everything else "Workflow successfully deleted."
    return _done(run, said)


def _done(run: Run, message: str) -> Response:
    return Response.json(
        200,
        {
            "message": message,
            "status": run.status,
            "user": USER,
            "workflow_id": run.id,
            "workflow_name": run.full,
        },
    )
