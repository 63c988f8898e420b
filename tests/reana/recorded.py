"""Recorded exchanges of the official client with a real server, and a replay that compares another server with it.

Compared are status, content type and messages, and the shape of every document: names, kinds of values, and texts
that mean something. What a run or a clock makes (ids, times, sizes, commands) is compared in its kind only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.reana.engines import Engine
from tests.reana.standin import Standin, await_end
from tests.reana.things import Run
from tests.reana.wire import Request

EXCHANGES = Path(__file__).parents[1] / "data" / "reana-0.9" / "exchanges.jsonl"
HELD = ("rec1.1", "rec2.1.1")
"""Runs that were stopped while they ran."""
_EXACT = frozenset(
    {"message", "status", "name", "workflow_name", "run_number", "type", "job_name", "page", "docker_img"}
)
_LOOSE = frozenset({"quota", "usage", "size", "items", "disk_usage_info", "workspace_listing", "workflow_logs"})


def exchanges() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXCHANGES.read_text().splitlines()]


class Held:
    """An engine for most runs; those that are `held` run until they are stopped."""

    def __init__(self, engine: Engine, held: tuple[str, ...]) -> None:
        self._engine = engine
        self._held = held

    def begin(self, standin: Standin, run: Run) -> None:
        if run.full in self._held:
            run.status, run.queued, run.started = "running", standin.now(), standin.now()
        else:
            self._engine.begin(standin, run)

    def look(self, standin: Standin, run: Run) -> None:
        self._engine.look(standin, run)

    def stop(self, standin: Standin, run: Run) -> None:
        self._engine.stop(standin, run)

    def close(self) -> None:
        self._engine.close()


@dataclass
class _Replay:
    standin: Standin
    ids: dict[str, str] = field(default_factory=dict)
    """The recorded ids, and what they are here."""

    def problems(self, n: int, exchange: Mapping[str, Any]) -> Iterator[str]:
        recorded = exchange["response"]
        if exchange["command"] == "wait" or _says_finished(recorded["body"]):
            await_end(self.standin, "rec2")
        answer = self.standin.handle(self._request(exchange["request"]))
        said = f"{n} {exchange['command']} ({exchange['request']['path']})"
        if answer.status != recorded["status"]:
            yield f"{said}: {answer.status} instead of {recorded['status']}: {answer.body[:200]!r}"
            return
        kind = answer.headers["Content-Type"]
        if kind != recorded["content_type"]:
            yield f"{said}: {kind} instead of {recorded['content_type']}"
        if kind == "application/json":
            self._learn(recorded["body"], answer.document)
            for problem in self._compared("", recorded["body"], answer.document):
                yield f"{said}: {problem}"
        elif set(recorded["headers"]) - set(answer.headers):
            yield f"{said}: no headers {sorted(set(recorded['headers']) - set(answer.headers))}"

    def _request(self, request: Mapping[str, Any]) -> Request:
        query = [
            (name, self.standin.token if value == "TOKEN" else value) for name, value in parse_qsl(request["query"])
        ]
        target = request["path"] + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": request["content_type"]} if request["content_type"] else {}
        return Request.of(request["method"], target, headers, content(request["body"], request["content_type"]))

    def _learn(self, recorded: Any, ours: Any) -> None:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for name in ("workflow_id", "id"):
                if name in recorded and name in ours:
                    self.ids.setdefault(recorded[name], ours[name])

    def _compared(self, where: str, recorded: Any, ours: Any) -> Iterator[str]:
        name = where.rpartition(".")[2]
        if isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._keys(where, recorded, ours)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._lists(where, recorded, ours)
        elif name in _EXACT and isinstance(recorded, str):
            if name == "status" and recorded in ("queued", "running") and ours in ("queued", "running", "finished"):
                return
            if self._here(recorded) != ours:
                yield f"{where}: {ours!r} instead of {self._here(recorded)!r}"
        elif isinstance(recorded, str) and isinstance(ours, str) and recorded[:1] in ("{", "["):
            yield from self._compared(where, json.loads(recorded), json.loads(ours))
        elif name not in _LOOSE and _kind(recorded) != _kind(ours) and None not in (recorded, ours):
            yield f"{where}: {_kind(ours)} instead of {_kind(recorded)}"

    def _keys(self, where: str, recorded: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
        if where.endswith((".specification", "logs", ".job_logs")) and not recorded.keys() & ours.keys():
            yield from self._jobs(where, recorded, ours)
            return
        if recorded.keys() != ours.keys():
            yield f"{where}: keys {sorted(ours)} instead of {sorted(recorded)}"
        for key in recorded.keys() & ours.keys():
            yield from self._compared(f"{where}.{key}", recorded[key], ours[key])

    def _jobs(self, where: str, recorded: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
        """Jobs have ids as keys, and may be further on here than there."""
        if len(ours) < len(recorded):
            yield f"{where}: {len(ours)} entries instead of {len(recorded)}"
        for one, other in zip(recorded.values(), ours.values(), strict=False):
            yield from self._compared(where, one, other)

    def _lists(self, where: str, recorded: list[Any], ours: list[Any]) -> Iterator[str]:
        if where.endswith("job_ids"):
            return
        if where.endswith((".items", "disk_usage_info")):
            for item in ours:
                yield from self._compared(f"{where}[]", _example(recorded, item), item)
        elif where.endswith("stages"):
            yield from self._compared(
                f"{where}[]", [each["name"] for each in recorded], [each["name"] for each in ours]
            )
        elif len(recorded) != len(ours):
            yield f"{where}: {len(ours)} items instead of {len(recorded)}"
        else:
            for one, other in zip(recorded, ours, strict=True):
                yield from self._compared(f"{where}[]", one, other)

    def _here(self, text: str) -> str:
        for recorded, ours in self.ids.items():
            text = text.replace(recorded, ours)
        return text


def replay(standin: Standin) -> list[str]:
    """What a server answers otherwise than the recorded one."""
    replay = _Replay(standin)
    return [problem for n, exchange in enumerate(exchanges()) for problem in replay.problems(n, exchange)]


def content(body: Any, kind: str | None) -> bytes:
    """A recorded body as it was sent."""
    if body is None:
        return b""
    if isinstance(body, dict) and set(body) == {"text"}:
        return str(body["text"]).encode()
    if isinstance(body, dict) and set(body) == {"base64"}:
        return base64.b64decode(body["base64"])
    return json.dumps(body).encode()


def _says_finished(body: Any) -> bool:
    return isinstance(body, dict) and body.get("name") == "rec2.1" and body.get("status") == "finished"


def _example(recorded: list[Any], item: Mapping[str, Any]) -> Any:
    """The recorded item of the same name, else any, with that name."""
    found = next((each for each in recorded if each.get("name") == item.get("name")), None)
    return found or {**recorded[0], "name": item["name"], **({"status": item["status"]} if "status" in item else {})}


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
