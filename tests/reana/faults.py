"""Seeded faults between a client and the server: answers that are refused, late, cut, lost, or given twice.

A schedule is a seed: the same seed gives the same faults at the same requests. Time is a clock of its own, so that
waiting costs none. Errors carry the address with its token, as those of the real transport do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import urlencode

import requests

from tests.reana.wire import Handle, Request, Response

Fault: TypeAlias = Callable[["Faults", Request], Response]


class Killed(BaseException):
    """The client dies here: nothing of it may run on."""


class VirtualClock:
    """A clock that goes when somebody sleeps."""

    def __init__(self) -> None:
        self._now = 1_800_000_000.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


@dataclass
class Faults:
    """Stands before a server. Each request meets a fault with the probability `share`, at most `most` of them.

    `elsewhere` is what another client does meanwhile; it is done once at most, in the middle of a request.
    """

    handle: Handle
    seed: int
    clock: VirtualClock
    share: float = 0.1
    most: int = 40
    deadly: bool = True
    elsewhere: Callable[[], object] | None = None
    met: Counter[str] = field(default_factory=Counter)
    calm: bool = False

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, request: Request) -> Response:
        self.clock.sleep(self._random.uniform(0.005, 0.2))
        if self.calm or sum(self.met.values()) >= self.most or self._random.random() >= self.share:
            return self.handle(request)
        name = self._random.choices(list(_FAULTS), [weight for weight, _ in _FAULTS.values()])[0]
        self.met[name] += 1
        return _FAULTS[name][1](self, request)

    # --- no answer of the server's own -----------------------------------------------------------------------------

    def busy(self, _: Request) -> Response:
        return replace(Response.json(429, {"message": "20 per 1 second"}), headers=self._waiting())

    def broken(self, _: Request) -> Response:
        status = self._random.choice((500, 502, 503, 504))
        if status == 500:
            return Response.json(500, {"message": "Internal controller error."})
        headers = {"Content-Type": "text/html", **({} if self._random.random() < 0.5 else self._waiting())}
        return Response(status=status, body=b"<html><h1>Bad Gateway</h1></html>", headers=headers)

    def unreachable(self, request: Request) -> Response:
        raise requests.ConnectionError(self._said(request, "NewConnectionError: Connection refused"))

    def too_late_to_connect(self, request: Request) -> Response:
        self.clock.sleep(10.0)
        raise requests.ConnectTimeout(self._said(request, "ConnectTimeoutError"))

    # --- an answer that is lost ------------------------------------------------------------------------------------

    def lost(self, request: Request) -> Response:
        self.handle(request)
        return self._lost(request)

    def _lost(self, request: Request) -> Response:
        kind = self._random.randrange(3)
        if kind == 0:
            self.clock.sleep(120.0)
            raise requests.ReadTimeout(self._said(request, "ReadTimeoutError"))
        if kind == 1:
            raise requests.ConnectionError(self._said(request, "RemoteDisconnected"))
        return Response(status=504, body=b"<html>Gateway Time-out</html>", headers={"Content-Type": "text/html"})

    def cut(self, request: Request) -> Response:
        """Half an answer."""
        answer = self.handle(request)
        return replace(answer, cut=self._random.randrange(len(answer.body) + 1)) if answer.body else answer

    def slow(self, request: Request) -> Response:
        answer = self.handle(request)
        self.clock.sleep(self._random.uniform(1, 100))
        return answer

    # --- a request that comes otherwise ----------------------------------------------------------------------------

    def half(self, request: Request) -> Response:
        """The connection ends while the request is on its way: the server may have got a part of it."""
        if request.body and self._random.random() < 0.7:
            self.handle(replace(request, body=request.body[: self._random.randrange(len(request.body))]))
        raise requests.ConnectionError(self._said(request, "BrokenPipeError"))

    def half_and_well(self, request: Request) -> Response:
        """An upload of which only a part arrives, and which the server says has arrived."""
        if request.method == "POST" and request.path.endswith("/workspace") and request.body:
            return self.handle(replace(request, body=request.body[: self._random.randrange(len(request.body))]))
        return self.handle(request)

    def twice(self, request: Request) -> Response:
        """Something between sends the request twice, and gives back one of the answers."""
        answers = [self.handle(request), self.handle(request)]
        return self._random.choice(answers)

    # --- other clients ---------------------------------------------------------------------------------------------

    def meanwhile(self, request: Request) -> Response:
        """Another client does its own before this request arrives, or before its answer does."""
        other, self.elsewhere = self.elsewhere, None
        if other is None:
            return self.handle(request)
        if self._random.random() < 0.5:
            other()
            return self.handle(request)
        answer = self.handle(request)
        other()
        return answer

    def killed(self, request: Request) -> Response:
        """The client is killed while it waits for the answer."""
        if self._random.random() < 0.6:
            self.handle(request)
        if self.deadly:
            raise Killed
        return self._lost(request)

    def _waiting(self) -> Mapping[str, str]:
        return {"Retry-After": str(self._random.choice((0, 1, 5)))}

    def _said(self, request: Request, why: str) -> str:
        where = f"{request.path}?{urlencode(dict(request.query))}"
        return (
            f"HTTPSConnectionPool(host='reana.example.org', port=443): Max retries exceeded with url: {where} ({why})"
        )


_FAULTS: Mapping[str, tuple[int, Fault]] = {
    "busy": (3, Faults.busy),
    "broken": (3, Faults.broken),
    "unreachable": (2, Faults.unreachable),
    "too late to connect": (1, Faults.too_late_to_connect),
    "lost": (5, Faults.lost),
    "cut": (3, Faults.cut),
    "slow": (1, Faults.slow),
    "half": (2, Faults.half),
    "half, and well": (1, Faults.half_and_well),
    "twice": (2, Faults.twice),
    "meanwhile": (2, Faults.meanwhile),
    "killed": (2, Faults.killed),
}
NAMES = tuple(_FAULTS)
