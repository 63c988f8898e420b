"""`recast-dm submit`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import options, reana, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.backends.reana.submission import Submission
    from recast_dm.cli import execution
    from recast_dm.reinterpret.kfactor import Choice


def submit(
    capsule: options.AnalysisArgument,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A signal model; left out, the capsule as it is.")
    ] = None,
    settings: options.ModelSettings = None,
    benchmark: options.Benchmark = None,
    events: options.Events = None,
    k_factor: options.KFactor = None,
    parameters: options.Parameters = None,
    inputs_from: options.InputsFrom = None,
    registry: options.RegistryName = None,
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", metavar="NAME", help="Its name there.", show_default="analysis and digests"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="A new run, also where this was done there before.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and fetch the result.")] = False,
    points: Annotated[
        Path | None,
        typer.Option("--points", metavar="FILE", help="Many points (CSV, as for `scan`): a workflow each, collected."),
    ] = None,
    at_once: options.AtOnce = 8,
    retries: Annotated[int, typer.Option(min=0, max=100, help="Begin what failed there so often again.")] = 0,
    workdir: options.Workdir = None,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Submit a capsule to REANA, under a signal model or as it is. Repeated, it finds what was submitted.

    It prints NAME.RUN, which `status`, `logs` and `download` take. With --wait, the result, as `rerun` does. With
    --points it stays, keeps --at-once workflows going and collects results as they end: `scan --backend reana`.

    \b
    Examples:
      recast-dm submit my-search.capsule --model spin1-axial --set m_med=2000 --set m_dm=1 --json
      recast-dm submit my-search.capsule --model spin1-axial --points points.csv --at-once 20 --retries 1
    """
    from recast_dm.backends.reana import names
    from recast_dm.cli import cluster, execution, progress
    from recast_dm.engine.rundir import INIT_FILES
    from recast_dm.model import Policy
    from recast_dm.reinterpret.planned import planned
    from recast_dm.reinterpret.rerun import executed

    if points is not None and (wait or name or again or events):
        raise UsageError(
            "--points goes without --wait, --name, --again and --events", hint="it waits, and names itself"
        )
    if points is not None:
        _many(
            capsule,
            model,
            points,
            options.model_values(model, settings, benchmark) if model else {},
            execution.Opening(inputs_from=tuple(inputs_from or ())),
            execution.Settings(
                backend="reana",
                registry=registry,
                at_once=at_once,
                cache=not no_cache,
                workdir=workdir,
                quiet=quiet,
                json=json,
                keep_going=True,
                policy=Policy(retries=retries),
            ),
            options.yaml_values(parameters, "-p"),
            options.k_factor(k_factor),
        )
        return
    files = tuple(events or ())
    values = _values(model, settings, benchmark, files)
    overrides, chosen = options.yaml_values(parameters, "-p"), options.k_factor(k_factor)
    called = names.checked(name) if name else None
    reana.connected()  # before anything else is done
    directory = options.run_directory(workdir)
    opening = execution.Opening(inputs_from=tuple(inputs_from or ()), events=files)
    subject = execution.open_subject(capsule, opening, directory / INIT_FILES)
    backend = cluster.cluster(
        registry=registry, layout=subject.layout, name=called, again=again, retries=retries, cached=not no_cache
    )
    plan = planned(subject, model, values, overrides)
    try:
        with progress.observer(quiet=quiet) as observer:
            if wait:
                result = executed(plan, backend, directory, observer, chosen)
            else:
                sent = backend.submit(plan.work, directory, observer, again=again)
    finally:
        cluster.remember(directory, capsule, k_factor)
        options.link_latest(directory)
    if wait:
        execution.show(result, json=json)
    else:
        _show(sent, directory, json)


def _values(
    model: str | None, settings: list[str] | None, benchmark: str | None, events: tuple[Path, ...]
) -> dict[str, object]:
    """The point of a model, as far as it is given. Raises UsageError for what is of no model, or misses events."""
    from recast_dm.reinterpret import outside

    if model is None:
        if settings or benchmark or events:
            raise UsageError("--set, --benchmark and --events are of a signal model", hint="name it: --model NAME")
        return {}
    values = options.model_values(model, settings, benchmark)
    outside.demand(model, values, events)
    return values


def _many(
    capsule: str,
    model: str | None,
    points: Path,
    values: Mapping[str, object],
    opening: execution.Opening,
    settings: execution.Settings,
    overrides: Mapping[str, Any],
    k_factor: Choice | None,
) -> None:
    """Many points: a scan, whose points are workflows there."""
    from recast_dm.cli import scanning
    from recast_dm.reinterpret import grid

    if model is None:
        raise UsageError("--points are of a signal model", hint="name it: --model NAME")
    wanted = grid.of_file(model, points, values)
    scanning.scan(capsule, opening, settings, scanning.Asked(grid=wanted, overrides=overrides, k_factor=k_factor))


def _show(sent: Submission, directory: Path, json: bool) -> None:
    if json:
        view.document({**sent.document(), "run_dir": str(directory)})
    else:
        view.out(sent.workflow)
        view.say(f"recast-dm status {directory} --watch; then recast-dm download {directory}")
