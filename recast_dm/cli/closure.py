"""`recast-dm closure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import options, view

if TYPE_CHECKING:
    from recast_dm.cli.execution import Settings

Place = Annotated[
    str,
    typer.Argument(metavar="CAPSULE|ANALYSIS|SCAN", help="What is run at every published point; or a scan that was."),
]


def closure(
    place: Place,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 5 when a number is outside its tolerance.")
    ] = False,
    parameters: options.Parameters = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Put every published number beside ours: within tolerance, or not.

    \b
    Examples:
      recast-dm closure my-search.capsule
      recast-dm closure build/runs/latest --json
    """
    from recast_dm.cli.execution import Settings
    from recast_dm.reinterpret.scan import DOCUMENT

    if (Path(place) / DOCUMENT).is_file():
        found = _of_scan(Path(place) / DOCUMENT)
    else:
        settings = Settings(
            runtime=runtime, jobs=jobs, cache=not no_cache, workdir=workdir, quiet=quiet, keep_going=True
        )
        found = _run(place, settings, options.yaml_values(parameters, "-p"))
    if json:
        view.document(found)
    else:
        _show(found)
    if strict and any(row["agrees"] is False for row in found["closure"]):
        raise typer.Exit(5)


def _of_scan(path: Path) -> dict[str, Any]:
    from recast_dm import store
    from recast_dm.reinterpret.scan import SCHEMA

    document = store.read_json(path, SCHEMA)
    kept = {name: document[name] for name in ("analysis", "capsule", "closure", "run_dir")}
    return {"schema": "recast-dm/closure/1", **kept}


def _run(place: str, settings: Settings, overrides: dict[str, Any]) -> dict[str, Any]:
    from recast_dm.cli import execution, options, progress
    from recast_dm.reinterpret import published

    ready = execution.ready(place, execution.Opening(), settings)
    try:
        with progress.observer(quiet=settings.quiet) as observer:
            rows = published.closure(ready.subject, ready.backend, ready.directory, observer, overrides)
    finally:
        options.link_latest(ready.directory)
    return {
        "schema": "recast-dm/closure/1",
        **ready.subject.identity,
        "closure": rows,
        "run_dir": str(ready.directory),
    }


def _show(found: dict[str, Any]) -> None:
    from recast_dm.cli.limit import closure_rows

    run = [row for row in found["closure"] if row["ours"] is not None]
    view.out(f"{found['analysis']}")
    for line in closure_rows(run):
        view.out(line)
    for row in found["closure"]:
        if row["ours"] is None:
            place = " ".join(f"{name}={value:g}" for name, value in row["parameters"].items())
            view.out(f"{row['model']} {place}: {row['quantity']} {row['published']:g}: no number of ours")
