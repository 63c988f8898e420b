"""An HTTP server on loopback that answers as it is told, also badly; it keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """As pairs, sorted: the official client has no order of its own."""
        return sorted(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """`cut`: so many bytes of the body come, and the connection ends. `raw`: these bytes instead of an answer."""

    status: int = 200
    body: bytes = b'{"message": "OK"}'
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    raw: bytes | None = None
    hang: float = 0.0


def said(status: int, document: Any, **headers: str) -> Answer:
    """A JSON answer; the underscores of header names are hyphens."""
    named = {name.replace("_", "-"): each for name, each in headers.items()}
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


class Loopback:
    """Gives the answers one after the other, and the last one again and again; one may be made for what was asked."""

    def __init__(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        self._answers = list(answers)
        self._done = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def encrypt(self, context: ssl.SSLContext) -> None:
        """From now on it speaks TLS; to who goes away in the handshake, it says nothing."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def then(self, answers: Iterable[Answer]) -> None:
        """What it gives from now on."""
        self._answers[:] = answers

    def _next(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(asked) if callable(answer) else answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = outer._next(Asked(self.command, self.path, dict(self.headers), body))
                if answer.hang:
                    outer._done.wait(answer.hang)
                if answer.raw is not None:
                    self.wfile.write(answer.raw)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, each in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, each)
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut])
                self.close_connection = self.close_connection or answer.cut is not None

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names are http.server's

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):  # whoever asked has gone: the test is of that
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
                pass

        return Handler
