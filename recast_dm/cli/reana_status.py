"""`recast-dm status` of a workflow at REANA."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from recast_dm.cli import reana, view
from recast_dm.errors import StepFailed

if TYPE_CHECKING:
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.judge import Verdict
    from recast_dm.backends.reana.values import Job, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A workflow as it is there now, and what that comes to."""

    status: Status
    verdict: Verdict
    url: str


def status(meant: reana.Meant, *, watch: bool, json: bool) -> None:
    """Prints how far a workflow is. Watched to its end, one that is no success is exit code 1."""
    server = reana.connected()
    with reana.asking(server, meant.name):
        if watch:
            watched(server, meant.name, view.say)
        seen = look(server, meant.name)
    if json:
        view.document(document(seen))
    else:
        _show(seen)
    if watch and not seen.verdict.success:
        raise typer.Exit(StepFailed.exit_code)


def look(server: Reana, w: str) -> Seen:
    """What a workflow's state, steps and files say together. Its files are listed only where it has ended."""
    from recast_dm.backends.reana.judge import judge

    found = server.status(w)
    outputs, there = (declared(server, w), [each.path for each in server.files(w)]) if _listed(found) else ([], [])
    return Seen(status=found, verdict=judge(found, outputs, there), url=server.url)


def _listed(found: Status) -> bool:
    return found.state in ("finished", "failed")


def declared(server: Reana, w: str) -> list[str]:
    """The outputs that a workflow declares: files and directories of its workspace."""
    outputs = (server.specification(w).get("specification") or {}).get("outputs") or {}
    return [str(each) for kind in ("files", "directories") for each in outputs.get(kind) or ()]


def watched(server: Reana, w: str, told: Callable[[str], object]) -> Status:
    """Looks until a workflow has ended; `told` hears a line whenever it got further."""
    said = ""
    while True:
        found = server.status(w)
        line = _line(found)
        if line != said:
            told(line)
            said = line
        if found.ended:
            return found
        time.sleep(reana.POLL)


def _line(found: Status) -> str:
    progress = found.progress
    numbers = f"{progress.finished}/{progress.total} steps" if progress.total else ""
    running = f"{progress.running} running" if progress.running else ""
    failed = f"{progress.failed} failed" if progress.failed else ""
    return f"{found.name}: {', '.join(filter(None, (found.state, numbers, running, failed)))}"


# --- for people ------------------------------------------------------------------------------------------------------


def _show(seen: Seen) -> None:
    from recast_dm.cli.status import duration

    found, progress = seen.status, seen.status.progress
    rows = [
        ("workflow", found.name),
        ("at", seen.url),
        ("state", _line(found).partition(": ")[2]),
        ("outcome", "" if seen.verdict.outcome in ("open", found.state) else seen.verdict.outcome),
        ("reason", seen.verdict.why),
        ("created", found.created),
        ("started", progress.started or ""),
        ("ended", progress.ended or progress.stopped or ""),
        ("elapsed", duration(_elapsed(found))),
    ]
    view.out(view.table((name, reana.plain(cell)) for name, cell in rows if cell))
    if found.jobs:
        steps = [(*map(reana.plain, (j.step, j.status, j.backend)), duration(_seconds(j))) for j in found.jobs]
        view.out("\n" + view.table(steps, head=("step", "state", "in", "elapsed")))


def _elapsed(found: Status) -> float | None:
    """Seconds between its first and its last moment; None while it runs: clocks of two machines differ."""
    from recast_dm.backends.reana.values import moment

    begun = moment(found.progress.started)
    ended = moment(found.progress.ended or found.progress.stopped)
    return (ended - begun).total_seconds() if begun and ended else None


def _seconds(job: Job) -> float | None:
    return job.seconds if job.started and job.finished else None


# --- the document ----------------------------------------------------------------------------------------------------


def document(seen: Seen) -> dict[str, Any]:
    """The state of a workflow at REANA (schema `recast-dm/reana-status/1`). Times are as REANA writes them, in UTC."""
    found, progress = seen.status, seen.status.progress
    return {
        "schema": "recast-dm/reana-status/1",
        "workflow": found.name,
        "id": found.id,
        "server": seen.url,
        "state": found.state,
        "outcome": seen.verdict.outcome,
        "reason": seen.verdict.why or None,
        "missing": list(seen.verdict.missing),
        "created": found.created or None,
        "started": progress.started,
        "ended": progress.ended or progress.stopped,
        "elapsed": _elapsed(found),
        "steps": {name: getattr(progress, name) for name in ("total", "finished", "running", "failed")},
        "jobs": [_job(job) for job in found.jobs],
    }


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "step": job.step,
        "state": job.status,
        "in": job.backend,
        "image": job.image,
        "started": job.started,
        "ended": job.finished,
        "seconds": _seconds(job),
    }
