"""What `scan` and `contour` share: execute many points with progress, check the fast limits, show what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from recast_dm.cli import execution, options, progress, view
from recast_dm.cli.view import number
from recast_dm.engine.events import Observer
from recast_dm.errors import StepFailed
from recast_dm.reinterpret import crossing, estimate, spotcheck
from recast_dm.reinterpret import scan as scans
from recast_dm.reinterpret.grid import Grid
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.points import Answer
from recast_dm.reinterpret.scan import Scan

MOST_ROWS = 30
"""Points that a table shows; the document has all."""
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
            found = spotcheck.checked(found, observer)
    finally:
        options.link_latest(ready.directory)
    found.keep()
    return found


def show(found: Scan, *, json: bool) -> None:
    """Prints a scan; exit code 1 when points failed."""
    if json:
        view.document(found.document())
    else:
        view.out("\n".join(_lines(found)))
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


# --- for people ------------------------------------------------------------------------------------------------------


def _lines(found: Scan) -> Iterator[str]:
    yield ""
    yield f"{found.subject.name}: {found.subject.title}"
    fixed = ", ".join(f"{name}={value:g}" for name, value in found.grid.fixed.items())
    yield f"{found.grid.model}{f': {fixed}' if fixed else ''}"
    yield ""
    yield from _points(found)
    yield ""
    yield from _crossings(found)
    yield from _closure(found)
    yield from _notes(found)
    yield ""
    yield f"scan           {_near(found.directory / scans.DOCUMENT)}"


def _points(found: Scan) -> Iterator[str]:
    axes = list(found.grid.axes)
    head = (*axes, "sigma, pb", "mu upper limit", "expected", "", "")
    shown = found.answers if len(found.answers) <= MOST_ROWS else found.answers[: MOST_ROWS - 1]
    yield view.table([_row(axes, each) for each in shown], head=head)
    if len(shown) < len(found.answers):
        yield f"... and {len(found.answers) - len(shown)} more points; the scan's document has all"


def _row(axes: list[str], answer: Answer) -> tuple[str, ...]:
    parameters = answer.point.parameters if answer.point else {}
    place = tuple(f"{parameters[name]:g}" for name in axes)
    flags = ", ".join(each.name for each in answer.point.validity if not each.ok) if answer.point else ""
    limit = answer.limit
    if limit is None:
        return (*place, "", "", "", answer.status, answer.reason or "")
    verdict = "excluded" if limit.excluded else "not excluded"
    numbers = (number(limit.sigma_pb), number(limit.mu_upper_obs), number(limit.mu_upper_exp[2]))
    return (*place, *numbers, verdict, f"outside: {flags}" if flags else "")


def _crossings(found: Scan) -> Iterator[str]:
    """Where mu_UL = 1 along the first axis, for each value of the others."""
    axis, *others = found.grid.axes
    groups: dict[tuple[float, ...], list[Answer]] = {}
    for answer in found.done:
        if answer.point is not None:
            groups.setdefault(tuple(answer.point.parameters[name] for name in others), []).append(answer)
    rows = []
    for place, answers in groups.items():
        observed, expected = (crossing.along(axis, answers, expected=which) for which in (False, True))
        if observed or expected:
            rows.append((*(f"{value:g}" for value in place), _values(observed), _values(expected)))
    if rows:
        yield view.table(rows[:MOST_ROWS], head=(*others, f"mu = 1 at {axis}", "expected at"))
    elif found.done:
        yield "mu = 1 is not crossed"


def _values(found: tuple[crossing.Crossing, ...]) -> str:
    return ", ".join(f"{number(each.value, 4)}" for each in found) or "-"


def _closure(found: Scan) -> Iterator[str]:
    from recast_dm.cli.limit import closure_rows

    document = found.document()["closure"]
    run = [row for row in document if row["ours"] is not None]
    if run:
        yield ""
        yield from closure_rows(run)
    if left := len(document) - len(run):
        yield f"{left} published numbers are for points that were not run (`recast-dm closure` runs them)"


def _notes(found: Scan) -> Iterator[str]:
    counts = {status: sum(each.status == status for each in found.answers) for status in ("not covered", "failed")}
    for status, count in counts.items():
        if count:
            yield f"{count} of {len(found.answers)} points {'are' if count > 1 else 'is'} {status}".replace(
                "are failed", "failed"
            ).replace("is failed", "failed")
    if check := found.spot_check:
        yield (
            f"{check['points']} points checked against {check['reference']}: "
            f"CLs differs by at most {number(check['largest_cls_difference'], 2)}"
        )


def _near(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
