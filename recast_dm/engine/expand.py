"""yadage's semantics as pure functions: which stages are ready, which steps they make, what those publish.

Nothing here touches a file. Where upstream's code and this differ on purpose, the docstring says so; everywhere else
the oracle in `tests/conformance` holds this to upstream.
"""

from __future__ import annotations

import fnmatch
import itertools
import posixpath
import re
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from recast_dm.errors import SpecError, StepFailed
from recast_dm.model import (
    INIT,
    ConstantPublisher,
    Dir,
    FromParPublisher,
    InterpolatedPublisher,
    OutputSelector,
    Path,
    Stage,
    Step,
    StepId,
    Value,
    Workflow,
)

WORKDIR = "{workdir}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a stage can see: the steps made so far by stage, and what each step has published."""

    steps: Mapping[str, tuple[StepId, ...]]
    published: Mapping[StepId, Value]


# --- init ------------------------------------------------------------------------------------------------------------


def publish_init(initdata: Mapping[str, Any], files: Collection[str] | None) -> Mapping[str, Value]:
    """What the init stage publishes: a text that names a file below the initdir becomes that file's path.

    As upstream with `discover` and `relative`: an exact name first, then a wildcard that matches something, which
    becomes a list (sorted here; upstream takes the order of the disk). `files` are the paths below the initdir, None
    where there is no initdir. Whole floats become integers, as they do in upstream's jq.

    >>> publish_init({"yields": "yields.yaml", "n": 3.0}, ["yields.yaml"])["yields"].render({INIT: "/inputs/0"})
    '/inputs/0/yields.yaml'
    """
    known = frozenset(files or ())
    directories = {"/".join(parts[:n]) for file in known for parts in [file.split("/")] for n in range(1, len(parts))}
    everything = sorted(known | directories)

    def exists(text: str) -> bool:
        name = posixpath.normpath(text) if text else "."
        return name == "." or name in directories or (name in known and not text.endswith("/"))

    def leaf(text: str) -> Value:
        if files is None or text.startswith("/"):
            return text
        if exists(text):
            return Path((Dir(INIT), f"/{text}"))
        if any(character in text for character in "*?["):
            matches = [name for name in everything if _matches(name, text)]
            if matches:
                return tuple(Path((Dir(INIT), f"/{name}")) for name in matches)
        return text

    return {key: _map_texts(_whole(freeze(value)), leaf) for key, value in initdata.items()}


