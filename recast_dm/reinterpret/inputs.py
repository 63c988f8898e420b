"""The init parameters of a point: what recast.yml says a signal model feeds, and what the user overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recast_dm.errors import SpecError, UsageError
from recast_dm.reinterpret.subject import Subject
from recast_dm.spec.analysis import Signal
from recast_dm.spec.shape import did_you_mean


def signal_inputs(signal: Signal, feeds: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The init parameters that carry a signal, taken from what a model feeds by their dotted names.

    >>> signal_inputs(Signal("pythia8", {"words": "pythia8.settings"}), {"pythia8": {"settings": ["32:m0=2000"]}}, "m")
    {'words': ['32:m0=2000']}
    """
    formats = {signal.format: signal.init, **signal.other}
    chosen = next((name for name in formats if name in feeds), None)
    if chosen is None:
        fed = ", ".join(sorted(name for name in feeds if name != "parameters"))
        raise UsageError(
            f"the analysis takes its signal as {' or '.join(formats)}; the model {model!r} feeds {fed}",
            hint="`recast-dm models ls` lists the models",
        )
    return {parameter: _pick(feeds, source, model) for parameter, source in formats[chosen].items()}


def left_alone(signal: Signal, carried: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """What parameters that carry a signal in another format are in this one: the plain values of `example_inputs`.

    Never those of the example's signal, which subjects start from. Raises SpecError where there is no plain value.

    >>> left_alone(Signal("a", {"x": "a.x"}, {"b": {"y": "b.y"}}), {"y": 1}, {"x": 0})
    {'x': 0}
    """
    others = set(signal.init) - set(carried)
    if lost := sorted(others - set(example)):
        raise SpecError(
            f"recast.yml does not say what {lost[0]!r} is where another format carries the signal",
            hint=f"give it a value in example_inputs, or name it under the format: {', '.join(lost)}",
        )
    return {name: example[name] for name in sorted(others)}


def _pick(feeds: Mapping[str, Any], source: str, model: str) -> Any:
    value: Any = feeds
    for part in source.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = value if isinstance(value, Mapping) else ()
            raise SpecError(
                f"recast.yml takes an init parameter from {source!r}, which the model {model!r} does not feed",
                hint=did_you_mean(part, known),
            )
        value = value[part]
    return value


def demand_free(carried: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Raises UsageError for a `-p` value that a model's point would replace."""
    for name in overrides:
        if name in carried:
            raise UsageError(f"the init parameter {name!r} carries the signal", hint="leave it out: the model sets it")


def override(subject: Subject, values: Mapping[str, Any]) -> dict[str, Any]:
    """The init parameters with the user's `-p` values.

    Of a capsule or an analysis only those that exist, and never what carries the signal.
    """
    analysis, initdata = subject.analysis, subject.initdata
    if analysis is None:
        return {**initdata, **values}
    carried = set(analysis.signal.init) if analysis.signal else set()
    for name in values:
        if name in carried:
            raise UsageError(
                f"the init parameter {name!r} carries the signal",
                hint="choose a model and a point with `rerun`",
            )
        if name not in initdata:
            raise UsageError(
                f"{analysis.name} has no init parameter {name!r}",
                hint=did_you_mean(name, set(initdata) - carried),
            )
    return {**initdata, **values}
