"""`recast-dm status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, reana, view
from recast_dm.errors import StepFailed

if TYPE_CHECKING:
    from recast_dm.engine.events import How
    from recast_dm.engine.history import Run, StageHistory, State, StepHistory

HEAD = ("stage", "state", "done", "cached", "kept", "running", "failed", "elapsed")


INTERVAL = 1.0
"""Seconds between two looks at a run here."""
Watch = Annotated[bool, typer.Option("--watch", help="Go on until it has ended; exit code 1 where that is no success.")]


def status(
    run: chosen.RunArgument = None,
    option: reana.WorkflowOption = None,
    watch: Watch = False,
    json: options.Json = False,
) -> None:
    """Say how far a run is, stage by stage, and what failed: here, or at REANA.

    \b
    Examples:
      recast-dm status build/runs/latest --json
      recast-dm status my-search-3fa94c1b.2 --watch
    """
    workflow = reana.meant(str(run), option) if run and option else reana.distant(run, option)
    if workflow is not None:
        from recast_dm.cli import reana_status

        reana_status.status(workflow, watch=watch, json=json)
        return
    found = _watched(run) if watch else chosen.run(run)
    _print(found, json)
    if watch and found.state != "finished":
        raise typer.Exit(StepFailed.exit_code)


def _watched(word: Path | None) -> Run:
    """Looks until no runner works in a run any more."""
    said = ""
    while True:
        found = chosen.run(word)
        line = f"{sum(step.state == 'finished' for step in found.steps)}/{len(found.steps)} steps"
        if line != said:
            view.say(f"{found.directory}: {found.state}, {line}")
            said = line
        if not found.locked:
            return found
        time.sleep(INTERVAL)


def _print(found: Run, json: bool) -> None:
    if json:
        view.document(document(found))
        return
    view.out(view.table(_about(found)))
    stages = found.stages()
    if stages:
        view.out("\n" + view.table([_row(stage) for stage in stages], head=HEAD))
    failed = [step for step in found.steps if step.state == "failed"]
    if failed:
        rows = [(str(step.id), step.reason or step.message, str(step.log or "")) for step in failed]
        view.out("\n" + view.table(rows, head=("failed", "reason", "log")))


def duration(seconds: float | None) -> str:
    """Seconds for people.

    >>> duration(0.82), duration(75), duration(7384), duration(None)
    ('0.8 s', '1 min 15 s', '2 h 03 min', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(seconds, 0.0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def what(run: Run) -> str:
    """What a run is of: `toy, spin1-axial: m_med=2000, m_dm=1`."""
    about = run.about
    point = ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in _point(about).items())
    parts = [str(about[key]) for key in ("analysis", "model") if about.get(key)]
    return ": ".join(part for part in (", ".join(parts), point) if part)


def _point(about: Any) -> dict[str, Any]:
    parameters = about.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _about(run: Run) -> list[tuple[str, str]]:
    who = "a runner works in it now" if run.locked else "no runner works in it"
    total = f"{len(run.steps)}{'' if run.complete or run.state == 'finished' else '+'}"
    done = sum(step.state == "finished" for step in run.steps)
    rows = [("run", str(run.directory)), ("of", what(run)), ("state", f"{run.state}: {done}/{total} steps; {who}")]
    rows += [("reason", run.message)] if run.message else []
    rows += [("elapsed", duration(run.elapsed))] if run.elapsed is not None else []
    return [row for row in rows if row[1]] + [("warning", text) for text in run.warnings]


def _row(stage: StageHistory) -> tuple[str, ...]:
    done = f"{stage.count('finished')}/{len(stage.steps)}"
    numbers = (stage.done("cached"), stage.done("kept"), stage.count("running"), stage.count("failed"))
    return (stage.name, stage.state, done, *(str(n or "") for n in numbers), duration(stage.elapsed))


# --- the document ----------------------------------------------------------------------------------------------------


def document(run: Run) -> dict[str, Any]:
    """The state of a run (schema `recast-dm/status/1`)."""
    return {
        "schema": "recast-dm/status/1",
        **summary(run),
        "message": run.message or None,
        "warnings": list(run.warnings),
        "stages": [_stage(stage) for stage in run.stages()],
        "failed": [_failed(step) for step in run.steps if step.state == "failed"],
        "running": [_running(step, run) for step in run.steps if step.state == "running"],
    }


def summary(run: Run) -> dict[str, Any]:
    """What `status` and `ls` say of a run. Times are in seconds."""
    return {
        "run": str(run.directory),
        "id": run.about.get("id"),
        "analysis": run.about.get("analysis"),
        "model": run.about.get("model"),
        "parameters": run.about.get("parameters"),
        "state": run.state,
        "locked": run.locked,
        "complete": run.complete,
        "steps": len(run.steps),
        "finished": sum(step.state == "finished" for step in run.steps),
        "began": run.began,
        "elapsed": _rounded(run.elapsed),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _stage(stage: StageHistory) -> dict[str, Any]:
    states: tuple[State, ...] = ("finished", "running", "queued", "pending", "stopped", "failed")
    hows: tuple[How, ...] = ("ran", "cached", "kept")
    return {
        "stage": stage.name,
        "state": stage.state,
        "total": len(stage.steps),
        **{state: stage.count(state) for state in states},
        **{how: stage.done(how) for how in hows},
        "elapsed": _rounded(stage.elapsed),
    }


def _failed(step: StepHistory) -> dict[str, Any]:
    log = str(step.log) if step.log else None
    return {"step": str(step.id), "reason": step.reason, "message": step.message, "log": log}


def _running(step: StepHistory, run: Run) -> dict[str, Any]:
    log = str(step.log) if step.log else None
    return {"step": str(step.id), "seconds": _rounded(run.at - step.began if step.began else None), "log": log}
