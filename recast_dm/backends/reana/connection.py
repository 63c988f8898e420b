"""The only place that talks to a REANA server: it adds the token, waits, repeats, and turns failures into our errors.

REANA takes its token in the address and nowhere else, so an address is a secret: none is ever part of an error, a log
line or a document. What may be sent twice is repeated; of what may not, a lost answer is `Unsure`.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeAlias
from urllib.parse import quote, urlsplit

import requests

from recast_dm import __version__
from recast_dm.config import ReanaServer
from recast_dm.errors import RemoteError, UsageError

TIMEOUT = (10.0, 120.0)
"""Seconds until a connection, and until the next byte."""
ATTEMPTS = 8
LONGEST_WAIT = 30.0
"""Seconds between two attempts at most; a server that asks for more is believed up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 300.0
RATE = 15.0
"""Requests a second at most, of all threads together: REANA refuses more than 20."""
CHUNK = 256 * 1024
BUSY = 429
TROUBLE = (500, 502, 503, 504)
_TOKEN = re.compile(r"(access_token=)[^&\s\"']+")
Query: TypeAlias = Mapping[str, str]
Open: TypeAlias = Callable[[], BinaryIO]


class Unsure(RemoteError):
    """The answer to something that may not be sent twice was lost: it has happened, or it has not."""


