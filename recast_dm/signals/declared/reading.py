"""A model out of a YAML file. Every error says where in the file it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast_dm import schemas
from recast_dm.errors import SpecError, UsageError
from recast_dm.signals.declared import template
from recast_dm.signals.declared.derived import Derived
from recast_dm.signals.declared.templated import Templated
from recast_dm.signals.model import SignalModel
from recast_dm.signals.record import (
    Benchmark,
    Bound,
    Citation,
    Fixed,
    Generator,
    Parameter,
    Planes,
    SignalRecord,
)
from recast_dm.signals.text import close_to

if TYPE_CHECKING:
    from recast_dm.spec.text import Node

SCHEMA = "recast-dm/models-file/1"
PYTHIA8 = "pythia8"
"""The base of a model that is words for Pythia."""

Find = Callable[[str], SignalModel]
_WHY = "as the model's file says"
_PYTHIA = Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3")


def read(path: Path, find: Find) -> Derived | Templated:
    """The model in a file; `find` gives the model that it is based on. Raises SpecError with file:line."""
    from recast_dm.spec import text  # yaml, only where a file is read

    return of_node(text.read(path), find)


def of_node(root: Node, find: Find) -> Derived | Templated:
    """The model in a document. Raises SpecError."""
    said = root.plain()
    if problem := schemas.problem("models-file-1", {"schema": SCHEMA, **said} if isinstance(said, dict) else said):
        where, why = problem
        place = "/".join(map(str, where))
        raise SpecError(f"{place}: {why}" if place else why, where=root.at(where).where)
    if root.at(("base",)).value == PYTHIA8:
        return _templated(root)
    return _derived(root, find)


def _templated(root: Node) -> Templated:
    said = root.plain()
    if "fixed" in said:
        raise SpecError("a model of words has nothing to fix", where=root.at(("fixed",)).where, hint="write the number")
    for wanted in ("parameters", "pythia8"):
        if not said.get(wanted):
            raise SpecError(f"base: pythia8 needs {wanted}", where=root.where)
    parameters = tuple(_parameter(root, name) for name in said["parameters"])
    words = said["pythia8"]
    for wanted in ("recoil_id", "invisible_ids"):
        if wanted not in words:
            raise SpecError(f"pythia8 needs {wanted}", where=root.at(("pythia8",)).where)
    known = [parameter.name for parameter in parameters]
    _check_words(root, known)
    width = words.get("width_gev")
    if isinstance(width, str) and width not in known:
        raise _unknown("parameter", width, known, root.at(("pythia8", "width_gev")))
    record = SignalRecord(
        name=said["name"],
        title=said.get("title", said["name"]),
        family="from a file",
        version=str(said.get("version", 1)),
        parameters=parameters,
        fixed=(),
        dm=None,
        mediator=None,
        order="LO",
        generator=Generator("Pythia 8", "that of the analysis", "that of the analysis"),
        validity=(*said.get("validity", ()), "A model from a file: nothing but its words is known here."),
        planes=Planes(dd=(), id="none"),
        citations=(
            *_citations(said),
            Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
        ),
        benchmarks=_benchmarks(root, known),
    )
    return Templated(
        record=record,
        settings=tuple(words["settings"]),
        recoil_id=words["recoil_id"],
        invisible_ids=tuple(words["invisible_ids"]),
        width=width,
        cross_section_factor=words.get("cross_section_factor", 1.0),
    )


def _parameter(root: Node, name: str) -> Parameter:
    """A parameter of a model of words: everything but a default has to be said."""
    node = root.at(("parameters", name))
    said = node.plain()
    if "is" in said:
        raise SpecError("with base: pythia8 there is no other parameter to stand for", where=node.at(("is",)).where)
    missing = [key for key in ("unit", "meaning", "lower", "upper") if key not in said]
    if missing:
        raise SpecError(f"{name} needs {' and '.join(missing)}", where=node.where)
    parameter = Parameter(
        name=name,
        unit=said["unit"],
        meaning=said["meaning"],
        lower=Bound(float(said["lower"]), _WHY),
        upper=Bound(float(said["upper"]), _WHY),
        default=float(said["default"]) if "default" in said else None,
        kind=said.get("kind", "real"),
    )
    return _in_order(parameter, node)


def _in_order(parameter: Parameter, node: Node) -> Parameter:
    low, high = parameter.lower.value, parameter.upper.value
    if not low < high:
        raise SpecError(f"{parameter.name}: lower = {low:g} is not below upper = {high:g}", where=node.where)
    if parameter.default is not None and not low <= parameter.default <= high:
        raise SpecError(
            f"{parameter.name}: default = {parameter.default:g} is out of {parameter.range}", where=node.where
        )
    return parameter


def _derived(root: Node, find: Find) -> Derived:
    said = root.plain()
    base = _base(root, find)
    theirs = [parameter.name for parameter in base.record.parameters]
    fixed = _fixed(root, theirs)
    renamed = dict(_renamed(root, theirs, fixed))
    back = {name: renamed.get(name, name) for name in theirs if name not in fixed}
    parameters = tuple(_inherited(root, base.record.parameter(name), ours) for name, ours in back.items())
    known = [parameter.name for parameter in parameters]
    if len(known) != len(set(known)):
        raise SpecError("two parameters have one name", where=root.at(("parameters",)).where)
    if "pythia8" in said:
        _demand_settings_only(root)
        _check_words(root, known)
    kept = [each for each in base.record.benchmarks if {name for name, _ in each.values} <= set(known)]
    own = _benchmarks(root, known)
    record = replace(
        base.record,
        name=said["name"],
        title=said.get("title", f"{base.record.title}, as {said['name']}"),
        version=str(said.get("version", 1)),
        parameters=parameters,
        fixed=(
            *base.record.fixed,
            *(_fixed_record(base.record, name, value) for name, value in fixed.items()),
        ),
        validity=(*said.get("validity", ()), *base.record.validity),
        citations=(*_citations(said), *base.record.citations),
        benchmarks=own or tuple(kept),
    )
    settings = tuple(said.get("pythia8", {}).get("settings", ()))
    return Derived(record, base, tuple((ours, name) for name, ours in back.items()), tuple(fixed.items()), settings)


def _base(root: Node, find: Find) -> SignalModel:
    node = root.at(("base",))
    try:
        return find(str(node.value))
    except UsageError as error:
        raise SpecError(error.message, where=node.where, hint=f"{error.hint}, or {PYTHIA8}") from None


def _fixed(root: Node, theirs: Collection[str]) -> dict[str, float]:
    fixed: dict[str, float] = root.plain().get("fixed", {})
    for name in fixed:
        if name not in theirs:
            raise _unknown("parameter of the base", name, theirs, root.at(("fixed", name)))
    return {name: float(value) for name, value in fixed.items()}


def _renamed(root: Node, theirs: Collection[str], fixed: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """(the base's name, ours) for each parameter that the file speaks of."""
    for ours, said in root.plain().get("parameters", {}).items():
        node = root.at(("parameters", ours))
        name = said.get("is", ours)
        if name not in theirs:
            raise _unknown("parameter of the base", name, theirs, node)
        if name in fixed:
            raise SpecError(f"{name} is fixed, and cannot be a parameter as well", where=node.where)
        for key in ("unit", "kind"):
            if key in said:
                raise SpecError(f"the {key} of {ours} is the base's", where=node.at((key,)).where)
        yield name, ours


def _inherited(root: Node, parameter: Parameter, name: str) -> Parameter:
    """The base's parameter with what the file says of it."""
    node = root.at(("parameters",)).at((name,))
    said = root.plain().get("parameters", {}).get(name, {})
    lower = Bound(float(said["lower"]), _WHY) if "lower" in said else parameter.lower
    upper = Bound(float(said["upper"]), _WHY) if "upper" in said else parameter.upper
    if lower.value < parameter.lower.value or upper.value > parameter.upper.value:
        raise SpecError(f"{name} goes beyond {parameter.range}, the range of its base", where=node.where)
    default = float(said["default"]) if "default" in said else parameter.default
    changed = replace(parameter, name=name, lower=lower, upper=upper, default=default)
    return _in_order(replace(changed, meaning=said.get("meaning", parameter.meaning)), node)


def _fixed_record(record: SignalRecord, name: str, value: float) -> Fixed:
    parameter = record.parameter(name)
    return Fixed(name=parameter.name, value=value, unit=parameter.unit, meaning=parameter.meaning)


def _demand_settings_only(root: Node) -> None:
    for key in root.plain()["pythia8"]:
        if key != "settings":
            raise SpecError(f"{key} is the base's: only settings can be added", where=root.at(("pythia8", key)).where)


def _check_words(root: Node, known: Collection[str]) -> None:
    for place, word in enumerate(root.plain()["pythia8"]["settings"]):
        node = root.at(("pythia8", "settings", place))
        if not template.is_word(word):
            raise SpecError(f"{word!r} is no key=value", where=node.where, hint="as 32:m0={m_med}")
        for name in template.names(word):
            if name not in known:
                raise _unknown("parameter", name, known, node)


def _benchmarks(root: Node, known: Collection[str]) -> tuple[Benchmark, ...]:
    found = []
    for label, values in root.plain().get("benchmarks", {}).items():
        for name in values:
            if name not in known:
                raise _unknown("parameter", name, known, root.at(("benchmarks", label, name)))
        found.append(Benchmark(label, tuple((name, float(value)) for name, value in values.items())))
    return tuple(found)


def _citations(said: Mapping[str, Any]) -> tuple[Citation, ...]:
    return tuple(Citation(each["arxiv"], each["title"]) for each in said.get("citations", ()))


def _unknown(what: str, word: str, known: Collection[str], node: Node) -> SpecError:
    close = close_to(word, tuple(known))
    hint = f"did you mean {close!r}? " if close else ""
    return SpecError(
        f"there is no {what} {word!r}", where=node.where, hint=f"{hint}known here: {', '.join(known) or 'none'}"
    )
