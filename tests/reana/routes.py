"""Which call a request is: the table of REANA's paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.reana import calls_site, calls_workflow, calls_workspace
from tests.reana.wire import Request, Response

Call: TypeAlias = Callable[..., Response]
_W = "([^/]+)"
_TABLE: tuple[tuple[str, str, Call], ...] = (
    ("GET", "/api/ping", calls_site.ping),
    ("GET", "/api/you", calls_site.you),
    ("GET", "/api/info", calls_site.info),
    ("GET", "/api/secrets/?", calls_site.secrets),
    ("POST", "/api/secrets/?", calls_site.add_secrets),
    ("DELETE", "/api/secrets/?", calls_site.delete_secrets),
    ("GET", "/api/workflows", calls_workflow.listing),
    ("POST", "/api/workflows", calls_workflow.create),
    ("PUT", f"/api/workflows/move_files/{_W}", calls_workspace.move),
    ("GET", f"/api/workflows/{_W}/diff/{_W}", calls_workspace.difference),
    ("GET", f"/api/workflows/{_W}/specification", calls_workflow.specification),
    ("GET", f"/api/workflows/{_W}/parameters", calls_workflow.parameters),
    ("POST", f"/api/workflows/{_W}/start", calls_workflow.start),
    ("GET", f"/api/workflows/{_W}/status", calls_workflow.status),
    ("PUT", f"/api/workflows/{_W}/status", calls_workflow.set_status),
    ("GET", f"/api/workflows/{_W}/logs", calls_workflow.logs),
    ("POST", f"/api/workflows/{_W}/open/{_W}", calls_workspace.open_session),
    ("POST", f"/api/workflows/{_W}/close/", calls_workspace.close_session),
    ("GET", f"/api/workflows/{_W}/retention_rules", calls_workspace.retention_rules),
    ("POST", f"/api/workflows/{_W}/prune", calls_workspace.prune),
    ("GET", f"/api/workflows/{_W}/disk_usage", calls_workspace.disk_usage),
    ("GET", f"/api/workflows/{_W}/workspace", calls_workspace.listing),
    ("POST", f"/api/workflows/{_W}/workspace", calls_workspace.upload),
    ("GET", f"/api/workflows/{_W}/workspace/(.+)", calls_workspace.download),
    ("DELETE", f"/api/workflows/{_W}/workspace/(.+)", calls_workspace.remove),
)
_ROUTES = tuple((method, re.compile(pattern), call) for method, pattern, call in _TABLE)


def route(request: Request) -> tuple[Call, tuple[Any, ...]] | None:
    """The call that a request is, and the words of its path."""
    for method, pattern, call in _ROUTES:
        if method == request.method and (found := pattern.fullmatch(request.path)):
            return call, found.groups()
    return None
