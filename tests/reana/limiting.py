"""The limit of requests a second, and the headers that tell of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

DEFAULT = 400
"""What the headers say where the limit is switched off, as on the recorded server."""


class Rate:
    """At most `limit` requests in any second; None: no limit."""

    def __init__(self, limit: int | None, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether one more request is answered now; it counts if so."""
        if self._limit is None:
            return True
        now = self._now()
        with self._lock:
            while self._times and self._times[0] <= now - 1.0:
                self._times.popleft()
            if len(self._times) >= self._limit:
                return False
            self._times.append(now)
            return True

    def headers(self) -> dict[str, str]:
        limit = self._limit or DEFAULT
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - len(self._times) - 1)),
            "X-RateLimit-Reset": str(int(self._now()) + 1),
            "Retry-After": "1",
        }
