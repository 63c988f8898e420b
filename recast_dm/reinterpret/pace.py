"""How far a scan is, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from recast_dm.engine import events
from recast_dm.reinterpret.apart import STAGE

EVERY = 15.0
"""Seconds between two notes."""


@dataclass(slots=True)
class Pace:
    """An observer that passes everything on, and now and then notes how many points are done.

    A point is done when a step of `stage` (the one that sets its limit) is. What was finished before costs no time, so
    only points that were run count for the forecast.
    """

    observer: events.Observer
    stage: str
    points: int
    clock: Callable[[], float] = time.monotonic
    _done: int = 0
    _ran: int = 0
    _began: float | None = None
    _noted: float = field(default=0.0)

    def __call__(self, event: events.Event) -> None:
        self.observer(event)
        if isinstance(event, events.StepStarted) and self._began is None:
            self._began = self._noted = self.clock()
        if isinstance(event, events.StepFinished) and event.step.names == f"{STAGE}/{self.stage}":
            self._done += 1
            self._ran += event.how == "ran"
            self._note()

    def _note(self) -> None:
        now = self.clock()
        if self._began is None or not self._ran or now - self._noted < EVERY or self._done >= self.points:
            return
        self._noted = now
        left = (now - self._began) / self._ran * (self.points - self._done)
        self.observer(events.Noted(f"{self._done} of {self.points} points; about {shown(left)} left"))


def shown(seconds: float) -> str:
    """A time as people say it.

    >>> shown(42), shown(200), shown(8000)
    ('42 s', '3 min', '2.2 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
