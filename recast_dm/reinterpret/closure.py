"""Closure: our number beside the published one, for the same point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recast_dm.spec.analysis import Published
from recast_dm.statistics import Limit


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


def compare(
    published: Iterable[Published], model: str | None, parameters: Mapping[str, float], limit: Limit
) -> tuple[Closure, ...]:
    """Every published number for exactly this point, beside ours."""
    ours = {
        "sigma_upper_obs_pb": limit.sigma_upper_obs_pb,
        "sigma_pb": limit.sigma_pb,
        "mu_upper_obs": limit.mu_upper_obs,
        "mu_upper_exp": limit.mu_upper_exp[2],
    }
    return tuple(
        Closure(p.quantity, ours[p.quantity], p.value, p.tolerance, p.source)
        for p in published
        if p.model == model and same_point(p.parameters, parameters)
    )


def same_point(published: Mapping[str, float], parameters: Mapping[str, float]) -> bool:
    """Whether every parameter that the publication names has its value here.

    >>> same_point({"m_med": 2000}, {"m_med": 2000.0, "g_q": 0.25})
    True
    """
    return all(
        name in parameters and math.isclose(parameters[name], value, rel_tol=1e-9) for name, value in published.items()
    )
