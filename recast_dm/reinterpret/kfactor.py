"""A limit at leading order beside the same limit with a K-factor: a named choice, never a silent one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from recast_dm import signals
from recast_dm.statistics.limit import Limit

if TYPE_CHECKING:
    from recast_dm.signals import kfactor as kfactors


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """The limit on mu when the cross-section is `value` times as large. Limits on the cross-section stay as they are.

    `name` is the choice (`drell-yan`, or a table's), `source` where the number comes from. The five expected limits
    are in pyhf's order, -2 to +2 sigma.
    """

    name: str
    source: str
    value: float
    mu_upper_obs: float
    mu_upper_exp: tuple[float, ...]

    @property
    def excluded(self) -> bool:
        return self.mu_upper_obs < 1

    @property
    def excluded_expected(self) -> bool:
        return self.mu_upper_exp[2] < 1

    def document(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "mu_upper_exp": list(self.mu_upper_exp),
            "excluded": self.excluded,
            "excluded_expected": self.excluded_expected,
        }


class Choice(Protocol):
    """Which K-factor to show beside leading order."""

    def at(self, model: str, parameters: Mapping[str, float], limit: Limit) -> Corrected | None:
        """The limit with the K-factor of a point; None where the choice says nothing about it."""
        ...


def corrected(limit: Limit, name: str, source: str, value: float) -> Corrected:
    """A limit with a K-factor: the rate of mu = 1 grows by it, so mu falls by it."""
    return Corrected(
        name=name,
        source=source,
        value=value,
        mu_upper_obs=limit.mu_upper_obs / value,
        mu_upper_exp=tuple(each / value for each in limit.mu_upper_exp),
    )


@dataclass(frozen=True, slots=True)
class _OfModel:
    """A K-factor as a function of a model's point."""

    factor: kfactors.KFactor

    def at(self, model: str, parameters: Mapping[str, float], limit: Limit) -> Corrected | None:
        value = self.factor.at(signals.find(model).point(parameters))
        return None if value is None else corrected(limit, self.factor.name, self.factor.source, value)


def chosen(word: str) -> Choice:
    """The K-factor of a name (`drell-yan`) or of a table in a file. Raises UsageError, SpecError."""
    from recast_dm.signals import kfactor as kfactors  # numbers that only this choice needs

    return _OfModel(kfactors.find(word))
