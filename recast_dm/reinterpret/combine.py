"""Several searches together at the same points of one model: the product of their likelihoods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recast_dm.errors import StatisticsError, UsageError
from recast_dm.statistics.limit import LEVEL

if TYPE_CHECKING:
    from recast_dm.statistics.asymptotic import Test

SCHEMA = "recast-dm/combination/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A search at a point: the point of its scan document, its background-only workspace and its signal patch."""

    point: Mapping[str, Any]
    workspace: Mapping[str, Any]
    patch: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What one search found: of which analysis and model, where, and its points that have a likelihood."""

    analysis: str
    capsule: str | None
    model: str
    run_dir: str
    members: tuple[Member, ...]


def combined(searches: Sequence[Search]) -> dict[str, Any]:
    """The JSON document `recast-dm/combination/1`: limits of all searches together, beside those of each alone.

    Searches are taken to be uncorrelated, in data and in nuisance parameters; the document says so. Raises UsageError
    when they have no point in common, StatisticsError when a fit does not converge.
    """
    from recast_dm.statistics.combination import ASSUMPTION

    _demand_different(searches)
    points = [_point(names_of(searches), together) for together in _common(searches)]
    if not points:
        raise UsageError(
            "these searches have no point in common",
            hint="run each at the same points of the same model; their run directories must still hold the likelihoods",
        )
    return {
        "schema": SCHEMA,
        "model": searches[0].model,
        "assumption": ASSUMPTION,
        "searches": [
            {"name": name, "analysis": each.analysis, "capsule": each.capsule, "run_dir": each.run_dir}
            for name, each in zip(names_of(searches), searches, strict=True)
        ],
        "points": points,
    }


def _demand_different(searches: Sequence[Search]) -> None:
    if len(searches) < 2:
        raise UsageError("a combination needs two searches or more")
    if len({each.model for each in searches}) > 1:
        raise UsageError(f"these are of different models: {', '.join(sorted({each.model for each in searches}))}")
    names = [each.analysis for each in searches]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{twice} is there twice", hint="the same data cannot be counted twice")


def names_of(searches: Sequence[Search]) -> tuple[str, ...]:
    """What each search is called in the combination."""
    return tuple(each.analysis for each in searches)


def _common(searches: Sequence[Search]) -> Iterator[tuple[Member, ...]]:
    """The points that every search has, in the order of the first."""
    for first in searches[0].members:
        others = [_same(first.point["parameters"], each.members) for each in searches[1:]]
        found = [each for each in others if each is not None]
        if len(found) == len(others):
            yield (first, *found)


def _same(parameters: Mapping[str, float], members: Sequence[Member]) -> Member | None:
    for member in members:
        theirs = member.point["parameters"]
        if theirs.keys() == parameters.keys() and all(
            math.isclose(theirs[name], value, rel_tol=1e-9) for name, value in parameters.items()
        ):
            return member
    return None


def _point(names: Sequence[str], together: Sequence[Member]) -> dict[str, Any]:
    from recast_dm.statistics import found
    from recast_dm.statistics.asymptotic import Test
    from recast_dm.statistics.combination import Product
    from recast_dm.statistics.workspace import Model

    parts = {
        name: found.bind(Model(member.workspace, member.patch)) for name, member in zip(names, together, strict=True)
    }
    return {
        "parameters": dict(together[0].point["parameters"]),
        **_limits(Test(Product(parts))),
        "alone": {
            name: {key: member.point[key] for key in ("mu_upper_obs", "mu_upper_exp", "cls_obs", "excluded")}
            for name, member in zip(names, together, strict=True)
        },
    }


def _limits(test: Test) -> dict[str, Any]:
    at_one, upper = test.hypotest(1.0), test.upper_limits()
    if not math.isfinite(upper.observed):
        raise StatisticsError("the combined limit is not finite: the fit did not converge")
    return {
        "cls_obs": at_one.cls_obs,
        "cls_exp": list(at_one.cls_exp),
        "mu_upper_obs": upper.observed,
        "mu_upper_exp": list(upper.expected),
        "excluded": at_one.cls_obs < LEVEL,
        "excluded_expected": at_one.cls_exp[2] < LEVEL,
    }
