"""The only place that talks to a REANA server: it adds the token, waits, repeats, and turns failures into our errors.

REANA 0.9 takes its token in the address and nowhere else, so an address is a secret: none is ever part of an error, a
log line or a document. (Servers after it want the token in a header, and say 401 to the other.) What may be sent twice
is repeated; of what may not, a lost answer is `Unsure`.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from recast_dm import __version__
from recast_dm.backends.reana import refusing
from recast_dm.backends.reana.refusing import NotAFile, Refused, Unsure, redacted
from recast_dm.backends.reana.sources import Content, Exactly
from recast_dm.config import ReanaServer
from recast_dm.errors import RecastError, RemoteError, UsageError
from recast_dm.spec.remote import is_loopback

__all__ = ["Clock", "Connection", "NotAFile", "Query", "Refused", "SystemClock", "Unsure", "redacted"]

TIMEOUT = (30.0, 300.0)
"""Seconds until a connection, and until the next byte: `logs` and `du` of a large workspace take a while."""
ATTEMPTS = 8
LONGEST_WAIT = 30.0
"""Seconds between two attempts at most; a server that asks for more is believed up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 300.0
RATE = 15.0
"""Requests a second at most, of all threads together: REANA refuses more than 20."""
AT_ONCE = 64
"""Connections that are kept open, of all threads together."""
CHUNK = 256 * 1024
LARGEST = 256 * 1024 * 1024
"""Bytes of an answer that is JSON: the logs of thousands of jobs stay below it."""
BUSY = 429
TROUBLE = frozenset({408, 500, 502, 503, 504})
BROKEN = 500
BROKEN_ATTEMPTS = 3
"""REANA says 500 also to what will never work: that is not asked for again and again."""
ZIP = "application/zip"
"""What a directory of a workspace comes as, and no file does."""
Query: TypeAlias = Mapping[str, str]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What to ask, without the token. `read` makes a value of a good answer."""

    method: str
    path: str
    query: Query
    read: Callable[[requests.Response], Any] = field(repr=False)
    content: Content | None = None
    kind: str | None = None
    repeatable: bool = True
    anonymous: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class _Trouble:
    """An attempt that failed: why, whether it certainly had no effect, and how long the server asks to wait."""

    why: str
    nothing_happened: bool
    wait: float | None = None
    status: int | None = None


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
        self._server = server
        self._session = session or _session()
        self._session.headers["User-Agent"] = f"recast-dm/{__version__}"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.clock = clock or SystemClock()
        self._attempts = attempts
        self._space = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()
        self._in_header = False
        _checked_token(server.token)
        refusing.redact_logs(server.token)

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def close(self) -> None:
        """Ends the connections that are kept open for the next request."""
        self._session.close()

    def json(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        repeatable: bool = True,
        anonymous: bool = False,
    ) -> Any:
        """The JSON of an answer. `body` is sent as JSON, None sends none.

        `path` is quoted already; what is `anonymous` goes without the token. Raises Refused, Unsure (only where it is
        not `repeatable`), and RemoteError when the server stays away.
        """
        content = None if body is None else Content.of(json.dumps(body).encode())
        kind = None if content is None else "application/json"
        asked = _Request(method=method, path=path, query=query or {}, read=_json, content=content, kind=kind)
        return self._repeated(replace(asked, repeatable=repeatable, anonymous=anonymous))

    def send(
        self,
        path: str,
        query: Query,
        content: Content,
        kind: str = "application/octet-stream",
        *,
        repeatable: bool = True,
    ) -> Any:
        """Posts bytes, which are opened anew for each attempt; gives the JSON of the answer."""
        asked = _Request(method="POST", path=path, query=query, read=_json, content=content, kind=kind)
        return self._repeated(replace(asked, repeatable=repeatable))

    def fetch(self, path: str, query: Query | None, take: Callable[[Iterator[bytes]], int]) -> int:
        """Gets the bytes of a file, in pieces; `take` begins anew with each attempt. Raises NotAFile."""

        def read(answer: requests.Response) -> int:
            if answer.headers.get("Content-Type", "").partition(";")[0].strip() == ZIP:
                raise NotAFile(f"{path.rpartition('/workspace/')[2]} is a directory", hint="fetch its files")
            return take(answer.iter_content(CHUNK))

        return int(self._repeated(_Request(method="GET", path=path, query=query or {}, read=read)))

    # --- attempts ----------------------------------------------------------------------------------------------------

    def _repeated(self, asked: _Request) -> Any:
        for attempt in range(1, self._attempts + 1):
            self._paced()
            done = self._attempt(asked, attempt)
            if not isinstance(done, _Trouble):
                return done
            if not (asked.repeatable or done.nothing_happened):
                raise Unsure(
                    f"the answer to {asked} was lost: {done.why}", hint="it is not known whether it has happened"
                )
            if done.status == BROKEN and attempt >= BROKEN_ATTEMPTS:
                break
            if attempt < self._attempts:
                self.clock.sleep(_pause(attempt, done.wait))
        raise _given_up(self.url, asked, done, attempt)

    def _attempt(self, asked: _Request, attempt: int) -> Any:
        """What `read` makes of the answer, or _Trouble. Errors leave this method without what they grew from."""
        try:
            found = self._sent(asked, attempt)
        except RecastError as error:  # of the file here: with the frames of requests it would carry the address along
            found = error
        except _FAILURES as error:
            found = _failure(error)
        if isinstance(found, RecastError):
            raise found.with_traceback(None)
        return found

    def _sent(self, asked: _Request, attempt: int) -> Any:
        found = self._asked_once(asked, attempt, self._in_header)
        if isinstance(found, Refused) and found.status == 401 and not self._in_header:
            again = self._asked_once(asked, attempt, True)
            if not (isinstance(again, Refused) and again.status == 401):
                self._in_header = True
                return again
        return found

    def _asked_once(self, asked: _Request, attempt: int, in_header: bool) -> Any:
        """Sends a request. The token is added at the last moment, so that nothing else holds it."""

        def authorised(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if asked.anonymous:
                return request
            if in_header:
                request.headers["Authorization"] = f"Bearer {self._server.token}"
            else:
                request.prepare_url(request.url, {"access_token": self._server.token})
            return request

        data = None if asked.content is None else asked.content.open()
        try:
            with self._session.request(
                asked.method,
                f"{self.url}{asked.path}",
                params=dict(asked.query),
                data=data,
                headers={"Content-Type": asked.kind} if asked.kind else None,
                auth=authorised,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
                proxies={"no_proxy": self._host} if self.url.startswith("http:") else None,
            ) as answer:
                if answer.status_code < 300:
                    return asked.read(answer)
                return _refusal(answer, self._server.token, attempt)
        finally:
            if isinstance(data, Exactly):
                data.close()

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def _paced(self) -> None:
        """Waits until the next request may go."""
        with self._lock:
            now = self.clock.now()
            begin = max(now, self._next)
            self._next = begin + self._space
        if begin > now:
            self.clock.sleep(begin - now)


def _session() -> requests.Session:
    """One that keeps a connection for each of many threads: urllib3 warns of every one that it throws away."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
    return session


