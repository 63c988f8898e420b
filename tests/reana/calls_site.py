"""The calls that are about the site and the user."""

from __future__ import annotations

import json
from typing import Any

from tests.reana import things
from tests.reana.refusing import Refusal
from tests.reana.standin import BUNDLES, Standin, body_of
from tests.reana.wire import Request, Response

_INFO: dict[str, tuple[str, Any]] = {
    "default_kubernetes_cpu_limit": ("Default CPU limit for Kubernetes jobs", None),
    "default_kubernetes_cpu_request": ("Default CPU request for Kubernetes jobs", None),
    "default_kubernetes_jobs_timeout": ("Default timeout for Kubernetes jobs", "604800"),
    "default_kubernetes_memory_limit": ("Default memory limit for Kubernetes jobs", "4Gi"),
    "default_kubernetes_memory_request": ("Default memory request for Kubernetes jobs", None),
    "default_workspace": ("Default workspace", "/var/reana"),
    "kubernetes_max_cpu_limit": ("Maximum allowed CPU limit for Kubernetes jobs", None),
    "kubernetes_max_cpu_request": ("Maximum allowed CPU request for Kubernetes jobs", None),
    "kubernetes_max_memory_limit": ("Maximum allowed memory limit for Kubernetes jobs", "10Gi"),
    "kubernetes_max_memory_request": ("Maximum allowed memory request for Kubernetes jobs", None),
    "maximum_interactive_session_inactivity_period": (
        "Maximum inactivity period in days before automatic closure of interactive sessions",
        None,
    ),
    "maximum_kubernetes_jobs_timeout": ("Maximum timeout for Kubernetes jobs", "1209600"),
    "maximum_workspace_retention_period": ("Maximum retention period in days for workspace files", None),
    "workspaces_available": ("List of available workspaces", ["/var/reana"]),
}


def ping(standin: Standin, _: Request) -> Response:
    more = {"api_capabilities": [BUNDLES]} if standin.site.bundles else {}
    return Response.json(200, {"message": "OK", "status": "200", **more})


def you(standin: Standin, _: Request) -> Response:
    return Response.json(
        200,
        {
            "email": "user@example.org",
            "full_name": None,
            "quota": {
                "cpu": _quota(things.processor_time, standin.processor_usage(), standin.site.cpu_limit),
                "disk": _quota(things.size, standin.disk_usage(), standin.site.disk_limit),
            },
            "reana_server_version": standin.site.version,
            "reana_token": {
                "requested_at": "Sun, 22 Nov 2026 10:36:13 GMT",
                "status": "active",
                "value": standin.token,
            },
            "username": None,
        },
    )


def _quota(shown: Any, usage: int, limit: int) -> dict[str, Any]:
    if not limit:
        return {"usage": shown(usage)}
    share = usage / limit
    health = "healthy" if share < 0.8 else "warning" if share < 1.0 else "critical"
    return {"health": health, "limit": shown(limit), "usage": shown(usage)}


def info(standin: Standin, _: Request) -> Response:
    entries = {
        "compute_backends": ("List of supported compute backends", list(standin.site.compute_backends)),
        **_INFO,
    }
    found = {
        name: {"title": title, "value": standin.site.info.get(name, value)} for name, (title, value) in entries.items()
    }
    return Response.json(200, found)


def secrets(standin: Standin, _: Request) -> Response:
    return Response.json(200, [{"name": name, "type": each["type"]} for name, each in standin.secrets.items()])


def add_secrets(standin: Standin, request: Request) -> Response:
    given = body_of(request)
    overwrite = json.loads(request.query.get("overwrite", "false").lower())
    with standin.lock:
        there = [name for name in given if name in standin.secrets]
        if there and not overwrite:
            raise Refusal(
                409,
                f"Operation cancelled. Secret {there[0]} already exists. If you want change it use overwrite",
            )
        standin.secrets.update(given)
    return Response.json(201, {"message": "Secret(s) successfully added."})


def delete_secrets(standin: Standin, request: Request) -> Response:
    names = body_of(request)
    with standin.lock:
        missing = [name for name in names if name not in standin.secrets]
        if missing:
            return Response.json(404, missing)
        for name in names:
            del standin.secrets[name]
    return Response.json(200, names)
