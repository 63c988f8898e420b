"""Closure: our number beside the published one, for the same point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recast_dm import signals
from recast_dm.spec.analysis import Published
from recast_dm.statistics import Limit

if TYPE_CHECKING:
    from recast_dm.reinterpret.points import Answer


@dataclass(frozen=True, slots=True)
class Closure:
    """One comparison. `tolerance` is relative; `source` says where the published number stands."""

    quantity: str
    ours: float
    published: float
    tolerance: float
    source: str

    @property
    def ratio(self) -> float:
        return self.ours / self.published

    @property
    def agrees(self) -> bool:
        return abs(self.ratio - 1) <= self.tolerance

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "agrees": self.agrees}


def value(quantity: str, limit: Limit) -> float:
    """A published quantity, as a limit of ours has it."""
    return {
        "sigma_upper_obs_pb": limit.sigma_upper_obs_pb,
        "sigma_pb": limit.sigma_pb,
        "mu_upper_obs": limit.mu_upper_obs,
        "mu_upper_exp": limit.mu_upper_exp[2],
    }[quantity]


def table(published: Iterable[Published], model: str, answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """Every published number, beside ours where that point of that model was run; `ours` is None elsewhere."""
    run = [(each.point.parameters, each.limit) for each in answers if each.point and each.limit]
    return [_row(each, model, run) for each in published]


def _row(published: Published, model: str, run: Sequence[tuple[Mapping[str, float], Limit]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": published.model,
        "parameters": dict(published.parameters),
        "quantity": published.quantity,
        "ours": None,
        "published": published.value,
        "ratio": None,
        "tolerance": published.tolerance,
        "agrees": None,
        "source": published.source,
    }
    for parameters, limit in run:
        for found in compare([published], model, parameters, limit):
            row |= found.document()
    return row


def compare(
    published: Iterable[Published], model: str | None, parameters: Mapping[str, float], limit: Limit
) -> tuple[Closure, ...]:
    """Every published number for exactly this point, beside ours."""
    return tuple(
        Closure(p.quantity, value(p.quantity, limit), p.value, p.tolerance, p.source)
        for p in published
        if p.model == model and same_point(p.model, p.parameters, parameters)
    )


def same_point(model: str, published: Mapping[str, float], parameters: Mapping[str, float]) -> bool:
    """Whether a published point, with the model's defaults for what it does not name, is this one.

    >>> here = {"m_med": 2000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
    >>> same_point("spin1-axial", {"m_med": 2000, "m_dm": 1}, here)
    True
    """

    whole = signals.find(model).point(published).parameters()
    return whole.keys() == parameters.keys() and all(
        math.isclose(parameters[name], value, rel_tol=1e-9) for name, value in whole.items()
    )
