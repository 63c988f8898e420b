"""What a run gave: its documents, and the limit beside the published one where the analysis makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.curves.verdict import Verdict
from recast_dm.curves.verdict import read as read_verdict
from recast_dm.engine.execute import Finished
from recast_dm.engine.rundir import Record, plain, result_file
from recast_dm.errors import StepFailed
from recast_dm.reinterpret import uncertainties
from recast_dm.reinterpret.closure import Closure, compare
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.planned import Planned
from recast_dm.reinterpret.points import Answer, Point
from recast_dm.reinterpret.subject import Subject
from recast_dm.statistics.limit import Limit, NotCovered, read_outcome

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


def concluded(planned: Planned, finished: Finished, k_factor: Choice | None = None) -> Result:
    """The result of work that was executed, wherever that was. Raises StepFailed when a declared one is missing."""
    subject, directory = planned.subject, finished.directory
    _demand_results(subject, directory)
    return Result(
        subject=subject,
        point=planned.point,
        finished=finished,
        answer=answer(subject, planned.point, Outputs(directory), k_factor),
        overrides={**subject.overrides, **planned.overrides},
        verdict=_verdict(subject, directory) if planned.point else None,
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


def _demand_results(subject: Subject, directory: Path) -> None:
    """Every declared result must be there: success is a checked statement."""
    places = {name: result_file(directory, relpath) for name, relpath in subject.results.items()}
    missing = [name for name, place in places.items() if not place.exists()]
    if missing:
        listed = "\n".join(f"{name}: {subject.results[name]}" for name in missing)
        raise StepFailed(
            f"every step finished, but what {subject.name} declares as results is not there: {', '.join(missing)}",
            hint=f"{listed}\nthe run directory: {directory} (`recast-dm ls` lists its files)",
        )
