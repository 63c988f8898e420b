"""The official reana-client 0.9.6 and the stand-in for a REANA server: what it did with a real one, it does here.

The client runs in its own environment, which is made on the first use and needs a package index.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Connection
from tests.reana import openapi, recorded
from tests.reana.execution import Execution
from tests.reana.official import Official
from tests.reana.standin import TOKEN, Standin, await_end
from tests.reana.wire import Request, Response

ANALYSIS = recorded.EXCHANGES.with_name("analysis")
IMAGES = {"debian:bookworm-slim": "recast-dm/toy:1.0"}
"""What images are called here: their content is of no matter to these tests."""


class Listening:
    """A server that remembers what it was asked."""

    def __init__(self, standin: Standin) -> None:
        self.problems: list[str] = []
        self.heard: list[Request] = []
        self._handle = openapi.checked(standin.handle, self.problems)

    def __call__(self, request: Request) -> Response:
        self.heard.append(request)
        return self._handle(request)


@pytest.fixture
def server(tmp_path, docker, toy_image):
    executing = Execution(runtime=docker, called=lambda name: IMAGES.get(name, name))
    with Standin(tmp_path / "server", engine=recorded.Held(executing, recorded.HELD)) as standin:
        yield standin


@pytest.fixture
def listening(server) -> Listening:
    return Listening(server)


@pytest.fixture
def url(server, listening) -> Iterator[str]:
    with server.served(listening) as url:
        yield url


@pytest.fixture
def official(url, tmp_path) -> Iterator[Official]:
    workdir = tmp_path / "analysis"
    shutil.copytree(ANALYSIS, workdir)
    with Official({"REANA_SERVER_URL": url, "REANA_ACCESS_TOKEN": TOKEN}, workdir) as official:
        yield official


def commands() -> list[tuple[str, list[dict[str, Any]]]]:
    """The recorded command lines of the official client, each with its exchanges."""
    found = groupby(recorded.exchanges(), key=lambda exchange: str(exchange["command"]))
    return [(command, list(each)) for command, each in found]


def sent(method: str, path: str, query: dict[str, str], body: bytes, kind: str | None) -> str:
    """A request as one line that can be compared; the order of JSON and of the query does not matter."""
    if body and kind == "application/json":
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    query = {name: "TOKEN" if name == "access_token" else value for name, value in query.items()}
    return f"{method} {unquote(path)} {sorted(query.items())} {kind} {body!r}"


def as_recorded(exchange: dict[str, Any]) -> str:
    asked = exchange["request"]
    body = recorded.content(asked["body"], asked["content_type"])
    return sent(asked["method"], asked["path"], dict(parse_qsl(asked["query"])), body, asked["content_type"])


def as_heard(request: Request) -> str:
    kind = request.headers.get("content-type")
    return sent(request.method, request.path, dict(request.query), request.body, kind)


def test_the_recorded_commands_work_here_and_send_what_they_sent(official, server, listening):
    differing = {}
    for command, exchanges in commands():
        if not command.startswith("reana-client "):
            if command == "wait":
                await_end(server, "rec2")
            continue
        listening.heard.clear()
        said = official(*shlex.split(command)[1:])
        refused = any(exchange["response"]["status"] >= 400 for exchange in exchanges)
        here, there = Counter(map(as_heard, listening.heard)), Counter(map(as_recorded, exchanges))
        if (said.code != 0) != refused or here != there:
            differing[command] = (said, here - there, there - here)
    assert differing == {}
    assert listening.problems == []


def test_every_recorded_exchange_is_as_the_document_says():
    """Save for what the official client and the real server did otherwise; each of these is known by its reason."""
    problems = {}
    for exchange in recorded.exchanges():
        asked, answered = exchange["request"], exchange["response"]
        body = asked["body"]
        if asked["content_type"] == "application/octet-stream" and body is not None:
            body = recorded.content(body, None)
        query = dict(parse_qsl(asked["query"]))
        said = [openapi.problem_of_request(asked["method"], asked["path"], query, body)]
        body = answered["body"]
        if answered["content_type"] != "application/json":
            body = recorded.content(body, None)
        said.append(openapi.problem_of_response(asked["method"], asked["path"], answered["status"], body))
        for problem in filter(None, said):
            problems[exchange["command"]] = problem
    assert {command: problem.partition(" has no")[0] for command, problem in problems.items()} == {
        "reana-client download -w rec2 sum/out.txt -o dl": "GET /api/workflows/rec2/workspace/sum/out.txt",
        "reana-client download -w rec2 -o dl": "GET /api/workflows/rec2/workspace/sum/out.txt",
        "reana-client download -w rec2 gen -o dl": "GET /api/workflows/rec2/workspace/gen",
        "no token": "GET /api/workflows never answers 401",
        "upload empty": "POST /api/workflows/bad1/workspace needs a body",
        "list without type": "GET /api/workflows needs ['type']",
        "status set to nonsense": (
            "PUT /api/workflows/bad1/status: status='nonsense' is not one of ['start', 'stop', 'deleted']"
        ),
    }


def test_the_document_finds_what_is_wrong():
    assert openapi.problem_of_request("GET", "/api/nosuch", {})
    assert "page" in (openapi.problem_of_request("GET", "/api/workflows/w/logs", {"page": "x"}) or "")
    assert openapi.problem_of_response("GET", "/api/workflows/w/status", 418)
    assert "name" in (openapi.problem_of_response("GET", "/api/workflows/w/status", 200, {"name": 5}) or "")


@pytest.fixture
def ours(url, server) -> Reana:
    return Reana(Connection(server.server(url)))


def specification() -> tuple[dict[str, Any], dict[str, Path | bytes]]:
    body = next(e["request"]["body"] for e in recorded.exchanges() if e["command"].startswith("reana-client create"))
    paths = ("reana.yaml", "data/in.txt", "workflow/workflow.yaml", "workflow/steps.yaml")
    return body, {path: ANALYSIS / path for path in paths}


def body_of_create() -> dict[str, Any]:
    found = (e for e in recorded.exchanges() if e["request"]["path"] == "/api/workflows")
    return next(dict(e["request"]["body"]) for e in found if e["request"]["method"] == "POST")


def submitted(ours: Reana, name: str) -> str:
    """A workflow that our client has created, filled and started."""
    _, files = specification()
    created = ours.create(name, body_of_create(), files)
    for path, source in files.items():
        ours.upload(created.name, path, source)
    ours.start(created.name, {"mass": 300})
    return created.name


def test_the_official_client_sees_what_ours_has_made(ours, official, server, listening, tmp_path):
    name = submitted(ours, "made")
    await_end(server, name)
    listed = json.loads(official("list", "--json").out)
    assert [(each["name"], each["run_number"], each["status"]) for each in listed] == [("made", "1", "finished")]
    status = json.loads(official("status", "-w", name, "--json").out)
    assert status[0]["progress"] == "2/2"
    assert "mass=300" in official("logs", "-w", name).out
    fetched = official("download", "-w", name, "-o", str(tmp_path / "fetched"))
    assert fetched.code == 0, fetched.out
    assert "hello signal\n300\n" in (tmp_path / "fetched" / "sum" / "out.txt").read_text()
    assert official("delete", "-w", name, "--include-workspace").code == 0
    assert list(ours.workflows("made")) == []
    assert listening.problems == []


def test_our_client_sees_what_the_official_one_has_made(ours, official, server, listening, tmp_path):
    for words in (["create"], ["upload"], ["start"]):
        said = official(*words, "-w", "theirs")
        assert said.code == 0, said.out
    await_end(server, "theirs")
    assert [each.name for each in ours.workflows("theirs")] == ["theirs.1"]
    status = ours.status("theirs.1")
    assert (status.state, status.progress.finished, status.progress.total) == ("finished", 2, 2)
    assert {job.step for job in ours.logs("theirs.1").jobs} == {"gen", "sum"}
    assert "sum/out.txt" in {file.path for file in ours.files("theirs.1")}
    assert ours.download("theirs.1", "sum/out.txt", tmp_path / "out.txt") == (tmp_path / "out.txt").stat().st_size
    assert ours.parameters("theirs")["mass"] == 100
    ours.delete("theirs.1")
    assert json.loads(official("list", "--json").out) == []
    assert listening.problems == []
