"""Running: as captured, under a signal model at a point, at many points, and where it matters most."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from recast_dm import reinterpret, signals
from recast_dm.api.opening import Preserved, load
from recast_dm.api.results import Document, Limit, Run, Scan, of_document
from recast_dm.api.settings import Settings
from recast_dm.backends import Backend
from recast_dm.config import link_latest
from recast_dm.engine.events import Observer
from recast_dm.engine.rundir import INIT_FILES
from recast_dm.errors import UsageError
from recast_dm.reinterpret import Subject, outside, published, spotcheck
from recast_dm.reinterpret import contour as contours
from recast_dm.reinterpret import grid as grids
from recast_dm.reinterpret import kfactor as kfactors
from recast_dm.reinterpret import scan as scans
from recast_dm.reinterpret.opening import with_events

Axis = str | Iterable[float]
"""The values of a parameter that varies: numbers, or `FIRST:LAST:STEP`."""
Search = Callable[[Subject, Backend, Path, Observer], scans.Scan]


def run(what: Preserved | str | Path, *, settings: Settings | None = None, **parameters: object) -> Limit | Run:
    """Runs it as it is, with its own init parameters; `parameters` change those that carry no signal."""
    settings = settings or Settings()
    preserved = load(what)
    subject = preserved.subject
    directory = settings.directory()
    try:
        result = reinterpret.run(
            subject, settings.backend(subject.workflow), directory, settings.observer, parameters or None
        )
    finally:
        link_latest(directory)
    result.keep()
    return _kept(result.document(), directory, preserved)


def rerun(
    what: Preserved | str | Path,
    model: str,
    *,
    benchmark: str | None = None,
    events: Iterable[str | Path] = (),
    parameters: Mapping[str, object] | None = None,
    k_factor: str | Path | None = None,
    settings: Settings | None = None,
    **values: float,
) -> Limit | Run:
    """Runs it under a signal model at a point: would this search have seen it?

    `values` are the model's parameters (masses in GeV), over those of a `benchmark`; `parameters` are init parameters
    of the analysis that carry no signal. The model `events` takes files of `events`, LHE or HepMC3. `k_factor`
    (`drell-yan`, or a file) shows limits with it beside those without. A point that the analysis does not cover has the
    status `not covered`.

    Raises UsageError for a point that the model does not have, StepFailed, StatisticsError.

    >>> rerun("tests/analyses/toy", "spin1-axial", m_med=-1, m_dm=1)
    Traceback (most recent call last):
    recast_dm.errors.UsageError: m_med = -1 GeV is out of range: spin1-axial takes 50 to 10000 GeV
      why 50 GeV: QCD corrections to the width reach 5 % below, and hard jets from the shower become rare
    """
    settings = settings or Settings()
    preserved, files = load(what), tuple(map(Path, events))
    point = {**_benchmark(model, benchmark), **values}
    outside.demand(model, point, files)  # before anything is started
    directory = settings.directory()
    subject = preserved.subject
    if files:
        subject = with_events(subject, files, directory / INIT_FILES)
    try:
        result = reinterpret.rerun(
            subject,
            model,
            point,
            settings.backend(subject.workflow),
            directory,
            settings.observer,
            parameters,
            _choice(k_factor),
        )
    finally:
        link_latest(directory)
    result.keep()
    return _kept(result.document(), directory, preserved)


def scan(
    what: Preserved | str | Path,
    model: str,
    *,
    grid: Mapping[str, Axis],
    benchmark: str | None = None,
    parameters: Mapping[str, object] | None = None,
    k_factor: str | Path | None = None,
    settings: Settings | None = None,
    **values: float,
) -> Scan:
    """Reruns it at every point of a grid: `grid={"m_med": "500:3000:250", "m_dm": [1, 100]}`; `values` stay the same.

    A point whose steps fail leaves the others. The same scan in the same `workdir` goes on where it stopped. Fast
    limits are checked against pyhf: StatisticsError when they differ.
    """
    points = grids.of_axes(model, _words(grid), {**_benchmark(model, benchmark), **values})
    choice = _choice(k_factor)

    def search(subject: Subject, backend: Backend, directory: Path, observer: Observer) -> scans.Scan:
        return scans.scan(subject, points, backend, directory, observer, parameters, choice)

    return _searched(what, search, settings or Settings())


def contour(
    what: Preserved | str | Path,
    model: str,
    *,
    grid: Mapping[str, Axis],
    budget: int = 60,
    uncertainty: float = 0.01,
    benchmark: str | None = None,
    parameters: Mapping[str, object] | None = None,
    k_factor: str | Path | None = None,
    settings: Settings | None = None,
    **values: float,
) -> Scan:
    """Finds the mu = 1 line in a plane of two parameters with at most `budget` points out of the grid's.

    It ends when the line is known to `uncertainty` (relative, along the first axis).
    """
    points = grids.of_axes(model, _words(grid), {**_benchmark(model, benchmark), **values})
    choice = _choice(k_factor)
    target = contours.Target(budget=budget, uncertainty=uncertainty)

    def search(subject: Subject, backend: Backend, directory: Path, observer: Observer) -> scans.Scan:
        return contours.contour(subject, points, backend, directory, observer, parameters, choice, target)

    return _searched(what, search, settings or Settings())


def closure(
    what: Document | Preserved | str | Path,
    *,
    parameters: Mapping[str, object] | None = None,
    settings: Settings | None = None,
) -> tuple[Mapping[str, Any], ...]:
    """Published numbers beside ours: of a result what it holds; of a capsule or an analysis, every point is run.

    `ours` is None where a point gave no limit. Raises UsageError where nothing was published.
    """
    if isinstance(what, Limit | Scan):
        return what.closure
    if isinstance(what, Document):
        raise UsageError(f"{what!r} has no limits", hint="they come from `rerun`, `scan` and `contour`")
    settings = settings or Settings()
    subject = load(what).subject
    directory = settings.directory()
    backend = settings.backend(subject.workflow, keep_going=True)
    try:
        return tuple(published.closure(subject, backend, directory, settings.observer, parameters))
    finally:
        link_latest(directory)


# --- how --------------------------------------------------------------------------------------------------------------


def _searched(what: Preserved | str | Path, search: Search, settings: Settings) -> Scan:
    """Executes a search, checks its fast limits against pyhf, and keeps its document."""
    preserved = load(what)
    subject = preserved.subject
    directory = settings.directory()
    try:
        found = search(subject, settings.backend(subject.workflow, keep_going=True), directory, settings.observer)
        found = spotcheck.checked(found, settings.observer, settings.checks())
    finally:
        link_latest(directory)
    found.keep()
    return Scan(document=_plain(found.document()), directory=directory, of=preserved)


def _choice(k_factor: str | Path | None) -> kfactors.Choice | None:
    return None if k_factor is None else kfactors.chosen(str(k_factor))


def _benchmark(model: str, name: str | None) -> Mapping[str, object]:
    return dict(signals.find(model).record.benchmark(name).values) if name else {}


def _words(grid: Mapping[str, Axis]) -> list[str]:
    """A grid as `--grid` says it.

    >>> _words({"m_med": "500:1500:500", "m_dm": [1, 10.5]})
    ['m_med=500:1500:500', 'm_dm=1.0,10.5']
    """
    return [
        f"{name}={values if isinstance(values, str) else ','.join(repr(float(value)) for value in values)}"
        for name, values in grid.items()
    ]


def _kept(document: Mapping[str, object], directory: Path, preserved: Preserved) -> Limit | Run:
    found = of_document(_plain(document), directory, preserved)
    assert isinstance(found, Limit | Run)  # noqa: S101  # a run gives one of these documents
    return found


def _plain(document: Mapping[str, object]) -> dict[str, object]:
    """As it is read again: tuples are lists."""
    plain: dict[str, object] = json.loads(json.dumps(document))
    return plain
