"""What `scan` and `contour` share: execute many points with progress, check the fast limits, show what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from recast_dm.cli import execution, options, progress, scantable, view
from recast_dm.cli.limit import near
from recast_dm.cli.view import number
from recast_dm.engine.events import Observer
from recast_dm.errors import StepFailed
from recast_dm.reinterpret import estimate, spotcheck
from recast_dm.reinterpret import scan as scans
from recast_dm.reinterpret.grid import Grid
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.scan import Scan

Search = Callable[[execution.Ready, Observer], Scan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user asks of the points."""

    grid: Grid
    overrides: Mapping[str, Any]
    k_factor: Choice | None
    estimate: bool = False


def scan(name: str, opening: execution.Opening, settings: execution.Settings, asked: Asked) -> None:
    """Runs the points of a grid, or a few of them for a forecast, and prints."""

    def search(ready: execution.Ready, observer: Observer) -> Scan:
        return scans.scan(
            ready.subject,
            estimate.sample(asked.grid) if asked.estimate else asked.grid,
            ready.backend,
            ready.directory,
            observer,
            asked.overrides,
            asked.k_factor,
        )

    found = searched(name, opening, settings, search)
    if asked.estimate:
        _forecast(found, asked.grid, settings)
        return
    show(found, json=settings.json)


def searched(name: str, opening: execution.Opening, settings: execution.Settings, search: Search) -> Scan:
    """Executes a search with progress, checks its fast limits against pyhf, and keeps its document."""
    ready = execution.ready(name, opening, settings)
    try:
        with progress.observer(quiet=settings.quiet) as observer:
            found = search(ready, observer)
            found = spotcheck.checked(found, observer, _memory())
    finally:
        options.link_latest(ready.directory)
    found.keep()
    return found


def _memory() -> Path | None:
    """Where it is remembered what has been checked; nothing is where caches cannot be written."""
    cache = options.cache()
    return cache / "checks" if cache else None


def show(found: Scan, *, json: bool) -> None:
    """Prints a scan; exit code 1 when points failed."""
    if json:
        view.document(found.document())
    else:
        view.out("\n".join(scantable.lines(found.document())))
        view.out(f"\nscan           {near(found.directory / scans.DOCUMENT)}")
    if found.failed:
        raise typer.Exit(StepFailed.exit_code)


def _forecast(found: Scan, grid: Grid, settings: execution.Settings) -> None:
    said = estimate.forecast(grid, len(found.grid.points), found.records, settings.jobs)
    if settings.json:
        view.document(said.document())
        return
    view.out(
        f"{said.points} points would take {number(said.cpu_hours)} CPU hours, {number(said.wall_hours)} hours with "
        f"--jobs {said.jobs}: {number(said.each)} s a point, {number(said.once)} s once (from {said.tried} points, "
        "which need not be run again)"
    )
