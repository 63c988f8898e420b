"""Many points through one preserved pipeline: one workflow, in which the pipeline is scattered over the points.

Each point keeps the step keys that a rerun of it alone would have, so that both find each other's finished steps, and
both give the same numbers. What no parameter of the signal reaches has the same key everywhere and is done once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast_dm import signals, store
from recast_dm.backends import Backend, Work
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.engine.rundir import Record
from recast_dm.errors import Location, RecastError, StepFailed, UsageError
from recast_dm.model import INIT, Image, OutputSelector, Scatter, Stage, StepId, SubWorkflow, Workflow
from recast_dm.reinterpret import apart, closure, inputs
from recast_dm.reinterpret.apart import STAGE
from recast_dm.reinterpret.grid import Grid, Refused
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.outside import FEED
from recast_dm.reinterpret.pace import Pace
from recast_dm.reinterpret.planned import carried_by, planned
from recast_dm.reinterpret.points import Answer, Point
from recast_dm.reinterpret.result import LIMIT_RESULT, answer
from recast_dm.reinterpret.subject import Subject

DOCUMENT = "scan.json"
SCHEMA = "recast-dm/scan/1"
_HERE = Location("scan", 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found at the points of a grid, in its order. `homes` tells where each point's outputs lie.

    Points that the model does not have come last, as not covered, with the model's reason.
    """

    subject: Subject
    grid: Grid
    directory: Path
    answers: tuple[Answer, ...]
    homes: tuple[Outputs | None, ...]
    overrides: Mapping[str, Any]
    images: tuple[Image, ...] = ()
    records: tuple[Record, ...] = ()
    spot_check: Mapping[str, Any] | None = None
    contour: Mapping[str, Any] | None = None

    @property
    def done(self) -> tuple[Answer, ...]:
        return tuple(each for each in self.answers if each.limit is not None)

    @property
    def failed(self) -> tuple[Answer, ...]:
        return tuple(each for each in self.answers if each.failed)

    def document(self) -> dict[str, Any]:
        """The JSON document `recast-dm/scan/1`."""
        analysis = self.subject.analysis
        published = analysis.closure if analysis else ()
        first = next((each.point for each in self.answers if each.point), None)
        return {
            "schema": SCHEMA,
            **self.subject.identity,
            **self.subject.shown(),
            "model": self.grid.model,
            "order": first.order if first else "LO",
            "grid": {name: list(values) for name, values in self.grid.axes.items()},
            "fixed": dict(self.grid.fixed),
            "overrides": dict(self.overrides),
            "k_factor": next((each.corrected.name for each in self.done if each.corrected), None),
            "points": [each.document() for each in self.answers],
            "closure": closure.table(published, self.grid.model, self.answers),
            "spot_check": dict(self.spot_check) if self.spot_check else None,
            "contour": dict(self.contour) if self.contour else None,
            "images": [image.document() for image in self.images],
            "run_dir": str(self.directory),
        }

    def keep(self) -> Path:
        """Writes the document into the scan's directory."""
        path = self.directory / DOCUMENT
        store.write_atomic(path, store.pretty(self.document()))
        return path


def scan(
    subject: Subject,
    grid: Grid,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
    k_factor: Choice | None = None,
) -> Scan:
    """Runs every point of a grid. A point whose steps fail is kept as failed, and the others go on.

    The backend should keep going after a failure. Raises UsageError for what cannot be scanned, StepFailed when every
    point failed, and whatever else ends a run as a whole.
    """
    overrides = overrides or {}
    _demand_limit(subject)
    _demand_own_events(grid)
    execute = _apart if backend.points_at_once else _scattered
    done = execute(subject, grid, backend, directory, observer, overrides)
    found = [
        _answer(subject, point, home, done.lost.get(n), k_factor)
        for n, (point, home) in enumerate(zip(done.points, done.homes, strict=True))
    ]
    if done.failure is not None and not any(each.limit or each.status == "not covered" for each in found):
        raise done.failure
    refused = tuple(_refused(grid, each, done.points[0].order) for each in grid.refused)
    return Scan(
        subject=subject,
        grid=grid,
        directory=directory,
        answers=(*found, *refused),
        homes=(*done.homes, *(None for _ in refused)),
        overrides={**subject.overrides, **overrides},
        images=done.images or tuple(subject.pinned.values()),
        records=done.records,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """The points that were executed, where each one's outputs lie, and why points were lost, by their numbers."""

    points: tuple[Point, ...]
    homes: tuple[Outputs, ...]
    lost: Mapping[int, str]
    failure: RecastError | None
    images: tuple[Image, ...] = ()
    records: tuple[Record, ...] = ()


def _scattered(
    subject: Subject,
    grid: Grid,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any],
) -> _Done:
    """All points in one workflow."""
    points, work = prepared(subject, grid, overrides)
    finished: Finished | None = None
    failure: StepFailed | None = None
    try:
        finished = backend.execute(work, directory=directory, observer=_paced(subject, observer, len(points)))
    except StepFailed as error:
        failure = error
    return _Done(
        points=points,
        homes=tuple(Outputs(directory, f"{STAGE}/{n}") for n in range(len(points))),
        lost=_lost(failure),
        failure=failure,
        images=finished.images if finished else (),
        records=finished.records if finished else (),
    )


