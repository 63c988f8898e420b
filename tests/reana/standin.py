"""A stand-in for a REANA 0.9.4 server, for tests only: this is not REANA.

It answers as the recorded server did (tests/data/reana-0.9), and it really executes the yadage workflows that it is
given (see `execution`). What it does otherwise than a real server is listed in README.md beside this file.

    standin = Standin(directory)
    standin.session()                 a requests.Session that is answered in this process
    standin.connection()              our own client's connection
    with standin.served() as url:     HTTP on the loopback interface
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from recast_dm.backends.reana.connection import Connection
from recast_dm.config import ReanaServer
from tests.reana import files, things, wire
from tests.reana.engines import AtOnce, Engine
from tests.reana.limiting import Rate
from tests.reana.refusing import Refusal, unknown
from tests.reana.things import Run
from tests.reana.wire import Request, Response

TOKEN = "canary-token-3f9c1e"  # of nothing real; tests search what they write for it
URL = "https://reana.example.org"
BUNDLES = "workflow-specification-bundles-v1"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """How a site has set up its server.

    `info` goes over what `/api/info` says; limits are in bytes and milliseconds, 0 is none; `rate` is in requests a
    second, None switches the limit off; `not_startable` is what a workflow that was started already answers to a start
    (403 or 409: servers differ); `bearer` takes the token from the Authorization header only, as servers after 0.9 do.
    """

    version: str = "0.9.4"
    info: Mapping[str, Any] = field(default_factory=dict)
    compute_backends: tuple[str, ...] = ("kubernetes",)
    disk_limit: int = 0
    cpu_limit: int = 0
    rate: int | None = None
    bundles: bool = False
    not_startable: int = 409
    bearer: bool = False


class Standin:
    """One server with one user. Everything that it keeps lies in `directory`; `now` is its clock (seconds)."""

    def __init__(
        self,
        directory: Path,
        *,
        engine: Engine | None = None,
        site: Site | None = None,
        token: str = TOKEN,
        now: Callable[[], float] = time.time,
        identities: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.directory = directory
        self.engine = engine or AtOnce()
        self.site = site or Site()
        self.token = token
        self.now = now
        self.identities = identities
        self.runs: dict[str, Run] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.lock = threading.RLock()
        self.rate = Rate(self.site.rate, now)

    # --- ways in -----------------------------------------------------------------------------------------------------

    def session(self, token: str | None = None) -> requests.Session:
        """A session that is answered here, whatever the host; a `token` is added to each request."""
        return wire.session(self.handle, token)

    def server(self, url: str = URL) -> ReanaServer:
        return ReanaServer(url=url, token=self.token)

    def connection(self, handle: wire.Handle | None = None, **options: Any) -> Connection:
        """Our client's connection to this server; `handle` stands between, for faults."""
        return Connection(self.server(), session=wire.session(handle or self.handle), **options)

    @contextmanager
    def served(self, handle: wire.Handle | None = None) -> Iterator[str]:
        """The address of this server on the loopback interface."""
        with wire.served(handle or self.handle) as url:
            yield url

    def close(self) -> None:
        """Ends what runs."""
        for run in list(self.runs.values()):
            if run.alive:
                self.engine.stop(self, run)
        self.engine.close()

    def __enter__(self) -> Standin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the core ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """The answer to a request, however it came."""
        limits = self.rate.headers()
        if not self.rate.allows():
            answer = Response.json(429, {"message": f"{self.site.rate} per 1 second"})
        else:
            answer = self._answer(request)
        return Response(status=answer.status, body=answer.body, headers={**answer.headers, **limits}, cut=answer.cut)

    def _answer(self, request: Request) -> Response:
        from tests.reana.routes import route

        try:
            found = route(request)
            if found is None:
                return Response.json(404, {"message": "404 Not Found: The requested URL was not found on the server."})
            call, words = found
            if request.path != "/api/ping":
                self._demand_user(request)
            return call(self, request, *words)
        except Refusal as refusal:
            return Response.json(refusal.status, {"message": str(refusal)})
        except Exception as error:  # noqa: BLE001  # as the real one: whatever Python says
            return Response.json(500, {"message": str(error)})

    def _demand_user(self, request: Request) -> None:
        given = request.query.get("access_token")
        if self.site.bearer:
            given = request.headers.get("authorization", "").removeprefix("Bearer ") or None
        if given is None:
            raise Refusal(401, "User not signed in")
        if given != self.token:
            raise Refusal(403, "Token not valid.")

    # --- what it keeps -----------------------------------------------------------------------------------------------

    def ordered(self) -> list[Run]:
        """Every run, the newest first."""
        with self.lock:
            return sorted(self.runs.values(), key=lambda run: -run.order)

    def runs_of(self, name: str) -> list[Run]:
        """Every run of a name, the highest number first."""
        found = [run for run in self.ordered() if run.name == name]
        return sorted(found, key=lambda run: [int(part) for part in run.number.split(".")], reverse=True)

    def find(self, w: str, missing: int = 404) -> Run:
        """The run that `name.run`, a name (its newest run) or an id means."""
        found = self._found(w)
        if found is None:
            raise unknown(w, missing)
        self.engine.look(self, found)
        return found

    def _found(self, w: str) -> Run | None:
        if _UUID.fullmatch(w):
            return self.runs.get(w)
        name, _, number = w.partition(".")
        runs = self.runs_of(name)
        if number:
            return next((run for run in runs if run.number == number), None)
        return runs[0] if runs else None

    def add(self, name: str, number: str, specification: dict[str, Any], workspace: Path | None = None) -> Run:
        """A new run. The workspace of a restarted one is that of the first."""
        identity = self.identities()
        run = Run(
            id=identity,
            name=name,
            number=number,
            order=len(self.runs),
            specification=specification,
            workspace=workspace or self.directory / "workflows" / identity,
            created=self.now(),
        )
        run.workspace.mkdir(parents=True, exist_ok=True)
        self.runs[identity] = run
        return run

    def disk_usage(self) -> int:
        return sum(files.used(place) for place in {run.workspace for run in self.runs.values()} if place.is_dir())

    def processor_usage(self) -> int:
        """Milliseconds of all runs."""
        total = 0.0
        for run in self.runs.values():
            if run.started is not None:
                ended = run.finished or run.stopped or self.now()
                total += ended - run.started
        return int(total * 1000)

    def demand_quota(self, more: int = 0, action: str = "This action") -> None:
        """Raises Refusal where the user has, or would have, used more than may be."""
        limit = self.site.disk_limit
        if 0 < limit < self.disk_usage() + more:
            shown = things.size(limit)["human_readable"]
            raise Refusal(
                403, f"{action} would exceed the disk quota limit ({shown}). Aborting. Please free some space"
            )
        if 0 < self.site.cpu_limit <= self.processor_usage():
            raise Refusal(403, "User quota exceeded.\nResource: cpu")


def await_end(standin: Standin, w: str, seconds: float = 120.0) -> Run:
    """Waits until a run has ended, for tests."""
    deadline = time.monotonic() + seconds
    while (run := standin.find(w)).alive:
        assert time.monotonic() < deadline, f"{run.full} is still {run.status} after {seconds} s:\n{run.log}"
        time.sleep(0.05)
    return run


def body_of(request: Request) -> Any:
    """The JSON of a request; None where there is none."""
    if not request.body:
        return None
    try:
        return json.loads(request.body)
    except ValueError:
        raise Refusal(
            500, "400 Bad Request: The browser (or proxy) sent a request that this server could not understand."
        ) from None
