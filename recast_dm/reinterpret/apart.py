"""The points of a scan as workflows of their own, for a backend that executes elsewhere: some at once, each resumable.

A point's run directory is `DIR/point/<n>`, so that its files lie where those of a scattered scan lie.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast_dm.backends import Backend
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.errors import Interrupted, RecastError
from recast_dm.model import StepId
from recast_dm.reinterpret.planned import Planned

STAGE = "point"
"""What the points of a scan are called: `point/<n>/` holds the files of the n-th."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a point's workflow ended: what it finished, or why it did not."""

    finished: Finished | None
    error: RecastError | None = None


def place(directory: Path, number: int) -> Path:
    return directory / STAGE / str(number)


def execute(
    plans: Sequence[Planned], backend: Backend, directory: Path, observer: events.Observer, at_once: int
) -> tuple[Ended, ...]:
    """Executes every plan, at most `at_once` at the same time. A point that fails leaves the others.

    Raises Interrupted on a KeyboardInterrupt: what was begun elsewhere goes on there, and is found again.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Ended | BaseException]] = queue.SimpleQueue()
    for number in range(len(plans)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((number, _ended(plans[number], backend, place(directory, number), _Scoped(observer, number))))

    # Daemons: a point that waits for a distant cluster must not keep an interrupted program alive.
    for _ in range(min(max(1, at_once), len(plans))):
        threading.Thread(target=work, daemon=True, name="point").start()
    found: dict[int, Ended] = {}
    try:
        while len(found) < len(plans):
            number, ended = done.get()
            if isinstance(ended, BaseException):
                raise ended
            found[number] = ended
            observer(events.Noted(f"{len(found)} of {len(plans)} points: {_said(number, ended)}"))
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted; {len(found)} of {len(plans)} points are here, and what was submitted goes on there",
            signal_number=getattr(error, "signal_number", 2),
            hint="the same command with --workdir goes on from here",
        ) from None
    return tuple(found[number] for number in range(len(plans)))


def _ended(plan: Planned, backend: Backend, directory: Path, observer: events.Observer) -> Ended | BaseException:
    try:
        return Ended(backend.execute(plan.work, directory=directory, observer=observer))
    except RecastError as error:
        return Ended(None, error)
    except BaseException as error:  # noqa: BLE001  # a defect of ours: raised again where somebody looks
        return error


def _said(number: int, ended: Ended) -> str:
    if ended.error is None:
        return f"point {number} is here"
    return f"point {number} failed: {ended.error.message}"


def scoped(step: StepId, number: int) -> StepId:
    """A step of a point's workflow, as the scan calls it.

    >>> str(scoped(StepId("limit"), 3))
    'point/3/limit/0'
    """
    return StepId(f"{STAGE}/{number}/{step.stage}", step.index)


@dataclass(frozen=True, slots=True)
class _Scoped:
    """Tells a scan's observer what happens at one of its points."""

    observer: events.Observer
    number: int

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.RunStarted | events.RunFinished | events.RunFailed):
            return  # of one point, and this is about all of them
        if isinstance(event, events.StepsPlanned):
            event = replace(event, steps=self._steps(event), complete=False, inits=())
        elif isinstance(event, events.Warned | events.Noted):
            event = replace(event, message=f"point {self.number}: {event.message}")
        elif not isinstance(event, events.ImagesLoading):
            changed: Mapping[str, Any] = {"step": scoped(event.step, self.number)}
            event = replace(event, **changed)
        self.observer(event)

    def _steps(self, event: events.StepsPlanned) -> tuple[Any, ...]:
        return tuple(replace(step, id=scoped(step.id, self.number)) for step in event.steps)