def _apart(
    subject: Subject,
    grid: Grid,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any],
) -> _Done:
    """Each point in a workflow of its own."""
    plans = [planned(subject, grid.model, point.parameters(), overrides) for point in grid.points]
    ended = apart.execute(plans, backend, directory, observer, backend.points_at_once)
    whole = [(n, each.finished) for n, each in enumerate(ended) if each.finished]
    return _Done(
        points=tuple(plan.point for plan in plans if plan.point),
        homes=tuple(Outputs(apart.place(directory, n)) for n in range(len(plans))),
        lost={n: each.error.message for n, each in enumerate(ended) if each.error},
        failure=next((each.error for each in ended if each.error), None),
        images=whole[0][1].images if whole else (),
        records=tuple(
            replace(record, step=apart.scoped(record.step, n)) for n, each in whole for record in each.records
        ),
    )


def _paced(subject: Subject, observer: events.Observer, points: int) -> events.Observer:
    return Pace(observer, subject.results[LIMIT_RESULT].partition("/")[0], points)


def prepared(subject: Subject, grid: Grid, overrides: Mapping[str, Any]) -> tuple[tuple[Point, ...], Work]:
    """The points, and the one workflow that runs them all."""
    fed = [carried_by(subject, grid.model, point.parameters()) for point in grid.points]
    carried = [each for _, each in fed]
    inputs.demand_free(carried[0], overrides)
    varied = {name: [each[name] for each in carried] for name in carried[0]}
    initdata = {**inputs.override(subject, overrides), **varied}
    work = Work(
        workflow=scattered(subject.workflow, list(initdata), list(varied)),
        initdata=initdata,
        initdir=subject.initdir,
        pinned=subject.pinned,
        layout=subject.layout,
        relaxations={f"{STAGE}/{stage}": each for stage, each in subject.relaxations.items()},
        policies={f"{STAGE}/{stage}": each for stage, each in subject.policies.items()},
        about={
            **subject.identity,
            "model": grid.model,
            "parameters": {
                **grid.fixed,
                **{name: [point[name] for point in grid.points] for name in grid.axes},
            },
            "initdata": initdata,
            "reference": [replace(rule, path=_everywhere(rule.path)).document() for rule in subject.rules()],
        },
    )
    return tuple(point for point, _ in fed), work


def _demand_limit(subject: Subject) -> None:
    if subject.analysis is None or LIMIT_RESULT not in subject.results:
        raise UsageError(
            f"{subject.name} makes no limit that could be scanned",
            hint=f"recast.yml needs `signal`, and an entry {LIMIT_RESULT!r} in `results`",
        )


def _everywhere(path: str) -> str:
    """A rule's path, as a pattern over all points.

    >>> _everywhere("limit/limit.json")
    'point/*/limit/*/limit.json'
    """
    stage, _, rest = path.partition("/")
    return f"{STAGE}/*/{path}" if "*" in path else f"{STAGE}/*/{stage}/*/{rest}"


def _refused(grid: Grid, refused: Refused, order: str) -> Answer:
    point = Point(grid.model, {**grid.fixed, **refused.parameters}, (), order)
    return Answer(point=point, limit=None, reason=refused.reason)


def _demand_own_events(grid: Grid) -> None:
    """The same event files at every point would be the same answer at every point."""
    model = signals.find(grid.model)
    if FEED in model.feeds(grid.points[0]):
        raise UsageError(
            f"{grid.model} takes its events from files, which are those of one point", hint="rerun it for each point"
        )


def scattered(workflow: Workflow, names: Sequence[str], varied: Sequence[str]) -> Workflow:
    """A workflow as the body of one stage, scattered over the init parameters that vary; the others are passed on.

    >>> from recast_dm.model import Workflow
    >>> [stage.name for stage in scattered(Workflow(()), ["seeds", "m_med"], ["m_med"]).stages]
    ['point']
    """
    stage = Stage(
        name=STAGE,
        dependencies=(INIT.stage,),
        parameters={name: OutputSelector(query=INIT.stage, output=name, many=False, where=_HERE) for name in names},
        body=SubWorkflow(workflow, _HERE),
        where=_HERE,
        scatter=Scatter("zip", tuple(varied), _HERE),
    )
    source = {
        "name": STAGE,
        "dependencies": [INIT.stage],
        "scheduler": {
            "scheduler_type": "multistep-stage",
            "parameters": {name: {"step": INIT.stage, "output": name} for name in names},
            "scatter": {"method": "zip", "parameters": list(varied)},
            "workflow": workflow.source,
        },
    }
    return Workflow((stage,), {"stages": [source]})


def _lost(failure: StepFailed | None) -> dict[int, str]:
    """Why points have no limit, by their numbers: the first step of each that failed."""
    found: dict[int, str] = {}
    for each in failure.failed if failure else ():
        parts = each.step.split("/")
        if parts[0] == STAGE and len(parts) > 2 and parts[1].isdecimal():
            name = StepId.parse(each.step)
            found.setdefault(int(parts[1]), f"{'/'.join(str(name).split('/')[2:])}: {each.reason}")
    return found


def _answer(subject: Subject, point: Point, home: Outputs, lost: str | None, k_factor: Choice | None) -> Answer:
    if lost is not None:
        return Answer(point=point, limit=None, reason=lost, failed=True)
    try:
        found = answer(subject, point, home, k_factor)
    except RecastError as error:
        return Answer(point=point, limit=None, reason=error.message, failed=True)
    assert found is not None  # noqa: S101  # only what makes limits is scanned
    return found
