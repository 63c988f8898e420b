"""The limit stage: a workspace, a patch and what is known of the signal become a `recast-dm/limit-stage/1` document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.errors import UsageError
from recast_dm.statistics import found, uncertainty
from recast_dm.statistics.asymptotic import Test
from recast_dm.statistics.workspace import Model, read_model

SCHEMA = "recast-dm/limit-stage/1"
SIGNAL = "recast-dm/signal/1"
KEPT = ("acceptance_times_efficiency",)
"""Entries of the signal's document that the limit's repeats."""


def run(*, workspace: Path, patch: Path, signal: Path, limit: Path, likelihood: str = found.AUTO) -> None:
    """Reads the inputs and writes the document. Raises UsageError, or StatisticsError when a fit does not converge.

    Where the signal's document says `not_covered`, so does the limit's, and nothing else is read.
    """
    about = read_signal(signal)
    if (reason := about.get("not_covered")) is not None:
        write(limit, {"schema": SCHEMA, "not_covered": reason})
    else:
        write(limit, document(read_model(workspace, patch), about, likelihood))


def document(model: Model, signal: Mapping[str, Any], likelihood: str = found.AUTO) -> dict[str, Any]:
    """The limit on a signal, as the limit stage writes it.

    Where the workspace gives bins and one error each, how the limit depends on their correlation is one more item of
    its uncertainty.
    """
    test = Test(found.bind(model, likelihood))
    upper = test.upper_limits()  # first: its fits are beginnings for those at mu = 1
    at_one = test.hypotest(1.0)
    items = [dict(each) for each in signal.get("uncertainties", ())]
    if (spread := uncertainty.correlations(uncertainty.by_correlation_model(model))) is not None:
        items.append(spread.document())
    return {
        "schema": SCHEMA,
        "sigma_pb": signal["sigma_pb"],
        "sigma_pb_mc_error": signal["sigma_pb_mc_error"],
        "cls_obs": at_one.cls_obs,
        "cls_exp": list(at_one.cls_exp),
        "mu_upper_obs": upper.observed,
        "mu_upper_exp": list(upper.expected),
        "mu_upper_obs_mc_error": signal["mu_mc_error"],
        "mu_upper_exp_mc_error": signal["mu_mc_error"],
        "correlation_model": signal["correlation_model"],
        "likelihood": test.likelihood.name,
        "uncertainties": items,
        "poi": model.poi,
        **{name: signal[name] for name in KEPT if name in signal},
    }


def read_signal(path: Path) -> dict[str, Any]:
    """The signal's document (schema `recast-dm/signal/1`). Raises UsageError for anything else."""
    try:
        signal = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if not isinstance(signal, dict) or signal.get("schema") != SIGNAL:
        raise UsageError(f"{path} is not a {SIGNAL} document")
    if (reason := signal.get("not_covered")) is not None:
        if not isinstance(reason, str) or not reason:
            raise UsageError(f"{path}: `not_covered` is a sentence that says why")
        return signal
    for name in ("sigma_pb", "sigma_pb_mc_error", "mu_mc_error"):
        value = signal.get(name)
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise UsageError(f"{path}: {name} is {value!r}, not a number")
    if not isinstance(signal.get("correlation_model"), str):
        raise UsageError(f"{path}: correlation_model is not a word")
    return signal


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a document, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
