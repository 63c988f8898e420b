"""A registry on the loopback interface: the distribution protocol, and ways to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from imagetars import OCI, config, digest, manifest, packed

TOKEN = "-".join(("a", "token", "of", "the", "test"))


@dataclass
class Answer:
    """`length` is what the header says, where that is not so long as the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


class Host:
    """What a server has, and what it was asked: `asked` holds the path and the headers of each request."""

    def __init__(self) -> None:
        self.address = ""
        self.token = ""
        self.scope = ""
        self.found: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def push(self, name: str, *layers: bytes, **more: object) -> str:
        """Puts an image there: `repository:tag`. Gives the digest of its manifest."""
        repository, _, tag = name.partition(":")
        about = config(*layers, **more)
        for data in (about, *packed(*layers)):
            self.found[f"/v2/{repository}/blobs/{digest(data)}"] = Answer(body=data)
        return self.put(repository, tag, manifest(about, packed(*layers)))

    def put(self, repository: str, tag: str, document: bytes, kind: str = f"{OCI}manifest.v1+json") -> str:
        answer = Answer(body=document, headers={"Content-Type": kind})
        self.found |= dict.fromkeys([f"/v2/{repository}/manifests/{n}" for n in (tag, digest(document))], answer)
        return digest(document)

    def demand_token(self, realm: str | None = None) -> None:
        self.token = f'Bearer realm="{realm or f"http://{self.address}/token"}",service="the registry",scope="x"'

    def request(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        return self.answer(target, headers)

    def answer(self, target: str, headers: dict[str, str]) -> Answer:
        self.asked.append((target, headers))
        parts = urlsplit(target)
        if parts.path == "/token":
            query = parse_qs(parts.query)
            assert query["service"] == ["the registry"]
            self.scope = query["scope"][0]
            return Answer(body=json.dumps({"token": TOKEN}).encode())
        if self.token and headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(401, headers={"WWW-Authenticate": self.token})
        found = self.found.get(parts.path, Answer(404, b"{}"))
        return found() if callable(found) else found


@contextmanager
def serve(host: Host | None = None) -> Iterator[Any]:
    host = host or Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = host.request(self.command, self.path, dict(self.headers), body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            length = len(answer.body) if answer.length is None else answer.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            self.close_connection = length != len(answer.body)

        do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815  # the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