class Refused(RemoteError):
    """The server understood, and said no; `status` is its HTTP status."""

    def __init__(self, message: str, status: int, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Clock(Protocol):
    """Time, for waiting; the tests have their own."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _Redacted(logging.Filter):
    """urllib3 writes addresses down when it is asked to debug."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_Redacted())


def redacted(text: str) -> str:
    """A text without the tokens of addresses.

    >>> redacted('GET /api/you?access_token=s3cret&page=1')
    'GET /api/you?access_token=...&page=1'
    """
    return _TOKEN.sub(r"\1...", text)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """An attempt that failed: why, whether it certainly had no effect, and how long the server asks to wait."""

    why: str
    nothing_happened: bool
    wait: float | None = None


class Connection:
    """A server and the token that it knows the user by; safe for threads. Raises UsageError for an unsafe address."""

    def __init__(
        self,
        server: ReanaServer,
        *,
        session: requests.Session | None = None,
        clock: Clock | None = None,
        attempts: int = ATTEMPTS,
        rate: float = RATE,
    ) -> None:
        self.url = _checked(server.url)
        self._token = server.token
        self._session = session or requests.Session()
        self._session.headers["User-Agent"] = f"recast-dm/{__version__}"
        self._clock = clock or SystemClock()
        self._attempts = attempts
        self._space = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def json(
        self, method: str, path: str, query: Query | None = None, body: Any = None, *, repeatable: bool = True
    ) -> Any:
        """The JSON of an answer. `body` is sent as JSON, None sends none.

        Raises Refused, Unsure (only where it is not `repeatable`), and RemoteError when the server stays away.
        """
        content = None if body is None else json.dumps(body).encode()
        kind = None if content is None else "application/json"
        return self._repeated(method, path, query, lambda: content, kind, _json, repeatable)

    def send(
        self, path: str, query: Query, opened: Open, kind: str = "application/octet-stream", *, repeatable: bool = True
    ) -> Any:
        """Posts the bytes of a file, which is opened anew for each attempt; gives the JSON of the answer."""
        return self._repeated("POST", path, query, opened, kind, _json, repeatable)

    def fetch(self, path: str, query: Query | None, take: Callable[[Iterator[bytes]], int]) -> int:
        """Gets bytes, in pieces; `take` begins anew with each attempt."""
        return int(
            self._repeated(
                "GET", path, query, lambda: None, None, lambda r: take(r.iter_content(CHUNK)), True, stream=True
            )
        )

    # --- attempts ----------------------------------------------------------------------------------------------------

    def _repeated(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: Callable[[], Any],
        kind: str | None,
        read: Callable[[requests.Response], Any],
        repeatable: bool,
        *,
        stream: bool = False,
    ) -> Any:
        what = f"{method} {path}"
        trouble = _Trouble("", nothing_happened=True)
        for attempt in range(self._attempts):
            if attempt:
                self._clock.sleep(_pause(attempt, trouble.wait))
            self._paced()
            done = self._attempt(method, path, query, content, kind, read, stream)
            if not isinstance(done, _Trouble):
                return done
            trouble = done
            if not (repeatable or trouble.nothing_happened):
                raise Unsure(
                    f"the answer to {what} was lost: {trouble.why}", hint="it is not known whether it has happened"
                )
        raise RemoteError(
            f"{self.url} did not answer {what} in {self._attempts} attempts: {trouble.why}",
            hint="repeat the command later; `recast-dm doctor` says whether the server answers at all",
        )

    def _attempt(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: Callable[[], Any],
        kind: str | None,
        read: Callable[[requests.Response], Any],
        stream: bool,
    ) -> Any:
        """What `read` makes of the answer, or _Trouble. Errors leave this method without what they grew from."""
        try:
            with (
                _opened(content) as data,
                self._session.request(
                    method,
                    f"{self.url}{quote(path)}",
                    params={**(query or {}), "access_token": self._token},
                    data=data,
                    headers={"Content-Type": kind} if kind else None,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                    stream=stream,
                ) as answer,
            ):
                if answer.status_code < 300:
                    return read(answer)
                found = _refusal(answer)
        except (requests.RequestException, _Cut) as error:
            found = _failure(error)
        if isinstance(found, RemoteError):
            raise found
        return found

    def _paced(self) -> None:
        """Waits until the next request may go."""
        with self._lock:
            now = self._clock.now()
            begin = max(now, self._next)
            self._next = begin + self._space
        if begin > now:
            self._clock.sleep(begin - now)


class _Cut(Exception):
    """An answer that ended too early."""


@contextmanager
def _opened(content: Callable[[], Any]) -> Iterator[Any]:
    data = content()
    try:
        yield data
    finally:
        if hasattr(data, "close"):
            data.close()


def _json(answer: requests.Response) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        raise _Cut from None


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt.

    >>> [_pause(n, None) for n in (1, 2, 8)], _pause(1, 60)
    ([0.5, 1.0, 30.0], 60)
    """
    return min(LONGEST_WAIT, 0.25 * 2**attempt) if asked is None else min(asked, LONGEST_PAUSE)


def _failure(error: Exception) -> _Trouble | RemoteError:
    """A connection that failed, without the address that requests puts into its errors."""
    if isinstance(error, requests.exceptions.SSLError):
        return RemoteError(
            "the server's certificate cannot be verified",
            hint="REQUESTS_CA_BUNDLE names a file of authorities to trust; verification is never switched off",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _Trouble("no connection in time", nothing_happened=True)
    if isinstance(error, requests.exceptions.Timeout):
        return _Trouble("no answer in time", nothing_happened=False)
    if isinstance(error, requests.exceptions.ConnectionError) and "NewConnectionError" in repr(error):
        return _Trouble("no connection", nothing_happened=True)
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError | _Cut):
        return _Trouble("the connection was cut", nothing_happened=False)
    return RemoteError(f"the request failed ({type(error).__name__})")


def _refusal(answer: requests.Response) -> _Trouble | RemoteError:
    status, said = answer.status_code, _message(answer)
    if status == BUSY:
        return _Trouble("too many requests", nothing_happened=True, wait=_asked(answer))
    if status in TROUBLE:
        return _Trouble(f"{status}: {said}", nothing_happened=False, wait=_asked(answer))
    if 300 <= status < 400:
        return RemoteError(
            "the server points to another address, and the token is for this one only",
            hint="set REANA_SERVER_URL to the address that the site gives for its clients",
        )
    return Refused(said or f"the server answered {status}", status, hint=_HINTS.get(status))


_HINTS = {
    401: "the server wants a token: set REANA_ACCESS_TOKEN (it is shown on your profile page there)",
    403: "check REANA_ACCESS_TOKEN, and the name of the workflow: REANA answers so to both",
    404: "`recast-dm ls --reana` lists your workflows there",
    409: "`recast-dm status` says how far the workflow is",
}


def _asked(answer: requests.Response) -> float | None:
    """The seconds of `Retry-After`."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None


def _message(answer: requests.Response) -> str:
    """What the server says: REANA's `message`, else the beginning of the text."""
    try:
        document = json.loads(answer.content)
    except (ValueError, requests.RequestException):
        return ""
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        return redacted(" ".join(document["message"].split()))[:500]
    return redacted(json.dumps(document))[:200]


def _checked(url: str) -> str:
    """An address that a token can be sent to. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.username:
        raise UsageError("REANA_SERVER_URL is not the address of a server", hint="such as https://reana.example.org")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise UsageError(
            f"REANA_SERVER_URL is {url!r}: without TLS anybody on the way could read the token",
            hint="write https://; plain http is for this machine only",
        )
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
