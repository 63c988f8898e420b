"""How a stage's parameters become parameter sets: one, one for each scattered element, or what a jq program makes."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recast_dm.engine import jqstage, select, values
from recast_dm.engine.select import Element, Found
from recast_dm.errors import SpecError
from recast_dm.model import Dir, OutputSelector, Path, RegisteredValue, Scatter, Stage, StepId, Value

MAX_STEPS = 1_000_000
"""Steps that one stage may make."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The parameters of one step, and the steps that they came from, in the order of their use.

    `literals` names those that the specification itself says; their braces are escaped as in a Python format.
    """

    plain: Value
    sources: tuple[StepId, ...]
    literals: frozenset[str] = field(default_factory=frozenset)

    def within(self, own: StepId | None, readdirs: Sequence[StepId]) -> Value:
        """The parameters with `{workdir}` and `{readdirN}` replaced by the step's directories.

        In an init step, which has no directory, `{workdir}` stays: it means that of the step where it ends up.
        """
        places = {f"readdir{n}": step for n, step in enumerate(readdirs)}
        if own is not None:
            places["workdir"] = own
        if not isinstance(self.plain, Mapping):
            return _within(self.plain, places, escaped=False)
        return {
            name: _within(value, places, escaped=own is not None and name in self.literals)
            for name, value in self.plain.items()
        }


def parameter_sets(stage: Stage, sight: select.Sight) -> Iterable[ParameterSet]:
    """The parameter sets of a stage that is ready. Raises Pending where it turns out not to be."""
    if stage.jq is not None:
        return [ParameterSet(value, sources) for value, sources in jqstage.parameter_sets(stage.jq, sight)]
    found: dict[str, Found] = {}
    literals = set()
    for name, expression in stage.parameters.items():
        if isinstance(expression, OutputSelector | RegisteredValue):
            found[name] = sight.evaluate(expression, stage)
        else:
            value = values.decoded(expression, stage.where)
            found[name] = Found(value, tuple(() for _ in value) if isinstance(value, tuple) else ((),))
            literals.add(name)
    resolved: dict[str, Element] = {name: (each.value, each.all_sources()) for name, each in found.items()}
    known = frozenset(literals)
    if stage.scatter is None:
        return [_parameter_set(resolved, known)]
    return [_parameter_set({**resolved, **chosen}, known) for chosen in _scattered(stage, stage.scatter, found)]


def _parameter_set(resolved: Mapping[str, Element], literals: frozenset[str]) -> ParameterSet:
    plain = {name: value for name, (value, _) in resolved.items()}
    return ParameterSet(plain, tuple(s for _, sources in resolved.values() for s in sources), literals)


def _scattered(stage: Stage, scatter: Scatter, found: Mapping[str, Found]) -> Iterable[dict[str, Element]]:
    columns: list[list[Element]] = []
    for name in scatter.parameters:
        each = found[name]
        if not isinstance(each.value, tuple):
            raise SpecError(
                f"the stage {stage.name!r} scatters over {name!r}, which is not a list", where=scatter.where
            )
        columns.append(_grouped(list(zip(each.value, each.sources, strict=True)), scatter))
    if scatter.method == "cartesian":
        if math.prod(len(column) for column in columns) > MAX_STEPS:
            raise SpecError(f"the stage {stage.name!r} would make more than {MAX_STEPS} steps", where=scatter.where)
        rows: Iterable[tuple[Any, ...]] = itertools.product(*columns)
    else:
        rows = zip(*columns, strict=False)  # upstream drops the surplus of the longer lists
    return (dict(zip(scatter.parameters, row, strict=True)) for row in rows)


def _grouped(column: Sequence[Element], scatter: Scatter) -> list[Element]:
    """A list's elements, each with the steps it came from, in batches or parts where the stage asks for them."""
    if scatter.batchsize:
        cuts = [*range(0, len(column), scatter.batchsize), len(column)]
    elif scatter.partitionsize:
        parts = min(scatter.partitionsize, len(column))
        cuts = list(itertools.accumulate(((len(column) + k) // parts for k in range(parts)), initial=0))
    else:
        return list(column)
    groups = (column[begin:end] for begin, end in itertools.pairwise(cuts))
    return [
        (tuple(value for value, _ in group), tuple(dict.fromkeys(s for _, sources in group for s in sources)))
        for group in groups
    ]


def _within(value: Value, places: Mapping[str, StepId], *, escaped: bool) -> Value:
    def leaf(text: str) -> Value:
        if "{" not in text and "}" not in text:
            return text
        return (_formatted(text, places) if escaped else None) or _replaced(text, places)

    return values.map_texts(value, leaf)


def _formatted(text: str, places: Mapping[str, StepId]) -> str | Path | None:
    """A text of the specification as upstream's format has it; None where it is no format of directories.

    (Upstream fails on such a text. It is taken as it is here: braces are at home in selections and in JSON.)
    """
    parts: list[str | Dir] = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            parts.append(literal)
            if name is None:
                continue
            if name not in places or spec or conversion:
                return None
            parts.append(Dir(places[name]))
    except ValueError:
        return None
    return values.joined(Path(tuple(parts)))


def _replaced(text: str, places: Mapping[str, StepId]) -> str | Path:
    """A text that came from data: only the names of directories mean anything in it."""
    parts: list[str | Dir] = [text]
    for name, step in places.items():
        word = f"{{{name}}}"
        if word not in text:
            continue
        split: list[str | Dir] = []
        for part in parts:
            if not isinstance(part, str):
                split.append(part)
                continue
            pieces = part.split(word)
            split.append(pieces[0])
            for piece in pieces[1:]:
                split += [Dir(step), piece]
        parts = split
    return values.joined(Path(tuple(parts)))
