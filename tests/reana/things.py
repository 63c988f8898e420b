"""What the stand-in keeps: workflows with their jobs, and the user's secrets; and how REANA writes sizes and times."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

USER = "00000000-0000-0000-0000-000000000000"
BLOCK = 4096


@dataclass(slots=True, kw_only=True)
class Job:
    """A step that was started."""

    id: str
    step: str
    image: str
    command: str
    backend_id: str
    status: str = "running"
    log: str = ""
    started: float = 0.0
    finished: float | None = None

    def document(self, workflow: str) -> dict[str, Any]:
        return {
            "workflow_uuid": workflow,
            "job_name": self.step,
            "compute_backend": "Kubernetes",
            "backend_job_id": self.backend_id,
            "docker_img": self.image,
            "cmd": self.command,
            "status": self.status,
            "logs": self.log,
            "started_at": moment(self.started),
            "finished_at": moment(self.finished),
        }


@dataclass(slots=True, kw_only=True)
class Run:
    """A workflow: a run of a name. `number` is `1`, `1.1` for its first restart; `order` counts them all."""

    id: str
    name: str
    number: str
    order: int
    specification: dict[str, Any]
    workspace: Path
    created: float
    status: str = "created"
    parameters: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    queued: float | None = None
    started: float | None = None
    finished: float | None = None
    stopped: float | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    total: int = 0
    log: str = ""
    session: str | None = None
    """The kind of the interactive session that is open in its workspace."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def full(self) -> str:
        return f"{self.name}.{self.number}"

    def parameters_given(self) -> dict[str, Any]:
        """What it runs with: the specification's parameters, and over them those of the start."""
        return {**((self.specification.get("inputs") or {}).get("parameters") or {}), **self.parameters}

    @property
    def alive(self) -> bool:
        return self.status in ("queued", "pending", "running")

    def progress(self, *, long: bool = True) -> dict[str, Any]:
        times = {
            "run_started_at": moment(self.started),
            "run_finished_at": moment(self.finished),
            "run_stopped_at": moment(self.stopped),
        }
        if not long:
            return times
        last = list(self.jobs.values())[-1] if self.jobs else None
        found: dict[str, Any] = {
            name: self._counted([job.id for job in self.jobs.values() if job.status == name])
            for name in ("failed", "finished", "running")
        }
        return {
            **times,
            **found,
            "total": {"job_ids": [], "total": self.total},
            "current_command": last.command if last else None,
            "current_step_name": last.step if last else None,
        }

    @staticmethod
    def _counted(ids: list[str]) -> dict[str, Any]:
        return {"job_ids": ids, "total": len(ids)}

    def job_logs(self, steps: list[str] | None = None) -> dict[str, Any]:
        return {job.id: job.document(self.id) for job in self.jobs.values() if not steps or job.step in steps}

    def logs(self, steps: list[str] | None = None) -> str:
        return json.dumps(
            {
                "workflow_logs": "" if steps else self.log,
                "job_logs": self.job_logs(steps),
                "engine_specific": None,
            }
        )

    def say(self, line: str, when: float) -> None:
        """Adds a line to what the engine says."""
        shown = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        self.log += f"{shown} | stand-in | MainThread | INFO | {line}\n"


def moment(seconds: float | None) -> str | None:
    """A time as REANA writes it: UTC, without saying so.

    >>> moment(0)
    '1970-01-01T00:00:00'
    """
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def size(count: int) -> dict[str, Any]:
    """A number of bytes, for programs and for people.

    >>> size(211)["human_readable"], size(10319)["human_readable"], size(307200)["human_readable"]
    ('211 Bytes', '10.08 KiB', '300 KiB')
    """
    return {"human_readable": _shown(count), "raw": count}


def no_size() -> dict[str, Any]:
    """A size that nobody has asked for."""
    return {"human_readable": "", "raw": -1}


def _shown(count: int) -> str:
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{round(count / 1024**power, 2):g} {unit}"
    return f"{count} Bytes"


def processor_time(milliseconds: int) -> dict[str, Any]:
    """A time of processors, for programs and for people.

    >>> processor_time(88369)["human_readable"]
    '1m 28s'
    """
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n]
    return {"human_readable": " ".join(parts) or "0s", "raw": milliseconds}