class _Cut(Exception):
    """An answer that ended too early, or is no JSON."""


_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, _Cut)


def _json(answer: requests.Response) -> Any:
    body = bytearray()
    for piece in answer.iter_content(CHUNK):
        body += piece
        if len(body) > LARGEST:
            raise RemoteError(f"the server's answer is larger than {LARGEST >> 20} MiB")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass  # what json.loads raises holds the whole text, and /api/you repeats the token
    raise _Cut


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt: twice as long each time, and not the same for everybody.

    >>> 0.25 <= _pause(1, None) <= 0.5, 15.0 <= _pause(8, None) <= 30.0, _pause(1, 60)
    (True, True, 60)
    """
    if asked is not None:
        return min(asked, LONGEST_PAUSE)
    return min(LONGEST_WAIT, 0.25 * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret


def _given_up(url: str, asked: _Request, trouble: _Trouble, attempts: int) -> RemoteError:
    if trouble.status is not None and trouble.status != BUSY:
        hint = refusing.hint_of(trouble.status, trouble.why)
        return Refused(f"{asked}: {trouble.why}", trouble.status, hint=hint, attempts=attempts)
    return RemoteError(
        f"{url} did not answer {asked} in {attempts} attempts: {trouble.why}",
        hint="repeat the command later; `recast-dm doctor` says whether the server answers at all",
    )


def _failure(error: Exception) -> _Trouble | RemoteError:
    """A connection that failed, without the address that requests puts into its errors."""
    text = repr(error)
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in text:
        return RemoteError(
            "the server's certificate cannot be verified",
            hint="REQUESTS_CA_BUNDLE names a file of authorities to trust; verification is never switched off",
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return RemoteError("the server's address cannot be used", hint="check REANA_SERVER_URL")
    unsent = isinstance(error, requests.exceptions.ConnectTimeout) or any(each in text for each in _UNSENT)
    return _Trouble(_why(error, unsent), nothing_happened=unsent)


_UNSENT = ("NewConnectionError", "NameResolutionError")
"""What urllib3 calls a connection that never was, in the errors that requests makes of it."""


def _why(error: Exception, unsent: bool) -> str:
    if isinstance(error, requests.exceptions.Timeout):
        return "no connection in time" if unsent else "no answer in time"
    if isinstance(error, requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return "no secure connection"
    if isinstance(error, _Cut):
        return "the answer is no JSON, or only half of it"
    return "no connection" if unsent else "the connection was cut"


def _refusal(answer: requests.Response, token: str, attempt: int) -> _Trouble | RemoteError:
    status = answer.status_code
    if 300 <= status < 400:
        return RemoteError(
            "the server points to another address, and the token is for this one only",
            hint="set REANA_SERVER_URL to the address that the site gives for its clients",
        )
    words = refusing.words_of(_beginning(answer), token)
    if status == BUSY:
        return _Trouble("too many requests", nothing_happened=True, wait=_asked(answer), status=status)
    if status in TROUBLE:
        said = f"{status}: {words}" if words else str(status)
        return _Trouble(said, nothing_happened=False, wait=_asked(answer), status=status)
    hint = refusing.hint_of(status, words)
    return Refused(words or f"the server answered {status}", status, hint=hint, attempts=attempt)


def _beginning(answer: requests.Response) -> bytes:
    """The first bytes of a refusal: a body that is cut says enough."""
    try:
        return next(answer.iter_content(CHUNK), b"") or b""
    except _FAILURES:
        return b""


def _asked(answer: requests.Response) -> float | None:
    """The seconds of `Retry-After`. A real server sends it with every answer, and 0 is no wait at all."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() and int(said) > 0 else None


def _checked(url: str) -> str:
    """An address that a token can be sent to. Raises UsageError, which does not repeat what may hold a password."""
    try:
        parts = urlsplit(url)
        odd = parts.port == 0 or parts.scheme not in {"https", "http"} or not parts.hostname
    except ValueError:
        odd = True
    if odd or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError("REANA_SERVER_URL is not the address of a server", hint="such as https://reana.example.org")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UsageError(
            f"REANA_SERVER_URL is {url!r}: without TLS anybody on the way could read the token",
            hint="write https://; plain http is for this machine only",
        )
    return url.rstrip("/")


def _checked_token(token: str) -> None:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("REANA_ACCESS_TOKEN is no token: it is empty, or has blanks or odd characters in it")
