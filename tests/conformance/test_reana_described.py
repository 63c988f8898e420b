"""Every request that our client can make is as REANA's official OpenAPI document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Connection
from recast_dm.config import ReanaServer
from tests.loopback import Answer, Asked, Loopback, said
from tests.reana import openapi

CREATED = {"workflow_name": "w", "workflow_id": "i", "run_number": "1"}
LIST = {"items": [], "has_next": False}
CALLS: dict[str, tuple[Callable[[Reana, Path], Any], Any]] = {
    "ping": (lambda r, at: r.ping(), {}),
    "you": (lambda r, at: r.you(), {}),
    "info": (lambda r, at: r.info(), {}),
    "workflows": (lambda r, at: list(r.workflows("w")), LIST),
    "create": (lambda r, at: r.create("w", {"workflow": {"type": "yadage"}}, {}), CREATED),
    "specification": (lambda r, at: r.specification("w"), {}),
    "parameters": (lambda r, at: r.parameters("w"), {"parameters": {}}),
    "start": (lambda r, at: r.start("w.1", {"m": 1.5}, {"TOPLEVEL": "x"}, restart=True), CREATED),
    "status": (lambda r, at: r.status("w.1"), {"name": "w.1", "id": "i", "status": "running"}),
    "logs": (lambda r, at: r.logs("w.1", ["gen"]), {"logs": "{}"}),
    "stop": (lambda r, at: r.stop("w.1"), {}),
    "delete": (lambda r, at: r.delete("w.1", all_runs=True), {}),
    "open_session": (lambda r, at: r.open_session("w.1", "jupyter", "image:1"), {"path": "/s"}),
    "close_session": (lambda r, at: r.close_session("w.1"), {}),
    "retention": (lambda r, at: r.retention("w.1"), {"retention_rules": []}),
    "prune": (lambda r, at: r.prune("w.1", inputs=True), {}),
    "files": (lambda r, at: list(r.files("w.1", "gen/*")), LIST),
    "upload": (lambda r, at: r.upload("w.1", "a/b", b"x"), {}),
    "read": (lambda r, at: r.read("w.1", "a/b"), {}),
    "download": (lambda r, at: r.download("w.1", "a b", at / "file"), {}),
    "remove": (lambda r, at: r.remove("w.1", "a/b"), {"deleted": {}}),
    "move": (lambda r, at: r.move("w.1", "a", "b/c"), {}),
    "du": (lambda r, at: r.du("w.1", summarize=True), {"disk_usage_info": []}),
    "secrets": (lambda r, at: r.secrets(), []),
    "add_secrets": (lambda r, at: r.add_secrets({"S": ("env", b"x")}, overwrite=True), {}),
    "delete_secrets": (lambda r, at: r.delete_secrets(["S"]), []),
}
UNSAID = {("GET", "/workspace/"): "file_name"}
"""A parameter that the official client sends too, as recorded, and the document does not name."""


def asked_by(at: Path, call: Callable[[Reana, Path], Any], answer: Any) -> list[Asked]:
    def reply(asked: Asked) -> Answer:
        return said(200, {"message": "OK"} if asked.path == "/api/ping" else answer)

    with Loopback(reply) as server:
        call(Reana(Connection(ReanaServer(url=server.url, token="t"))), at)
    return server.asked


def problem(asked: Asked) -> str | None:
    query = dict(asked.query)
    for (method, part), name in UNSAID.items():
        if asked.method == method and part in asked.path:
            query.pop(name)
    kind = asked.headers.get("Content-Type", "")
    body = json.loads(asked.body) if kind == "application/json" else asked.body
    return openapi.problem_of_request(asked.method, asked.path, query, body or None if not kind else body)


@pytest.mark.parametrize("name", CALLS)
def test_request_is_as_described(name, tmp_path):
    asked = asked_by(tmp_path, *CALLS[name])
    assert asked
    assert [problem(each) for each in asked] == [None] * len(asked)


def test_every_call_is_held_against_the_description():
    methods = {name for name, each in vars(Reana).items() if callable(each) and not name.startswith("_")}
    assert methods == set(CALLS)


def test_a_request_that_is_not_as_described_is_found(tmp_path):
    (asked,) = asked_by(
        tmp_path, lambda r, at: r._connection.json("PUT", "/api/workflows/w/status", {"status": "nonsense"}), {}
    )
    assert problem(asked)
