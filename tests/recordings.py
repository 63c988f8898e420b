"""The recorded exchanges of the official client with a real server: tests/data/reana-0.9."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

PLACE = Path(__file__).parent / "data" / "reana-0.9"


@dataclass(frozen=True)
class Exchange:
    number: int
    command: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def query(self) -> list[tuple[str, str]]:
        return sorted(parse_qsl(self.request["query"], keep_blank_values=True))

    @property
    def answer(self) -> bytes:
        """The bytes of the response's body."""
        return content(self.response["body"])


def content(body: Any) -> bytes:
    """The bytes of a recorded body."""
    if isinstance(body, dict) and set(body) == {"text"}:
        return str(body["text"]).encode()
    if isinstance(body, dict) and set(body) == {"base64"}:
        return base64.b64decode(body["base64"])
    return b"" if body is None else json.dumps(body).encode()


@cache
def exchanges() -> tuple[Exchange, ...]:
    lines = (PLACE / "exchanges.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    return tuple(Exchange(n, each["command"], each["request"], each["response"]) for n, each in enumerate(read))
