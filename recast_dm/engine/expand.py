"""yadage's semantics as pure functions: which stages are ready, and which steps they make.

Nothing here touches a file. Where upstream's code and this differ on purpose, the docstring says so; everywhere else
the oracle in `tests/conformance` holds this to upstream.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from recast_dm.engine.publishers import map_texts, prepublish, publish_init
from recast_dm.errors import SpecError
from recast_dm.model import INIT, Dir, OutputSelector, Path, Scatter, Stage, Step, StepId, Value, Workflow

WORKDIR = "{workdir}"
Element: TypeAlias = tuple[Value, tuple[StepId, ...]]
"""A value, and the steps it came from."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a stage can see: the steps made so far by stage, and what each step has published."""

    steps: Mapping[str, tuple[StepId, ...]]
    published: Mapping[StepId, Value]


def needs(stage: Stage) -> frozenset[str]:
    """The stages that must have published before this one is scheduled: its dependencies, and what it selects from.

    Upstream looks at the dependencies only; a stage that selects from one it does not name there fails or gets an
    empty list, depending on the order of the stages. Waiting is what its author meant.
    """
    selected = {e.stage for e in stage.parameters.values() if isinstance(e, OutputSelector)}
    return frozenset(selected | set(stage.dependencies))


def schedule(stage: Stage, scope: Scope, relaxations: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """The steps that a stage makes, parameters resolved. Everything in `needs(stage)` must have published."""
    resolved: dict[str, Element] = {}
    elements: dict[str, tuple[tuple[StepId, ...], ...]] = {}
    for name, expression in stage.parameters.items():
        if isinstance(expression, OutputSelector):
            value, sources = _select(expression, scope)
            elements[name] = sources
            resolved[name] = (value, tuple(dict.fromkeys(itertools.chain.from_iterable(sources))))
        else:
            resolved[name] = (expression, ())
    if stage.scatter is None:
        return (_step(stage, 0, resolved, relaxations),)
    return tuple(
        _step(stage, index, {**resolved, **chosen}, relaxations)
        for index, chosen in enumerate(_scattered(stage, resolved, elements))
    )


def _step(
    stage: Stage,
    index: int,
    resolved: Mapping[str, Element],
    relaxations: tuple[str, ...],
) -> Step:
    step_id = StepId(stage.name, index)
    parameters = {name: _in_workdir(value, step_id) for name, (value, _) in resolved.items()}
    depends_on = tuple(dict.fromkeys(source for _, sources in resolved.values() for source in sources))
    return Step(step_id, stage.step, parameters, depends_on, relaxations)


def _in_workdir(value: Value, step: StepId) -> Value:
    """Texts of the specification may say `{workdir}`: the work directory of the step they end up in."""

    def leaf(text: str) -> Value:
        if WORKDIR not in text:
            return text
        literals = text.split(WORKDIR)
        parts: list[str | Dir] = [literals[0]]
        for piece in literals[1:]:
            parts += [Dir(step), piece]
        return Path(tuple(part for part in parts if part != ""))

    return map_texts(value, leaf)


def _select(selector: OutputSelector, scope: Scope) -> tuple[Value, tuple[tuple[StepId, ...], ...]]:
    """A selected value, and for each of its elements the steps it came from."""
    steps = scope.steps[selector.stage]
    if not selector.many:
        if len(steps) != 1:
            raise SpecError(
                f"`step: {selector.stage}` needs exactly one step; the stage has {len(steps)}",
                where=selector.where,
                hint=f"write `stages: {selector.stage}` for the outputs of all of them",
            )
        value = _output(selector, steps[0], scope)
        return value, tuple(_edge(item, steps[0]) for item in (value if isinstance(value, tuple) else (value,)))
    combined: list[Value] = []
    sources: list[tuple[StepId, ...]] = []
    for step in steps:
        value = _output(selector, step, scope)
        items = value if isinstance(value, tuple) and selector.flatten else (value,)
        combined += items
        sources += [_edge(item, step) for item in items]
    if selector.unwrap and len(combined) == 1:
        only = combined[0]
        return only, tuple(_edge(item, steps[0]) for item in (only if isinstance(only, tuple) else (only,)))
    return tuple(combined), tuple(sources)


def _edge(value: Value, step: StepId) -> tuple[StepId, ...]:
    """Using a value makes an edge to its step, unless nothing in it is more than null or false (as upstream)."""
    if isinstance(value, tuple):
        return (step,) if any(_edge(item, step) for item in value) else ()
    if isinstance(value, Mapping):
        return (step,) if any(_edge(item, step) for item in value.values()) else ()
    return () if value is None or value is False else (step,)


def _output(selector: OutputSelector, step: StepId, scope: Scope) -> Value:
    published = scope.published[step]
    if not isinstance(published, Mapping) or selector.output not in published:
        known = ", ".join(sorted(published)) if isinstance(published, Mapping) else "one value"
        raise SpecError(
            f"the step {step} publishes no {selector.output!r}",
            where=selector.where,
            hint=f"it publishes: {known}",
        )
    return published[selector.output]


def _scattered(
    stage: Stage,
    resolved: Mapping[str, Element],
    elements: Mapping[str, tuple[tuple[StepId, ...], ...]],
) -> Iterable[dict[str, Element]]:
    scatter = stage.scatter
    assert scatter is not None  # noqa: S101  # the caller asked
    columns: list[list[Element]] = []
    for name in scatter.parameters:
        value, _ = resolved[name]
        if not isinstance(value, tuple):
            raise SpecError(
                f"the stage {stage.name!r} scatters over {name!r}, which is not a list", where=scatter.where
            )
        sources = elements.get(name, ((),) * len(value))
        columns.append(_grouped(list(zip(value, sources, strict=True)), scatter))
    if scatter.method == "cartesian":
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


def plan(
    workflow: Workflow,
    initdata: Mapping[str, Any],
    files: Collection[str] | None = None,
    relaxations: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Every step that can be expanded before anything runs, and the stages that must wait for files."""
    expansion = Expansion(workflow, publish_init(initdata, files), relaxations or {})
    return expansion.advance(), expansion.waiting


class Expansion:
    """A workflow being expanded: `advance()` gives the steps of the stages that have become ready."""

    def __init__(
        self, workflow: Workflow, init: Mapping[str, Value], relaxations: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._waiting = list(workflow.stages)
        self._relaxations = relaxations
        self._steps: dict[str, tuple[StepId, ...]] = {INIT.stage: (INIT,)}
        self._published: dict[StepId, Value] = {INIT: init}
        self._unpublished: dict[str, int] = {INIT.stage: 0}

    @property
    def waiting(self) -> tuple[str, ...]:
        """The stages that have not been scheduled."""
        return tuple(stage.name for stage in self._waiting)

    def advance(self) -> tuple[Step, ...]:
        """The steps of every stage whose needs have published by now, and of the stages that those make ready.

        A stage that made no step never makes another ready: what waits for it waits for ever, as upstream.
        """
        steps: list[Step] = []
        while ready := [s for s in self._waiting if all(self._unpublished.get(name) == 0 for name in needs(s))]:
            for stage in ready:
                self._waiting.remove(stage)
                steps += self._apply(stage)
        return tuple(steps)

    def _apply(self, stage: Stage) -> tuple[Step, ...]:
        made = schedule(stage, Scope(self._steps, self._published), self._relaxations.get(stage.name, ()))
        if made:
            self._steps[stage.name] = tuple(step.id for step in made)
            self._unpublished[stage.name] = len(made)
        for step in made:
            if (value := prepublish(step)) is not None:
                self.publish(step.id, value)
        return made

    def publish(self, step: StepId, value: Value) -> None:
        """Says what a step published; a second time must say the same."""
        if step not in self._published:
            self._unpublished[step.stage] -= 1
        self._published[step] = value
