"""A limit on the signal strength mu of one signal, as an analysis' limit stage writes it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recast_dm.errors import StatisticsError

LEVEL = 0.05
"""A signal is excluded at 95 % CL when its CLs is below this."""
NO_CONVERGENCE = 7
"""The exit code by which a limit stage says that a fit did not converge."""


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """One part of a limit's uncertainty: its source, its size relative to the limit on mu, and how it was found."""

    source: str
    relative: float
    how: str

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class NotCovered:
    """A point about which an analysis says nothing, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """CLs at mu = 1 and 95 % CL upper limits on mu; sigma in pb.

    The `_exp` tuples hold five numbers in pyhf's order: -2, -1, 0, +1, +2 sigma. MC errors of limits are relative, that
    of sigma is in pb. `sigma_pb` is the cross-section that mu = 1 stands for; `likelihood` names the implementation.
    """

    sigma_pb: float
    sigma_pb_mc_error: float
    cls_obs: float
    cls_exp: tuple[float, ...]
    mu_upper_obs: float
    mu_upper_exp: tuple[float, ...]
    mu_upper_obs_mc_error: float
    mu_upper_exp_mc_error: float
    correlation_model: str
    likelihood: str | None = None
    uncertainties: tuple[Uncertainty, ...] = ()

    @property
    def sigma_upper_obs_pb(self) -> float:
        return self.mu_upper_obs * self.sigma_pb

    @property
    def sigma_upper_exp_pb(self) -> tuple[float, ...]:
        return tuple(mu * self.sigma_pb for mu in self.mu_upper_exp)

    @property
    def excluded(self) -> bool:
        """Whether mu = 1 is excluded at 95 % CL."""
        return self.cls_obs < LEVEL

    @property
    def excluded_expected(self) -> bool:
        return self.cls_exp[2] < LEVEL


def read_outcome(path: Path) -> Limit | NotCovered:
    """What a limit stage wrote. Raises StatisticsError for anything but a complete, finite, sane limit, or a reason."""
    from recast_dm import schemas  # here, because images carry this room without that one

    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StatisticsError(f"the limit stage's output {path} cannot be read: {error}") from None
    if found := schemas.problem("limit-stage-1", document):
        raise StatisticsError(f"the limit stage's output {path} is not a limit: {found[1]}")
    if "not_covered" in document:
        return NotCovered(document["not_covered"])
    return _limit(document, path)


def read_limit(path: Path) -> Limit:
    """The limit in a limit stage's output. Raises StatisticsError also where the point is not covered."""
    outcome = read_outcome(path)
    if isinstance(outcome, NotCovered):
        raise StatisticsError(f"{path} holds no limit: {outcome.reason}")
    return outcome


def _limit(document: dict[str, Any], path: Path) -> Limit:
    limit = Limit(
        sigma_pb=document["sigma_pb"],
        sigma_pb_mc_error=document["sigma_pb_mc_error"],
        cls_obs=document["cls_obs"],
        cls_exp=tuple(document["cls_exp"]),
        mu_upper_obs=document["mu_upper_obs"],
        mu_upper_exp=tuple(document["mu_upper_exp"]),
        mu_upper_obs_mc_error=document["mu_upper_obs_mc_error"],
        mu_upper_exp_mc_error=document["mu_upper_exp_mc_error"],
        correlation_model=document["correlation_model"],
        likelihood=document.get("likelihood"),
        uncertainties=tuple(Uncertainty(**each) for each in document.get("uncertainties", ())),
    )
    _check(limit, path)
    return limit


def _check(limit: Limit, path: Path) -> None:
    errors = (limit.sigma_pb_mc_error, limit.mu_upper_obs_mc_error, limit.mu_upper_exp_mc_error)
    numbers = (limit.sigma_pb, limit.cls_obs, *limit.cls_exp, limit.mu_upper_obs, *limit.mu_upper_exp, *errors)
    if not all(abs(number) < sys.float_info.max for number in numbers):  # also false for NaN
        raise StatisticsError(f"the limit in {path} holds a number that is not finite: the fit did not converge")
    if any(error < 0 for error in errors):
        raise StatisticsError(f"an MC error in {path} is negative")
    if any(not -1e-6 <= cls <= 1 + 1e-6 for cls in (limit.cls_obs, *limit.cls_exp)):
        raise StatisticsError(f"a CLs in {path} is not between 0 and 1: the fit did not converge")
    for name, band in (("cls_exp", limit.cls_exp), ("mu_upper_exp", limit.mu_upper_exp)):
        if list(band) != sorted(band):
            raise StatisticsError(f"{name} in {path} is not in rising order: {band}")
    if limit.excluded != (limit.mu_upper_obs < 1) and abs(limit.mu_upper_obs - 1) > 0.01:
        raise StatisticsError(
            f"{path} contradicts itself: CLs(mu=1) = {limit.cls_obs:.4g}, but mu < {limit.mu_upper_obs:.4g} at 95 % CL"
        )
