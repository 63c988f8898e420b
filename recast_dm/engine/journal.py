"""What happened in a run, one JSON line an event, in `DIR/.events.jsonl`: for `status`, `logs` and other programs.

The records are the truth about what is finished; this file is only told, never asked, by the engine, and it may lose
its last line when the power goes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from recast_dm import store
from recast_dm.engine import events
from recast_dm.model import Step, StepId


class Journal:
    """An observer that writes events down, and hands them on."""

    def __init__(self, path: Path, then: events.Observer) -> None:
        self._path = path
        self._then = then
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Journal:
        with contextlib.suppress(OSError):  # a full disk stops the work, not the telling
            self._file = self._path.open("ab", buffering=0)
            if store.tail(self._path, 1) not in (b"", b"\n"):  # the runner before was killed in the middle of a line
                self._file.write(b"\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __call__(self, event: events.Event) -> None:
        line = _line(event)
        if line is not None and self._file is not None:
            data = json.dumps({"time": round(time.time(), 3), **line}, ensure_ascii=True).encode() + b"\n"
            with self._lock, contextlib.suppress(OSError, ValueError):
                self._file.write(data)
        self._then(event)


def _line(event: events.Event) -> dict[str, Any] | None:
    """What is written down of an event; nothing of what a step says, which is in its log."""
    if isinstance(event, events.StepFinished):
        return {"event": event.how, "step": str(event.step), "seconds": round(event.seconds, 3)}
    if isinstance(event, events.StepsPlanned):
        steps = [*(_planned(step) for step in event.steps), *(_init(step) for step in event.inits)]
        return {"event": "planned", "complete": event.complete, "steps": steps}
    name = _NAMES.get(type(event))
    if name is None:
        return None
    return {"event": name, **{key: _shown(event, key) for key in _KEYS[name]}}


_NAMES: dict[type, str] = {
    events.RunStarted: "run-started",
    events.StepStarted: "started",
    events.StepRetried: "retried",
    events.StepEnded: "failed",
    events.Instructed: "instructed",
    events.Warned: "warning",
    events.RunFailed: "run-failed",
    events.RunFinished: "run-finished",
}
_KEYS = {
    "run-started": ("runtime",),
    "started": ("step", "image", "log"),
    "retried": ("step", "reason", "attempt"),
    "failed": ("step", "message", "reason"),
    "instructed": ("step", "instructions"),
    "warning": ("message",),
    "run-failed": ("message",),
    "run-finished": ("seconds",),
}


def _shown(event: events.Event, key: str) -> Any:
    """An event's field; of a log, the name of the attempt that it belongs to."""
    value = getattr(event, key)
    if isinstance(value, Path):
        return value.parent.name
    return str(value) if isinstance(value, StepId) else value


def _init(step: Step) -> dict[str, Any]:
    return {"step": str(step.id), "depends_on": [str(source) for source in step.depends_on], "init": True}


def _planned(step: Step) -> dict[str, Any]:
    sources = [str(source) for source in step.depends_on]
    return {"step": str(step.id), "depends_on": sources, "in": step.spec.runs_in}
