"""Scan documents for tests, of invented physics: smooth numbers of a plausible size, which no experiment has measured.

`document()` is a grid of an axial mediator: mu rises steeply with m_med, and steeper where 2 m_dm > m_med. `recorded()`
is a real one, as `recast-dm scan specs/cms-exo-20-004 --model spin1-axial --grid m_med=500:2500:250
--grid m_dm=1,100,250,400,600,800` wrote it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

M_MED = (500.0, 1000.0, 1500.0, 2000.0, 2500.0, 3000.0)
M_DM = (1.0, 200.0, 400.0, 600.0, 800.0, 1000.0)
BAND = (0.52, 0.71, 1.0, 1.42, 1.95)
"""What the expected limit is multiplied with at -2, -1, 0, +1 and +2 sigma."""
OBSERVED = 1.6
"""Observed over expected limit."""
CROSSING = 1850.0
"""GeV: m_med at which the invented observed mu_UL is 1 where phase space costs nothing."""
RECORDED = Path(__file__).with_name("data") / "scans" / "cms-exo-20-004-axial.json"
MAP_ENDS = 2600.0
"""GeV: heavier mediators are not covered."""


def recorded() -> dict[str, Any]:
    """The real one. Its numbers are those of the day; tests hold to what must be so on any."""
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def mu_observed(m_med: float, m_dm: float) -> float:
    """log mu is linear in m_med, and in the logarithm of the phase space."""
    squared = 1 - 4 * m_dm**2 / m_med**2
    phase_space = squared**1.5 if squared > 0.04 else 0.04**1.5 * math.exp(8 * (squared - 0.04))
    return math.exp((m_med - CROSSING) / 480) / phase_space


def sigma(m_med: float, m_dm: float) -> float:
    """pb; falls as a power, and with the phase space."""
    return 8.3 * (1000 / m_med) ** 4.6 * min(mu_observed(m_med, 1) / mu_observed(m_med, m_dm), 1)


def validity(parameters: Mapping[str, float]) -> list[dict[str, Any]]:
    bound = math.sqrt(math.pi / 2) * parameters["m_med"] / parameters["g_dm"]
    on_shell = 2 * parameters["m_dm"] < parameters["m_med"]
    inside = parameters["m_dm"] < bound
    return [
        {"name": "unitarity-dm", "ok": inside, "text": f"m_dm {'<' if inside else '>='} {bound:.0f} GeV"},
        {"name": "on-shell", "ok": on_shell, "text": "2 m_dm < m_med" if on_shell else "the mediator is off-shell"},
    ]


def point(parameters: Mapping[str, float]) -> dict[str, Any]:
    """A finished point, or one that the invented map does not cover."""
    common = {"parameters": dict(parameters), "validity": validity(parameters)}
    if parameters["m_med"] > MAP_ENDS:
        reason = f"m_med = {parameters['m_med']:.0f} GeV lies outside of the map"
        return {**common, "status": "not covered", "reason": reason}
    observed = mu_observed(parameters["m_med"], parameters["m_dm"])
    expected = [observed / OBSERVED * factor for factor in BAND]
    rate = sigma(parameters["m_med"], parameters["m_dm"])
    return {
        **common,
        "status": "done",
        "reason": None,
        "sigma_pb": rate,
        "sigma_pb_mc_error": 0.005,
        "cls_obs": _cls(observed),
        "cls_exp": [_cls(mu) for mu in expected],
        "mu_upper_obs": observed,
        "mu_upper_exp": expected,
        "mu_upper_obs_mc_error": 0.01,
        "mu_upper_exp_mc_error": 0.008,
        "sigma_upper_obs_pb": rate * observed,
        "sigma_upper_exp_pb": [rate * mu for mu in expected],
        "excluded": observed < 1,
        "excluded_expected": expected[2] < 1,
        "correlation_model": "covariance",
        "likelihood": "covariance",
        "uncertainties": [
            {"source": "monte-carlo", "relative": 0.01, "how": "invented for tests"},
            {"source": "cross-section", "relative": 0.08, "how": "invented for tests"},
        ],
        "closure": [],
    }


def _cls(mu: float) -> float:
    """A CLs that is .05 where the limit on mu is 1."""
    return math.exp(math.log(0.05) / mu**0.7)


def document(
    m_med: Sequence[float] = M_MED,
    m_dm: Sequence[float] = M_DM,
    *,
    model: str = "spin1-axial",
    fixed: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A scan over m_med and m_dm (over one of them where the other has one value)."""
    couplings = {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0} if fixed is None else dict(fixed)
    axes = {name: list(values) for name, values in (("m_med", m_med), ("m_dm", m_dm)) if len(values) > 1}
    alone = {name: values[0] for name, values in (("m_med", m_med), ("m_dm", m_dm)) if len(values) == 1}
    points = [point({"m_med": med, "m_dm": dm, **couplings}) for med, dm in product(m_med, m_dm)]
    return whole(points, axes, {**alone, **couplings}, model)


