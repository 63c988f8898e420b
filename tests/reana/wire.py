"""A request and a response as plain values, and the ways in which requests come: in this process, or over loopback."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` is unquoted; of a parameter that comes twice, the last one counts. `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """A request as it was sent, its address still quoted."""
        parts = urlsplit(target)
        return cls(
            method=method.upper(),
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`cut` says how many bytes of the body arrive before the connection ends; None: all of them."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None

    @classmethod
    def json(cls, status: int, document: Any) -> Response:
        body = json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
        return cls(status=status, body=body, headers={"Content-Type": "application/json"})

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Handle: TypeAlias = Callable[[Request], Response]


class Adapter(BaseAdapter):
    """Takes the requests of a `requests.Session` to a function of this process."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self._handle = handle

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        """What the function answers; the exceptions of `requests` that it raises are raised here."""
        headers = dict(request.headers)
        assert request.method
        assert request.url
        answer = self._handle(Request.of(request.method, request.url, headers, _content(request.body)))
        found = requests.Response()
        found.status_code = answer.status
        found.reason = responses.get(answer.status, "")
        found.headers.update({**answer.headers, "Content-Length": str(len(answer.body))})
        found.raw = HTTPResponse(
            body=io.BytesIO(answer.body[: answer.cut]),
            headers=found.headers,
            status=answer.status,
            preload_content=False,
            enforce_content_length=True,
        )
        found.url, found.request, found.encoding = request.url, request, "utf-8"
        return found

    def close(self) -> None:
        pass


def _content(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    return bytes(body.read()) if hasattr(body, "read") else b"".join(body)


def session(handle: Handle, token: str | None = None) -> requests.Session:
    """A session whose every request, wherever it goes, is answered here; `token` is added to each if given."""
    found = requests.Session()
    found.trust_env = False
    for scheme in ("http://", "https://"):
        found.mount(scheme, Adapter(handle))
    if token is not None:
        found.params = {"access_token": token}
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to tell of."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def served(handle: Handle) -> Iterator[str]:
    """The address of a server on the loopback interface that answers with a function, a thread for each request."""

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            try:
                answer = handle(Request.of(self.command, self.path, dict(self.headers), _sent(self)))
            except requests.RequestException:  # a fault: the connection ends without an answer
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):  # one method for every method of HTTP
                return self.answer
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            """Nothing: an address holds the token."""

    server = _Server(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _sent(asked: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, whole or in chunks."""
    if asked.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
    body = b""
    while size := int(asked.rfile.readline().split(b";")[0], 16):
        body += asked.rfile.read(size)
        asked.rfile.readline()
    asked.rfile.readline()
    return body
