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

from recast_dm.engine import events
from recast_dm.model import DockerEnvironment, HostEnvironment, Step


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
    match event:
        case events.RunStarted():
            return {"event": "run-started", "runtime": event.runtime}
        case events.StepsPlanned():
            return {
                "event": "planned",
                "complete": event.complete,
                "steps": [_planned(step) for step in event.steps],
            }
        case events.StepStarted():
            return {"event": "started", "step": str(event.step), "image": event.image, "log": event.log.parent.name}
        case events.StepRetried():
            return {"event": "retried", "step": str(event.step), "reason": event.reason, "attempt": event.attempt}
        case events.StepFinished():
            return {"event": event.how, "step": str(event.step), "seconds": round(event.seconds, 3)}
        case events.StepEnded():
            return {"event": "failed", "step": str(event.step), "message": event.message, "reason": event.reason}
        case events.Instructed():
            return {"event": "instructed", "step": str(event.step), "instructions": event.instructions}
        case events.Warned():
            return {"event": "warning", "message": event.message}
        case events.RunFinished():
            return {"event": "run-finished", "seconds": round(event.seconds, 3)}
    return None  # what a step says is in its log


def _planned(step: Step) -> dict[str, Any]:
    environment = step.spec.environment
    where = None
    if isinstance(environment, DockerEnvironment):
        where = environment.reference
    elif isinstance(environment, HostEnvironment):
        where = "host"
    return {"step": str(step.id), "depends_on": [str(source) for source in step.depends_on], "in": where}
