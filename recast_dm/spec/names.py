"""Whether the names of a workflow fit together: stages, outputs, parameters, registered values, and their order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping

from recast_dm.errors import Location, SpecError
from recast_dm.model import (
    INIT,
    Body,
    Cases,
    ConstantPublisher,
    Expression,
    FromGlobPublisher,
    FromParPublisher,
    InterpolatedPublisher,
    OutputSelector,
    Publisher,
    RegisteredValue,
    Stage,
    StepSpec,
    SubWorkflow,
    Workflow,
)
from recast_dm.spec import jsonpath
from recast_dm.spec.problems import Problems
from recast_dm.spec.shape import did_you_mean

_SEGMENT = r"([A-Za-z_@][A-Za-z0-9_@-]*)(?:\.?\[[^\]]*\])?"
_WAY = re.compile(rf"(?:\$\.)?{_SEGMENT}(?:\.{_SEGMENT})*")
MANY = 500
"""Stages among which the circle itself is looked for."""
Outputs = Collection[str] | None
"""The names that a stage publishes, or None where only running it can tell."""


def check(workflow: Workflow, init: Outputs, problems: Problems) -> None:
    """Adds what does not fit. `init` are the names of the init parameters, None where they are not known."""
    _Scope(workflow, init, problems).check()


def needs(stage: Stage) -> frozenset[str]:
    """The names of the stages that this one waits for, as far as the specification says them.

    A stage that selects from another waits for it also where its dependencies do not say so.
    """
    found: set[str] = set()
    for query in stage.dependencies:
        found |= jsonpath.heads(query) or set()
    for expression in _expressions(stage):
        asked = expression.query if isinstance(expression, OutputSelector) else expression.scope
        if asked is not None:
            found |= jsonpath.heads(asked) or set()
    return frozenset(found)


def _expressions(stage: Stage) -> Iterator[Expression]:
    for value in (*stage.parameters.values(), *stage.fulfilled):
        if isinstance(value, OutputSelector | RegisteredValue):
            yield value


class _Scope:
    def __init__(self, workflow: Workflow, init: Outputs, problems: Problems) -> None:
        self._workflow = workflow
        self._init = init
        self._problems = problems
        self._stages: dict[str, Stage] = {}
        self._registered = {key for stage in workflow.stages for key in stage.registers}

    def check(self) -> None:
        for stage in self._workflow.stages:
            with self._problems.collecting():
                self._enter(stage)
        self._check_registered()
        for stage in self._workflow.stages:
            for query in stage.dependencies:
                with self._problems.collecting():
                    self._find(query, stage.where, f"the stage {stage.name!r} depends on")
            for expression in (*_expressions(stage), *stage.registers.values()):
                if isinstance(expression, OutputSelector | RegisteredValue):
                    with self._problems.collecting():
                        self._select(stage, expression)
        with self._problems.collecting():
            _check_order(self._stages, self._registrars())
        self._warn_of_unreachable()
        for stage in self._workflow.stages:
            parameters = None if stage.jq else frozenset(stage.parameters)
            for inner in _workflows(stage.body):
                check(inner, parameters, self._problems)

    def _enter(self, stage: Stage) -> None:
        if stage.name == INIT.stage:
            raise SpecError(
                "a stage may not be called 'init': that is the stage of the init parameters", where=stage.where
            )
        if stage.name in self._stages:
            raise SpecError(f"two stages are called {stage.name!r}", where=stage.where)
        self._stages[stage.name] = stage

    def _check_registered(self) -> None:
        first: dict[str, str] = {}
        for stage in self._workflow.stages:
            for key in stage.registers:
                if key in first:
                    message = f"the value {key!r} is registered twice: by {first[key]!r} and {stage.name!r}"
                    self._problems.add(SpecError(message, where=stage.where))
                first.setdefault(key, stage.name)

    def _registrars(self) -> dict[str, str]:
        return {key: stage.name for stage in self._workflow.stages for key in stage.registers}

    def _find(self, query: str, where: Location | None, who: str) -> Body | str | None:
        """The body of the stage that a path ends at, 'init', or None where that cannot be told."""
        if query in self._stages:
            return self._stages[query].body
        heads = jsonpath.heads(query)
        for name in sorted(heads or ()):
            if name not in self._stages and name != INIT.stage:
                raise SpecError(
                    f"{who} an unknown stage {name!r}",
                    where=where,
                    hint=did_you_mean(name, {INIT.stage, *self._stages}),
                )
        if not _WAY.fullmatch(query):
            return None
        names = re.findall(_SEGMENT, query.removeprefix("$."))
        return self._walk(names, where, who)

    def _walk(self, names: list[str], where: Location | None, who: str) -> Body | str | None:
        if names[0] == INIT.stage:
            return INIT.stage
        body = self._stages[names[0]].body
        for outer, name in itertools.pairwise(names):
            if body == Cases(()):
                return None
            inner = {stage.name: stage for workflow in _workflows(body) for stage in workflow.stages}
            if name == INIT.stage and any(True for _ in _workflows(body)):
                return None
            if name not in inner:
                raise SpecError(
                    f"{who} {name!r} in the workflow of {outer!r}, which is not there",
                    where=where,
                    hint=did_you_mean(name, inner),
                )
            body = inner[name].body
        return body

    def _select(self, stage: Stage, expression: Expression) -> None:
        who = f"the stage {stage.name!r} selects from"
        if isinstance(expression, RegisteredValue):
            if expression.scope is not None:
                self._find(expression.scope, expression.where, who)
            elif expression.key not in self._registered:
                self._problems.warn(
                    f"no stage registers the value {expression.key!r}, so it is null",
                    expression.where,
                    did_you_mean(expression.key, self._registered),
                )
            return
        found = self._find(expression.query, expression.where, who)
        outputs = self._init if found == INIT.stage else _outputs(found) if not isinstance(found, str) else None
        try:
            _check_output(expression, outputs)
        except SpecError as error:
            if not isinstance(found, SubWorkflow):
                raise
            self._problems.warn(f"{error.message}, so it is null", error.where, error.hint)

    def _warn_of_unreachable(self) -> None:
        """A stage that waits for one without steps never becomes ready; nor does what waits for it."""
        followers: dict[str, list[Stage]] = {}
        lost: dict[str, None] = {}
        for stage in self._workflow.stages:
            for name in {name for query in stage.dependencies for name in jsonpath.heads(query) or ()}:
                followers.setdefault(name, []).append(stage)
            if _makes_nothing(stage):
                lost[stage.name] = None
            if unknown := self._unfulfilled(stage):
                self._never(stage, f"nothing registers {unknown!r}", lost)
        queue = list(lost)
        while queue:
            name = queue.pop()
            for stage in followers.get(name, ()):
                if stage.name != name and stage.name not in lost:
                    self._never(stage, f"{name!r} makes no step", lost)
                    queue.append(stage.name)

    def _unfulfilled(self, stage: Stage) -> str | None:
        """The first value that a stage demands and nobody registers."""
        values = (e.key for e in stage.fulfilled if isinstance(e, RegisteredValue) and not e.scope)
        return next((key for key in values if key not in self._registered), None)

    def _never(self, stage: Stage, reason: str, lost: dict[str, None]) -> None:
        self._problems.warn(f"the stage {stage.name!r} never becomes ready: {reason}", stage.where)
        lost[stage.name] = None


def _workflows(body: Body) -> Iterator[Workflow]:
    bodies = tuple(case.body for case in body.cases) if isinstance(body, Cases) else (body,)
    for one in bodies:
        if isinstance(one, SubWorkflow):
            yield one.workflow


def _makes_nothing(stage: Stage) -> bool:
    if stage.scatter is None:
        return False
    columns = [stage.parameters[name] for name in stage.scatter.parameters]
    return any(column == () for column in columns)


def _outputs(body: Body | None) -> Outputs:
    """What a stage publishes, by name, where the specification says it."""
    if isinstance(body, StepSpec):
        return _published(body.publisher)
    if isinstance(body, SubWorkflow):
        return {key for stage in body.workflow.stages for key in stage.registers}
    if isinstance(body, Cases) and body.cases:
        each = [_outputs(case.body) for case in body.cases]
        return None if None in each else {name for names in each for name in names or ()}
    return None


def _published(publisher: Publisher) -> Outputs:
    if isinstance(publisher, FromGlobPublisher):
        return {publisher.outputkey}
    said = None
    if isinstance(publisher, InterpolatedPublisher | ConstantPublisher):
        said = publisher.publish
    if isinstance(publisher, FromParPublisher):
        said = publisher.outputmap
    return frozenset(said) if isinstance(said, Mapping) else None


def _check_output(selector: OutputSelector, outputs: Outputs) -> None:
    if outputs is None or selector.output is None or selector.output in outputs:
        return
    try:
        first = jsonpath.heads(selector.output)
    except ValueError:
        first = frozenset({selector.output})
    if first is None or first <= frozenset(outputs):
        return
    name = min(first - frozenset(outputs))
    raise SpecError(f"{selector.query!r} publishes no {name!r}", where=selector.where, hint=did_you_mean(name, outputs))


def _check_order(stages: Mapping[str, Stage], registrars: Mapping[str, str]) -> None:
    """Refuses dependencies that form a circle: no stage in it would ever become ready."""
    waits: dict[str, set[str]] = {}
    for name, stage in stages.items():
        values = {e.key for e in _expressions(stage) if isinstance(e, RegisteredValue) and e.scope is None}
        waits[name] = {n for n in needs(stage) if n in stages} | {registrars[v] for v in values if v in registrars}
    ready = [name for name, needed in waits.items() if not needed]
    followers: dict[str, list[str]] = {}
    for name, needed in waits.items():
        for other in needed:
            followers.setdefault(other, []).append(name)
    while ready:
        done = ready.pop()
        waits.pop(done, None)
        for name in followers.get(done, ()):
            waits[name].discard(done)
            if not waits[name]:
                ready.append(name)
    _leave_the_circle(waits)
    if waits:
        stage = stages[next(iter(waits))]
        raise SpecError(f"these stages wait for each other: {', '.join(waits)}", where=stage.where)


def _leave_the_circle(waits: dict[str, set[str]]) -> None:
    """Takes away what only waits for a circle, and is not in it."""
    while len(waits) < MANY:
        outside = [name for name in waits if not any(name in needed for needed in waits.values())]
        if not outside:
            return
        for name in outside:
            del waits[name]
