"""What is to be executed: a subject's workflow with the init parameters that carry a point into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm import signals
from recast_dm.backends import Work
from recast_dm.errors import UsageError
from recast_dm.reinterpret import inputs
from recast_dm.reinterpret.points import Point, point_of
from recast_dm.reinterpret.subject import Subject
from recast_dm.spec.analysis import Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Work that any backend can execute, and what its result will say of itself.

    `point` is None where no signal model is known to be in it; `overrides` are the init parameters that the user set.
    """

    subject: Subject
    point: Point | None
    overrides: Mapping[str, Any]
    work: Work


def planned(
    subject: Subject,
    model: str | None = None,
    values: Mapping[str, object] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Planned:
    """A subject at a point of a signal model; without a model, as it is. Raises UsageError for what cannot be."""
    overrides = overrides or {}
    if model is None:
        point, initdata = _example_point(subject), inputs.override(subject, overrides)
    else:
        point, carried = carried_by(subject, model, values or {})
        inputs.demand_free(carried, overrides)
        initdata = {**inputs.override(subject, overrides), **carried}
    return Planned(subject=subject, point=point, overrides=overrides, work=_work(subject, point, initdata))


def _example_point(subject: Subject) -> Point | None:
    example = subject.analysis.example if subject.analysis else None
    return point_of(example.model, example.parameters or {})[0] if example and example.model else None


def _work(subject: Subject, point: Point | None, initdata: Mapping[str, Any]) -> Work:
    return Work(
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
        results=subject.results,
    )


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
