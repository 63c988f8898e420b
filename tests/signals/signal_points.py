"""Hypothesis strategies: values that a model accepts."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from recast_dm.signals import Parameter, SignalRecord


def values_of(parameter: Parameter) -> st.SearchStrategy[float | int]:
    low, high = parameter.lower.value, parameter.upper.value
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind == "integer":
        return st.integers(int(low), int(high))
    if parameter.nonzero and low == 0:
        low = 1e-6
    if low > 0:  # over decades, as masses and couplings are scanned
        logs = st.floats(math.log(low), math.log(high))
        return logs.map(lambda log: min(max(math.exp(log), low), high))
    return st.floats(low, high)


def values_for(record: SignalRecord) -> st.SearchStrategy[dict[str, float | int]]:
    """Values inside the ranges; the rest of the model may still refuse the point."""
    required = {p.name: values_of(p) for p in record.parameters if p.required}
    optional = {p.name: values_of(p) for p in record.parameters if not p.required}
    return st.fixed_dictionaries(required, optional=optional)
