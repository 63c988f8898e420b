"""`recast-dm ls`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, reana, view

if TYPE_CHECKING:
    from recast_dm.engine.history import Run, StepHistory

Step = Annotated[str | None, typer.Argument(metavar="[STEP]", help="One step, such as generate/0.")]
Where = Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run directory, or a name below build/runs.")]


def ls(
    run: Where = None,
    step: Step = None,
    option: reana.WorkflowOption = None,
    at_reana: Annotated[bool, typer.Option("--reana", help="Your workflows at REANA; RUN is a name of them.")] = False,
    json: options.Json = False,
) -> None:
    """List the steps of a run and their files, or the runs there are: here, or at REANA.

    Without RUN, the runs below build/runs. Of a workflow at REANA, STEP is a path or pattern of its files.

    \b
    Examples:
      recast-dm ls build/runs/latest generate/0 --json
      recast-dm ls --reana
    """
    from recast_dm.engine import history

    workflow = None if at_reana else reana.distant(run, option)
    if at_reana or workflow is not None:
        _at_reana(workflow, run, step, option, json)
        return
    if run is None:
        runs = [history.read(directory) for directory in history.runs_in(options.RUNS)]
        _runs(runs, json)
        return
    found, only = chosen.run_and_step(run, step)
    steps = [(one, found.record(one.id)) for one in (found.steps if only is None else (only,))]
    if json:
        view.document(document(found, steps))
    elif only is None:
        rows = [row for one, record in steps for row in _rows(one, record)]
        head = ("step", "state", "how", "s", "file", "bytes", "sha256")
        view.out(view.table(rows, head=head) if rows else f"{found.directory} has no step yet")
    else:
        _one(found, *steps[0])


def _at_reana(
    workflow: reana.Meant | None, run: Path | None, pattern: str | None, named: str | None, json: bool
) -> None:
    """`named` is the workflow of -w: then the first word is no workflow, but the pattern."""
    from recast_dm.cli import reana_ls

    word = str(run) if run else None
    if workflow is None:
        reana_ls.workflows(word, json=json)
    else:
        reana_ls.files(workflow, pattern if named is None else word, json=json)


def _runs(runs: list[Run], json: bool) -> None:
    from recast_dm.cli import status

    if json:
        view.document({"schema": "recast-dm/ls/1", "runs": [status.summary(run) for run in runs], "steps": []})
        return
    if not runs:
        view.say(f"there is no run below {options.RUNS}")
        return
    rows = [
        (
            str(run.directory),
            run.state,
            f"{sum(step.state == 'finished' for step in run.steps)}/{len(run.steps)}",
            _when(run.began),
            status.duration(run.elapsed),
            status.what(run),
        )
        for run in runs
    ]
    view.out(view.table(rows, head=("run", "state", "steps", "started", "elapsed", "of")))


def _when(began: float | None) -> str:
    return "" if began is None else f"{datetime.fromtimestamp(began).astimezone():%Y-%m-%d %H:%M:%S}"


def _rows(step: StepHistory, record: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
    """A line a file; the step is named on the first."""
    who = (str(step.id), step.state, step.how or "", _seconds(record))
    files = [(f["path"], str(f["size"]), f["sha256"][:12]) for f in record["outputs"]] if record else []
    for n, file in enumerate(files or [("", "", "")]):
        yield (*(who if n == 0 else ("",) * 4), *file)


def _seconds(record: Mapping[str, Any] | None) -> str:
    """How long the work took when it was done, wherever that was."""
    return f"{record['execution']['seconds']:.1f}" if record else ""


def _one(run: Run, step: StepHistory, record: Mapping[str, Any] | None) -> None:
    place = run.directory / str(step.id)
    rows = [("step", str(step.id)), ("state", step.state), ("how", step.how or ""), ("in", step.where or "")]
    rows += [("reason", step.reason or step.message), ("log", str(step.log or ""))]
    rows += [("waits for", ", ".join(map(str, step.depends_on)))] if record is None else []
    if record is not None:
        rows += [("seconds", _seconds(record)), ("key", record["key"]), ("files in", str(place))]
    view.out(view.table(row for row in rows if row[1]))
    if record is not None and record["outputs"]:
        files = [(f["path"], str(f["size"]), f["sha256"]) for f in record["outputs"]]
        view.out("\n" + view.table(files, head=("file", "bytes", "sha256")))


# --- the document ----------------------------------------------------------------------------------------------------


def document(run: Run, steps: Iterable[tuple[StepHistory, Mapping[str, Any] | None]]) -> dict[str, Any]:
    """The steps of one run and their files (schema `recast-dm/ls/1`)."""
    from recast_dm.cli import status

    return {
        "schema": "recast-dm/ls/1",
        "runs": [status.summary(run)],
        "steps": [_document(run, step, record) for step, record in steps],
    }


def _document(run: Run, step: StepHistory, record: Mapping[str, Any] | None) -> dict[str, Any]:
    names = ("path", "size", "sha256", "executable")
    return {
        "step": str(step.id),
        "state": step.state,
        "how": step.how,
        "in": step.where,
        "seconds": record["execution"]["seconds"] if record else None,
        "key": record["key"] if record else None,
        "tree": record["tree"] if record else None,
        "depends_on": [str(source) for source in step.depends_on],
        "reason": step.reason or None,
        "log": str(step.log) if step.log else None,
        "place": str(run.directory / str(step.id)) if record else None,
        "published": record["published"] if record else None,
        "files": [{name: file[name] for name in names} for file in record["outputs"]] if record else [],
    }
