"""Comparing two documents of a limit stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from recast_dm import schemas
from recast_dm.capsule.comparison.documents import Malformed, Verdict
from recast_dm.capsule.comparison.numbers import deviation
from recast_dm.spec.reference import Rule

_SIGMAS = ("-2 sigma", "-1 sigma", "median", "+1 sigma", "+2 sigma")


def compare(rule: Rule, first: Any, second: Any) -> Verdict:
    """Cross-section and upper limits within `rtol`, CLs within `rtol` or `atol`; the same correlation model.

    MC errors are not compared: they are estimates themselves. Raises Malformed for what is no limit.
    """
    _check(first, "first")
    _check(second, "second")
    if first["correlation_model"] != second["correlation_model"]:
        models = f"{first['correlation_model']!r} and {second['correlation_model']!r}"
        return Verdict(False, "different", None, f"other correlation models: {models}")
    found = [
        (name, a, b, deviation(a, b, rule.rtol, rule.atol if name.startswith("CLs") else 0.0))
        for (name, a), (_, b) in zip(_numbers(first), _numbers(second), strict=True)
    ]
    name, a, b, worst = max(found, key=lambda each: each[-1].excess)
    said = [f"{name}: {a:.6g} and {b:.6g}"] if worst.measure else []
    excluded = [document["mu_upper_obs"] < 1 for document in (first, second)]
    if excluded[0] != excluded[1]:
        said.append(f"mu = 1 is excluded in the {'first' if excluded[0] else 'second'} only")
    return Verdict(worst.agrees, worst.measure, worst.bound, "; ".join(said))


def _numbers(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What a limit document means, by name. Sigma in pb."""
    sigma = document["sigma_pb"]
    yield "sigma", sigma
    for which, values in (("observed", [document["mu_upper_obs"]]), ("expected", document["mu_upper_exp"])):
        for suffix, mu in zip(_SIGMAS if len(values) > 1 else ("",), values, strict=True):
            name = f"{which} {suffix}".strip()
            yield f"upper limit of mu, {name}", mu
            yield f"upper limit of sigma, {name}", mu * sigma
    yield "CLs, observed", document["cls_obs"]
    for suffix, cls in zip(_SIGMAS, document["cls_exp"], strict=True):
        yield f"CLs, expected {suffix}", cls


def _check(document: Any, which: str) -> None:
    if found := schemas.problem("limit-stage-1", document):
        raise Malformed(f"the {which} is no limit: {found[1][:200]}")
    try:
        finite = all(math.isfinite(number) for _, number in _numbers(document))
    except OverflowError:
        finite = False
    if not finite:
        raise Malformed(f"the {which} holds a number that is not finite")
