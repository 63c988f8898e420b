"""The scheduler `jq-stage`: parameter sets made by jq programs out of the scope's steps and what they published.

Upstream's programs see `{"$wflowpointer": {"step": ..., "result": ...}}` in place of each published value, so that it
knows afterwards which steps were used; so do they here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recast_dm.engine import values
from recast_dm.engine.scope import PendingError
from recast_dm.engine.select import Element, Sight
from recast_dm.errors import SpecError
from recast_dm.model import JqScheduler, StepId, Value

_REFERENCE, _POINTER = "$wflowref", "$wflowpointer"


def parameter_sets(script: JqScheduler, sight: Sight) -> list[Element]:
    """What `stepscript` and `postscript` make: each step's parameters, and the steps that they came from."""
    bindings = _replace(script.bindings, _REFERENCE, lambda found: _referenced(found[_REFERENCE], script, sight))
    sets = values.jq_first(script.stepscript, values.freeze(bindings), script.where)
    if not isinstance(sets, tuple):
        raise SpecError("the stepscript must make a list: one element for each step", where=script.where)
    made = []
    for each in sets:
        sources: list[StepId] = []
        plain = _replace(values.thaw(each), _POINTER, lambda found: _pointed(found[_POINTER], script, sight, sources))  # noqa: B023  # used at once
        finished = values.decoded(values.jq_first(script.postscript, values.freeze(plain), script.where), script.where)
        made.append((finished, tuple(dict.fromkeys(sources))))
    return made


def _replace(value: Any, key: str, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    """A plain value in which every mapping that has a key is something else."""
    if isinstance(value, Mapping):
        if key in value:
            return change(value)
        return {name: _replace(item, key, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(item, key, change) for item in value]
    return value


def _referenced(pair: Any, script: JqScheduler, sight: Sight) -> Any:
    """`[NODES, RESULTS]`: what the second program makes of the result of each step that the first one selects."""
    nodes, results = pair
    try:
        selected = values.jq_all(nodes, values.freeze(sight.scope.view()), script.where)
    except SpecError as error:  # a stage that is not there yet is null, and jq cannot go into that
        raise PendingError(None, error.message) from None
    return _replace(values.thaw(tuple(selected)), "_nodeid", lambda node: _results(node, results, script, sight))


def _results(node: Mapping[str, Any], program: str, script: JqScheduler, sight: Sight) -> Any:
    step = StepId.parse(str(node["_nodeid"]))
    if step not in sight.published:
        raise PendingError(None, f"{step} has not published")
    pointers = values.freeze(_pointers(sight.published[step], str(step), ""))
    return values.thaw(tuple(values.jq_all(program, pointers, script.where)))


def _pointers(value: Value, step: str, way: str) -> Any:
    """A value with each leaf replaced by a pointer to it. As upstream, null and false stay what they are."""
    if isinstance(value, Mapping):
        return {key: _pointers(item, step, f"{way}/{_escaped(key)}") for key, item in value.items()}
    if isinstance(value, tuple):
        return [_pointers(item, step, f"{way}/{n}") for n, item in enumerate(value)]
    if value is None or value is False:
        return value
    return {_POINTER: {"step": step, "result": way}}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pointed(pointer: Any, script: JqScheduler, sight: Sight, sources: list[StepId]) -> Any:
    try:
        step = StepId.parse(pointer["step"])
        value: Any = sight.published[step]
        for raw in pointer["result"].split("/")[1:]:
            part = raw.replace("~1", "/").replace("~0", "~")
            value = value[int(part)] if isinstance(value, tuple) else value[part]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise SpecError(f"{pointer!r} points at no published value", where=script.where) from None
    sources.append(step)
    return value
