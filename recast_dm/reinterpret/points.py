"""One point of one model: what goes in, and what a pipeline said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm import signals
from recast_dm.reinterpret.closure import Closure
from recast_dm.reinterpret.kfactor import Corrected
from recast_dm.statistics.limit import Limit


@dataclass(frozen=True, slots=True)
class Point:
    """A model's name, its parameters, what it says about its validity there, and its order in perturbation theory."""

    model: str
    parameters: Mapping[str, float]
    validity: tuple[signals.Finding, ...]
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found at a point. Without a limit, `reason` says why: it is not covered, or its steps failed.

    `corrected` is the same limit with a K-factor, where one was chosen: it stands beside the limit, never in its place.
    """

    point: Point | None
    limit: Limit | None
    reason: str | None = None
    failed: bool = False
    closure: tuple[Closure, ...] = ()
    corrected: Corrected | None = None

    @property
    def status(self) -> str:
        """`done`, `not covered` or `failed`."""
        if self.limit is not None:
            return "done"
        return "failed" if self.failed else "not covered"

    def document(self) -> dict[str, Any]:
        """The part of a JSON document that is about the point: the same for `rerun` and `scan`."""
        found: dict[str, Any] = {
            "parameters": dict(self.point.parameters) if self.point else None,
            "status": self.status,
            "reason": self.reason,
            "validity": [each.document() for each in self.point.validity] if self.point else [],
        }
        return found if self.limit is None else {**found, **self._numbers(self.limit)}

    def _numbers(self, limit: Limit) -> dict[str, Any]:
        return {
            "sigma_pb": limit.sigma_pb,
            "sigma_pb_mc_error": limit.sigma_pb_mc_error,
            "cls_obs": limit.cls_obs,
            "cls_exp": list(limit.cls_exp),
            "mu_upper_obs": limit.mu_upper_obs,
            "mu_upper_exp": list(limit.mu_upper_exp),
            "mu_upper_obs_mc_error": limit.mu_upper_obs_mc_error,
            "mu_upper_exp_mc_error": limit.mu_upper_exp_mc_error,
            "sigma_upper_obs_pb": limit.sigma_upper_obs_pb,
            "sigma_upper_exp_pb": list(limit.sigma_upper_exp_pb),
            "excluded": limit.excluded,
            "excluded_expected": limit.excluded_expected,
            "correlation_model": limit.correlation_model,
            "likelihood": limit.likelihood,
            "uncertainties": [each.document() for each in limit.uncertainties],
            "k_factor": self.corrected.document() if self.corrected else None,
            "closure": [each.document() for each in self.closure],
        }


def point_of(model_name: str, values: Mapping[str, object]) -> tuple[Point, Mapping[str, Any]]:
    """A checked point of a model, and what the model feeds there. Raises UsageError."""
    model = signals.find(model_name)
    point = model.point(values)
    return Point(model_name, point.parameters(), model.validity(point), model.record.order), model.feeds(point)
