"""One scan, other couplings: limits scaled as the rate of a narrow resonance (arXiv:2203.12035), without new events.

mu_UL goes with the inverse of the rate, g_q^2 times the branching ratio to dark matter. Limits on the cross-section
stay as they are where the kinematics do. Where that does not hold (wide, off the mass shell, another family), the point
says so in its validity. CLs at mu = 1 would need the likelihood, so it is not given.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recast_dm import signals
from recast_dm.errors import UsageError
from recast_dm.reinterpret.grid import MOST
from recast_dm.signals import rescale as physics


def rescaled(
    document: Mapping[str, Any],
    *,
    model: str | None = None,
    settings: Mapping[str, float] | None = None,
    axes: Mapping[str, Sequence[float]] | None = None,
    at: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The scan document of other couplings, or another model of the family.

    `settings` are new values of parameters, `axes` parameters that vary anew (coupling-mass planes), `at` picks a slice
    of the scan. Masses cannot be changed: other masses have other kinematics. Raises UsageError.
    """
    settings, axes, at = dict(settings or {}), {n: tuple(v) for n, v in (axes or {}).items()}, dict(at or {})
    target = signals.find(model or document["model"])
    _demand_couplings(target, {*settings, *axes})
    kept = {name: values for name, values in document["grid"].items() if name not in at}
    points = [point for point in document["points"] if _lies_at(point["parameters"], at)]
    if not points:
        raise UsageError("the scan has no point there", hint=f"its grid: {_grid(document)}")
    rows = list(itertools.product(*axes.values()))
    if len(points) * len(rows) > MOST:
        raise UsageError(f"that makes {len(points) * len(rows)} points", hint=f"at most {MOST}")
    found = [
        _point(document["model"], point, target, {**settings, **dict(zip(axes, row, strict=True))})
        for point in points
        for row in rows
    ]
    changed = {name for name in (*settings, *axes) if name in kept}
    if changed:
        raise UsageError(f"{changed.pop()} varies in the scan", hint="pick a value with --at NAME=VALUE first")
    varied = {**{name: list(values) for name, values in kept.items()}, **{n: sorted(set(v)) for n, v in axes.items()}}
    first = found[0]["parameters"]
    return {
        **document,
        "model": target.record.name,
        "grid": varied,
        "fixed": {name: value for name, value in first.items() if name not in varied},
        "points": found,
        "closure": [],
        "k_factor": None,
        "contour": None,
        "spot_check": None,
        "rescaled": {"from": {"model": document["model"], "fixed": dict(document["fixed"])}, "source": physics.SOURCE},
    }


def _demand_couplings(model: signals.SignalModel, names: set[str]) -> None:
    for name in sorted(names):
        known = [parameter for parameter in model.record.parameters if parameter.name == name]
        if not known:
            couplings = ", ".join(each.name for each in model.record.parameters if each.unit == "1")
            raise UsageError(f"{model.record.name} has no parameter {name!r}", hint=f"its couplings: {couplings}")
        if known[0].unit != "1":
            raise UsageError(f"{name} is no coupling: other masses have other kinematics", hint="scan them")


def _lies_at(parameters: Mapping[str, float], at: Mapping[str, float]) -> bool:
    return all(name in parameters and math.isclose(parameters[name], value) for name, value in at.items())


def _grid(document: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} = {', '.join(f'{v:g}' for v in values)}" for name, values in document["grid"].items())


def _point(old: str, point: Mapping[str, Any], target: signals.SignalModel, new: Mapping[str, float]) -> dict[str, Any]:
    names = {parameter.name for parameter in target.record.parameters}
    wanted = {**{name: value for name, value in point["parameters"].items() if name in names}, **new}
    try:
        there = target.point(wanted)
    except UsageError as error:
        return {"parameters": wanted, "status": "not covered", "reason": error.message, "validity": []}
    validity = [finding.document() for finding in target.validity(there)]
    if point["status"] != "done":
        return {**point, "parameters": there.parameters(), "validity": validity}
    model = signals.find(old)
    scaling = physics.rescaled(model, model.point(point["parameters"]), target, there)
    return {
        **point,
        **dict(_numbers(point, scaling.factor)),
        "parameters": there.parameters(),
        "validity": validity + [finding.document() for finding in scaling.findings],
        "cls_obs": None,
        "cls_exp": None,
        "k_factor": None,
        "closure": [],
    }


def _numbers(point: Mapping[str, Any], factor: float) -> Iterator[tuple[str, Any]]:
    """What follows from the factor by which mu_UL grows."""
    observed, expected = point["mu_upper_obs"] * factor, [each * factor for each in point["mu_upper_exp"]]
    yield "mu_upper_obs", observed
    yield "mu_upper_exp", expected
    for name in ("sigma_pb", "sigma_pb_mc_error"):
        yield name, None if point[name] is None else point[name] / factor
    yield "excluded", observed < 1
    yield "excluded_expected", expected[2] < 1