def _whole(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return tuple(_whole(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _matches(name: str, pattern: str) -> bool:
    """Shell wildcards, segment by segment; `**` spans directories; hidden names need a literal dot."""
    if "**" in pattern:
        return re.fullmatch(fnmatch.translate(pattern.replace("**/", "**")), name) is not None
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(
        fnmatch.fnmatchcase(n, p) and (p.startswith(".") or not n.startswith("."))
        for n, p in zip(names, patterns, strict=True)
    )


def freeze(value: Any) -> Value:
    """JSON as a frozen value: lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): freeze(item) for key, item in value.items()}
    return value  # type: ignore[no-any-return]  # a JSON scalar


def _map_texts(value: Value, change: Callable[[str], Value]) -> Value:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_map_texts(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: _map_texts(item, change) for key, item in value.items()}
    return value


# --- stages ----------------------------------------------------------------------------------------------------------


def needs(stage: Stage) -> frozenset[str]:
    """The stages that must have published before this one is scheduled: its dependencies, and what it selects from.

    Upstream looks at the dependencies only; a stage that selects from one it does not name there fails or gets an
    empty list, depending on the order of the stages. Waiting is what its author meant.
    """
    selected = {e.stage for e in stage.parameters.values() if isinstance(e, OutputSelector)}
    return frozenset(selected | set(stage.dependencies))


def schedule(stage: Stage, scope: Scope, relaxations: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """The steps that a stage makes, parameters resolved. Everything in `needs(stage)` must have published."""
    resolved: dict[str, tuple[Value, tuple[StepId, ...]]] = {}
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
    resolved: Mapping[str, tuple[Value, tuple[StepId, ...]]],
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

    return _map_texts(value, leaf)


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
    resolved: Mapping[str, tuple[Value, tuple[StepId, ...]]],
    elements: Mapping[str, tuple[tuple[StepId, ...], ...]],
) -> Iterable[dict[str, tuple[Value, tuple[StepId, ...]]]]:
    scatter = stage.scatter
    assert scatter is not None  # noqa: S101  # the caller asked
    columns: list[list[tuple[Value, tuple[StepId, ...]]]] = []
    for name in scatter.parameters:
        value, _ = resolved[name]
        if not isinstance(value, tuple):
            raise SpecError(
                f"the stage {stage.name!r} scatters over {name!r}, which is not a list", where=scatter.where
            )
        sources = elements.get(name, ((),) * len(value))
        columns.append(list(zip(value, sources, strict=True)))
    if scatter.method == "cartesian":
        rows: Iterable[tuple[Any, ...]] = itertools.product(*columns)
    else:
        rows = zip(*columns, strict=False)  # upstream drops the surplus of the longer lists
    return (dict(zip(scatter.parameters, row, strict=True)) for row in rows)


# --- publishing ------------------------------------------------------------------------------------------------------


def prepublish(step: Step) -> Value | None:
    """What a step will publish, where that is known before it runs; None where only its files can tell."""
    publisher = step.spec.publisher
    if isinstance(publisher, InterpolatedPublisher) and publisher.glob:
        return None
    return publish(step, ())


def publish(step: Step, files: Collection[str]) -> Value:
    """What a step publishes, `files` being the paths below its work directory."""
    publisher = step.spec.publisher
    if isinstance(publisher, ConstantPublisher):
        return freeze(publisher.publish)
    if isinstance(publisher, FromParPublisher):
        return _map_texts(freeze(publisher.outputmap), lambda name: _parameter(step, name))
    return _map_texts(freeze(publisher.publish), lambda text: _interpolated(step, publisher, text, files))


def _parameter(step: Step, name: str) -> Value:
    if name not in step.parameters:
        raise SpecError(f"the publisher of {step.id} names an unknown parameter {name!r}", where=step.spec.where)
    return step.parameters[name]


def _interpolated(step: Step, publisher: InterpolatedPublisher, text: str, files: Collection[str]) -> Value:
    value = _compose(step, text)
    own = Dir(step.id)
    absolute = isinstance(value, Path) and isinstance(value.parts[0], Dir)
    if publisher.relative_paths and not absolute and not str(_texts(value)).startswith("/"):
        tail = value.parts if isinstance(value, Path) else (value,)
        value = Path((own, "/", *tail))
    if not publisher.glob:
        return _joined(value)
    if isinstance(value, Path) and value.parts[0] == own:
        pattern = _texts(replace(value, parts=value.parts[1:])).lstrip("/")
        matches = sorted(name for name in files if _matches(name, pattern))
        if matches:
            return tuple(Path((own, f"/{name}")) for name in matches)
    return _joined(value)


def _compose(step: Step, text: str) -> str | Path:
    """A publisher's text with `{workdir}` and the step's parameters in it."""
    parts: list[str | Dir] = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        parts.append(literal)
        if name is None:
            continue
        if spec or conversion:
            raise SpecError(f"the publisher of {step.id} has a format in {{{name}}}", where=step.spec.where)
        value = Path((Dir(step.id),)) if name == "workdir" else _parameter(step, name)
        if isinstance(value, tuple | Mapping):
            raise SpecError(f"the publisher of {step.id} interpolates {name!r}, a list", where=step.spec.where)
        parts += value.parts if isinstance(value, Path) else [str(value)]
    joined = _joined(Path(tuple(parts)))
    return joined if isinstance(joined, Path) else str(joined)


def _joined(value: str | Path) -> str | Path:
    """A path with neighbouring texts joined; one without directories is a text."""
    if isinstance(value, str):
        return value
    parts: list[str | Dir] = []
    for part in value.parts:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "":
            parts.append(part)
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    return Path(tuple(parts))


def _texts(value: str | Path) -> str:
    return value if isinstance(value, str) else "".join(p for p in value.parts if isinstance(p, str))


def check_published(step: Step, published: Value, names: Collection[str]) -> None:
    """Every published path in the step's own directory must exist there: success is a checked statement.

    `names` are files and directories below the work directory. Raises StepFailed naming what is missing.
    """
    own = Dir(step.id)

    def look(value: Value) -> None:
        if isinstance(value, tuple):
            for item in value:
                look(item)
        elif isinstance(value, Mapping):
            for item in value.values():
                look(item)
        elif isinstance(value, Path) and value.parts[0] == own:
            name = _texts(value).strip("/")
            if name and name not in names:
                found = ", ".join(sorted(names)[:10]) or "nothing"
                raise StepFailed(
                    f"the step {step.id} ended well but did not write its declared output {name!r}",
                    hint=f"it wrote: {found}",
                )

    look(published)


# --- the whole plan --------------------------------------------------------------------------------------------------


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
