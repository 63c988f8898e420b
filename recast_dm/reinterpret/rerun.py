"""Running a capsule or an analysis as it is, and rerunning it under a signal model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.backends import Backend
from recast_dm.engine import events
from recast_dm.errors import StatisticsError, StepFailed
from recast_dm.model import StepId
from recast_dm.reinterpret.kfactor import Choice
from recast_dm.reinterpret.planned import Planned, planned
from recast_dm.reinterpret.result import LIMIT_RESULT, Result, concluded
from recast_dm.reinterpret.subject import Subject
from recast_dm.statistics.limit import NO_CONVERGENCE


def run(
    subject: Subject,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
) -> Result:
    """Runs what there is as it is, with its own init parameters (and the user's overrides)."""
    return executed(planned(subject, overrides=overrides), backend, directory, observer)


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
    return executed(planned(subject, model, values, overrides), backend, directory, observer, k_factor)


def executed(
    plan: Planned, backend: Backend, directory: Path, observer: events.Observer, k_factor: Choice | None = None
) -> Result:
    """Executes what is planned, and reads its result. Raises StatisticsError where a fit did not converge."""
    try:
        finished = backend.execute(plan.work, directory=directory, observer=observer)
    except StepFailed as error:
        raise _statistics_error(plan.subject, error) or error from None
    return concluded(plan, finished, k_factor)


def _statistics_error(subject: Subject, error: StepFailed) -> StatisticsError | None:
    """A limit stage that says by its exit code that a fit did not converge."""
    stage = subject.results.get(LIMIT_RESULT, "").partition("/")[0]
    if error.status != NO_CONVERGENCE or error.step is None or StepId.parse(error.step).stage != stage:
        return None
    return StatisticsError(f"no limit: {error.message}", hint=error.hint)
