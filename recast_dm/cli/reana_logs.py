"""`recast-dm logs` of a workflow at REANA."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from recast_dm.cli import reana, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.values import Job, Logs


def logs(meant: reana.Meant, step: str | None, *, follow: bool, json: bool) -> None:
    """Prints what the steps of a workflow said: without `step`, of those that failed, else run, else all."""
    server = reana.connected()
    with reana.asking(server, meant.name):
        if follow:
            _follow(server, meant.name, step)
            return
        found = server.logs(meant.name)
    jobs = _of_step(found.jobs, step)
    if json:
        view.document(document(meant.name, found, jobs))
        return
    _show(meant.name, found, jobs if step else _interesting(jobs), step)


def _of_step(jobs: Iterable[Job], step: str | None) -> list[Job]:
    """The jobs of a step: by REANA's name for it, or by ours. Raises UsageError where it has none.

    REANA calls a stage's only step `fit`, and one of several `fit_3`; we write `fit/0` and `fit/3`. Of a stage in a
    sub-workflow it knows the last name alone: `scan/2/fit/0` is every `fit` there.
    """
    known = list(jobs)
    if step is None:
        return known
    way, _, number = step.rpartition("/")
    stage = way.rpartition("/")[2]
    wanted = {step, f"{stage}_{number}", *([stage] if number == "0" else [])} if way else {step}
    found = [job for job in known if job.step in wanted]
    if not found:
        names = ", ".join(dict.fromkeys(job.step for job in known)) or "none"
        raise UsageError(f"{step!r} is no step that has a job there yet", hint=f"steps with jobs: {reana.plain(names)}")
    return found


def _interesting(jobs: list[Job]) -> list[Job]:
    failed = [job for job in jobs if job.status == "failed"]
    return failed or [job for job in jobs if job.status == "running"] or jobs


def _show(w: str, found: Logs, jobs: list[Job], step: str | None) -> None:
    for job in jobs:
        view.say(f"{reana.plain(job.step)}: {job.status}, in {reana.plain(job.image)}")
        _say(job.log, job.step if len(jobs) > 1 else "")
    if step is None and not any(job.status == "failed" for job in jobs):
        _say(found.workflow, "workflow" if jobs else "")
        if not jobs:
            _say(found.engine, "engine" if found.workflow else "")
    if not jobs and not found.workflow and not found.engine:
        view.say(f"no step of {w} has said anything yet")


def _say(text: str, name: str) -> None:
    for line in reana.censored(text).splitlines():
        view.out(f"{name} | {line}" if name else line)


def _follow(server: Reana, w: str, step: str | None) -> None:
    """Prints what is new until the workflow has ended: REANA does not stream, so it is asked again and again."""
    from recast_dm.cli.logs import wait

    told: dict[str, str] = {}
    while True:
        ended = server.status(w).ended  # asked before, so that the last words are read after the end
        found = server.logs(w)
        jobs = [job for job in found.jobs if step is None or _is(job, step)]
        for key, name, text in [*((job.id, job.step, job.log) for job in jobs), ("", "workflow", found.workflow)]:
            if key or step is None:
                _say(_new(told.get(key, ""), text, last=ended), name if step is None else "")
                told[key] = text if ended else text[: text.rfind("\n") + 1]
        sys.stdout.flush()
        if ended:
            return
        wait(reana.POLL)


def _is(job: Job, step: str) -> bool:
    try:
        return bool(_of_step([job], step))
    except UsageError:
        return False


def _new(told: str, text: str, *, last: bool) -> str:
    """The whole lines of a text that were not told; with `last`, the unfinished one too.

    >>> _new("a\\n", "a\\nb\\nc", last=False), _new("a\\n", "a\\nb\\nc", last=True), _new("a\\n", "b\\n", last=False)
    ('b\\n', 'b\\nc', 'b\\n')
    """
    rest = text.removeprefix(told)
    return rest if last else rest[: rest.rfind("\n") + 1]


def document(w: str, found: Logs, jobs: Iterable[Job]) -> dict[str, Any]:
    """What a workflow and its steps said (schema `recast-dm/reana-logs/1`)."""
    return {
        "schema": "recast-dm/reana-logs/1",
        "workflow": w,
        "said": reana.censored(found.workflow),
        "engine": reana.censored(found.engine),
        "logs": [
            {
                "step": job.step,
                "id": job.id,
                "state": job.status,
                "command": reana.censored(job.command),
                "text": reana.censored(job.log),
            }
            for job in jobs
        ],
    }
