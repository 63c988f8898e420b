"""Running a capsule or an analysis as it is, and rerunning it under a signal model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import signals, store
from recast_dm.backends import Backend, Work
from recast_dm.curves.verdict import Verdict
from recast_dm.curves.verdict import read as read_verdict
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.engine.rundir import Record, plain, result_file
from recast_dm.errors import StatisticsError, StepFailed, UsageError
from recast_dm.model import StepId
from recast_dm.reinterpret import inputs, uncertainties
from recast_dm.reinterpret.closure import Closure, compare
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.points import Answer, Point, point_of
from recast_dm.reinterpret.subject import Subject
from recast_dm.spec.analysis import Analysis
from recast_dm.statistics.limit import NO_CONVERGENCE, Limit, NotCovered, read_outcome

LIMIT_RESULT = "limit"
"""The entry of recast.yml's `results` that holds a limit stage's document."""


VERDICT_RESULT = "verdict"
"""The entry that holds a verdict of limit curves, in an analysis that is made of such."""
RESULT = "result.json"
"""The document of a run, kept in its directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run gave: its records, and the limit beside the published one where the analysis makes one."""

    subject: Subject
    finished: Finished
    answer: Answer | None
    point: Point | None
    overrides: Mapping[str, Any]
    verdict: Verdict | None = None

    @property
    def limit(self) -> Limit | None:
        return self.answer.limit if self.answer else None

    @property
    def closure(self) -> tuple[Closure, ...]:
        return self.answer.closure if self.answer else ()

    def file(self, relpath: str) -> Path:
        return result_file(self.finished.directory, relpath)

    def document(self, plots: tuple[Path, ...] = ()) -> dict[str, Any]:
        """The JSON document: `recast-dm/limit/1`, or `recast-dm/run-result/1` where no limit is made."""
        common = {
            **self.subject.identity,
            "model": self.point.model if self.point else None,
            "parameters": dict(self.point.parameters) if self.point else None,
            "overrides": dict(self.overrides),
        }
        rest = {
            "images": [image.document() for image in self.finished.images],
            "steps": [_step(record) for record in self.finished.records],
            "run_dir": str(self.finished.directory),
        }
        if self.answer is None:
            results = {name: str(self.file(path)) for name, path in self.subject.results.items()}
            published = {str(record.step): plain(record.published) for record in self.finished.records}
            verdict = self.verdict.document() if self.verdict else None
            made = {"results": results, "published": published, "verdict": verdict}
            return {"schema": "recast-dm/run-result/1", **common, **made, **rest}
        found = self.answer.document()
        shown = {**self.subject.shown(), "order": self._order}
        return {
            "schema": "recast-dm/limit/1",
            **common,
            **shown,
            **found,
            "plots": [str(plot) for plot in plots],
            **rest,
        }

    @property
    def _order(self) -> str | None:
        return self.point.order if self.point else None

    def keep(self, plots: tuple[Path, ...] = ()) -> None:
        """Writes the document into the run directory, for `limits`, `report` and `export`."""
        store.write_atomic(self.finished.directory / RESULT, store.pretty(self.document(plots)))


def _step(record: Record) -> dict[str, Any]:
    return {
        "step": str(record.step),
        "key": record.key,
        "reused": record.reused,
        "seconds": record.execution["seconds"],
    }


def example_inputs(analysis: Analysis) -> dict[str, Any]:
    """The complete init parameters of an analysis' example point, for capture.

    Raises UsageError when the example or a closure point is not one that its model has.
    """

    for published in analysis.closure:
        if published.model in signals.names():
            signals.find(published.model).point(published.parameters)
    example = analysis.example
    if example.model is None or analysis.signal is None:
        return dict(example.initdata)
    _, feeds = point_of(example.model, example.parameters or {})
    return {**example.initdata, **inputs.signal_inputs(analysis.signal, feeds, example.model)}


def run(
    subject: Subject,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
) -> Result:
    """Runs what there is as it is, with its own init parameters (and the user's overrides)."""
    example = subject.analysis.example if subject.analysis else None
    point = point_of(example.model, example.parameters or {})[0] if example and example.model else None
    initdata = inputs.override(subject, overrides or {})
    return _execute(subject, point, initdata, overrides or {}, backend, directory, observer)


def rerun(
    subject: Subject,
    model: str,
    values: Mapping[str, object],
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
    k_factor: Choice | None = None,
) -> Result:
    """Reruns a capsule or an analysis under a signal model at a point. Raises UsageError for one that cannot be."""
    point, carried = carried_by(subject, model, values)
    inputs.demand_free(carried, overrides or {})
    initdata = {**inputs.override(subject, overrides or {}), **carried}
    return _execute(subject, point, initdata, overrides or {}, backend, directory, observer, k_factor)


def carried_by(subject: Subject, model: str, values: Mapping[str, object]) -> tuple[Point, dict[str, Any]]:
    """A point, and the init parameters that carry it into the analysis. Raises UsageError for what cannot be."""
    signal = subject.analysis.signal if subject.analysis else None
    if signal is None:
        raise UsageError(
            f"{subject.name} does not say how a signal enters",
            hint="recast.yml needs a `signal` section",
        )
    point, feeds = point_of(model, values)
    carried = inputs.signal_inputs(signal, feeds, model)
    example = subject.analysis.example.initdata if subject.analysis else {}
    return point, {**inputs.left_alone(signal, carried, example), **carried}


def _execute(
    subject: Subject,
    point: Point | None,
    initdata: Mapping[str, Any],
    overrides: Mapping[str, Any],
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    k_factor: Choice | None = None,
) -> Result:
    work = Work(
        workflow=subject.workflow,
        initdata=initdata,
        initdir=subject.initdir,
        pinned=subject.pinned,
        layout=subject.layout,
        relaxations=subject.relaxations,
        policies=subject.policies,
        about={
            **subject.identity,
            "model": point.model if point else None,
            "parameters": dict(point.parameters) if point else None,
            "initdata": dict(initdata),
            "reference": [rule.document() for rule in subject.rules()],
        },
    )
    try:
        finished = backend.execute(work, directory=directory, observer=observer)
    except StepFailed as error:
        raise _statistics_error(subject, error) or error from None
    _demand_results(subject, finished)
    found = answer(subject, point, Outputs(finished.directory), k_factor)
    overrides = {**subject.overrides, **overrides}
    return Result(
        subject=subject,
        point=point,
        finished=finished,
        answer=found,
        overrides=overrides,
        verdict=_verdict(subject, finished.directory) if point else None,
    )


def _verdict(subject: Subject, directory: Path) -> Verdict | None:
    relpath = subject.results.get(VERDICT_RESULT)
    return read_verdict(result_file(directory, relpath)) if relpath else None


def answer(subject: Subject, point: Point | None, outputs: Outputs, k_factor: Choice | None = None) -> Answer | None:
    """What a finished pipeline says of a point. None where it makes no limit."""
    if subject.analysis is None or LIMIT_RESULT not in subject.results:
        return None
    outcome = read_outcome(result_file(outputs.place, subject.results[LIMIT_RESULT]))
    if isinstance(outcome, NotCovered):
        return Answer(point=point, limit=None, reason=outcome.reason)
    published = subject.analysis.closure
    closure = compare(published, point.model, point.parameters, outcome) if point else ()
    return Answer(
        point=point,
        limit=uncertainties.itemised(subject, outcome, closure, outputs),
        closure=closure,
        corrected=k_factor.at(point.model, point.parameters, outcome) if point and k_factor else None,
    )


def _demand_results(subject: Subject, finished: Finished) -> None:
    """Every declared result must be there: success is a checked statement."""
    places = {name: result_file(finished.directory, relpath) for name, relpath in subject.results.items()}
    missing = [name for name, place in places.items() if not place.exists()]
    if missing:
        listed = "\n".join(f"{name}: {subject.results[name]}" for name in missing)
        raise StepFailed(
            f"every step finished, but what {subject.name} declares as results is not there: {', '.join(missing)}",
            hint=f"{listed}\nthe run directory: {finished.directory} (`recast-dm ls` lists its files)",
        )


def _statistics_error(subject: Subject, error: StepFailed) -> StatisticsError | None:
    """A limit stage that says by its exit code that a fit did not converge."""
    stage = subject.results.get(LIMIT_RESULT, "").partition("/")[0]
    if error.status != NO_CONVERGENCE or error.step is None or StepId.parse(error.step).stage != stage:
        return None
    return StatisticsError(f"no limit: {error.message}", hint=error.hint)