def whole(
    points: Sequence[Mapping[str, Any]], axes: Mapping[str, Any], fixed: Mapping[str, float], model: str
) -> dict[str, Any]:
    """A scan document around points."""
    return {
        "schema": "recast-dm/scan/1",
        "analysis": "synthetic-monojet",
        "title": "SYNTHETIC numbers for tests: no measurement",
        "capsule": "c0de" * 16,
        "references": {"arxiv": "2107.13021"},
        "model": model,
        "order": "LO",
        "grid": dict(axes),
        "fixed": dict(fixed),
        "overrides": {},
        "luminosity_fb": 137.0,
        "sqrt_s_tev": 13.0,
        "k_factor": None,
        "points": [dict(one) for one in points],
        "closure": [
            _closure({"m_med": 1000.0, "m_dm": 1.0}, 0.166, 0.110),
            _closure({"m_med": 2250.0, "m_dm": 1.0}, None, 1.88),
        ],
        "spot_check": {"reference": "pyhf", "points": 3, "largest_cls_difference": 2e-5},
        "contour": None,
        "images": [
            {
                "reference": "recast-dm/limits:1.0",
                "image_id": "sha256:" + "ab" * 32,
                "diff_ids": ["sha256:" + "cd" * 32],
                "registry_digest": None,
                "platform": "linux/amd64",
            }
        ],
        "run_dir": None,
    }


def _closure(parameters: Mapping[str, float], ours: float | None, published: float) -> dict[str, Any]:
    ratio = None if ours is None else ours / published
    return {
        "model": "spin1-axial",
        "parameters": {**parameters, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0},
        "quantity": "mu_upper_obs",
        "ours": ours,
        "published": published,
        "ratio": ratio,
        "tolerance": 0.2,
        "agrees": None if ratio is None else abs(ratio - 1) <= 0.2,
        "source": "invented for tests",
    }


def couplings(m_med: Sequence[float] = M_MED[:5], g_q: Sequence[float] = (0.05, 0.1, 0.25, 0.5)) -> dict[str, Any]:
    """A scan over m_med and g_q at a light m_dm: mu falls as the square of g_q."""
    fixed = {"m_dm": 1.0, "g_dm": 1.0, "g_l": 0.0}
    points = []
    for med, coupling in product(m_med, g_q):
        one = point({"m_med": med, **fixed, "g_q": coupling})
        scale = (0.25 / coupling) ** 2
        one["mu_upper_obs"] *= scale
        one["mu_upper_exp"] = [mu * scale for mu in one["mu_upper_exp"]]
        one["sigma_pb"] /= scale
        one["excluded"] = one["mu_upper_obs"] < 1
        one["excluded_expected"] = one["mu_upper_exp"][2] < 1
        points.append(one)
    return whole(points, {"m_med": list(m_med), "g_q": list(g_q)}, fixed, "spin1-axial")
