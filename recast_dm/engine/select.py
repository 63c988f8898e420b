"""What a stage can see of its scope: whether what it waits for is there, and the values that its expressions select."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from recast_dm.engine import values
from recast_dm.engine.scope import Entry, PendingError, Scope
from recast_dm.errors import SpecError
from recast_dm.model import INIT, Case, Expression, OutputSelector, RegisteredValue, Stage, StepId, Value
from recast_dm.spec import jsonpath
from recast_dm.spec.shape import did_you_mean

Element: TypeAlias = tuple[Value, tuple[StepId, ...]]
"""A value, and the steps it came from."""
MAX_REGISTERED = 50
"""Registered values may name registered values, but not for ever."""


@dataclass(frozen=True, slots=True)
class Found:
    """A selected value. `sources` are the steps that it came from: of each of its elements where it is a list."""

    value: Value
    sources: tuple[tuple[StepId, ...], ...]

    def all_sources(self) -> tuple[StepId, ...]:
        return tuple(dict.fromkeys(itertools.chain.from_iterable(self.sources)))


@dataclass(frozen=True, slots=True)
class Sight:
    """A scope, and what every step has published so far."""

    scope: Scope
    published: Mapping[StepId, Value]

    def evaluate(self, expression: Expression, stage: Stage | None = None, depth: int = 0) -> Found:
        """The value of an expression. Raises PendingError while it may still come, SpecError where it cannot."""
        if isinstance(expression, RegisteredValue):
            return self._registered(expression, depth)
        return self._selected(expression, stage, depth)

    def ready(self, entry: Entry) -> bool:
        return entry.done if isinstance(entry, Scope) else entry in self.published

    # --- outputs of steps --------------------------------------------------------------------------------------------

    def _selected(self, selector: OutputSelector, stage: Stage | None, depth: int) -> Found:
        entries = self._entries(selector, stage)
        if not selector.many:
            if len(entries) != 1:
                raise SpecError(
                    f"`step: {selector.query}` needs exactly one step; there are {len(entries)}",
                    where=selector.where,
                    hint=f"write `stages: {selector.query}` for the outputs of all of them",
                )
            return self._output(selector, entries[0], depth)
        combined: list[Value] = []
        sources: list[tuple[StepId, ...]] = []
        for entry in entries:
            found = self._output(selector, entry, depth)
            if isinstance(found.value, tuple) and selector.flatten:
                combined += found.value
                sources += found.sources
            else:
                combined.append(found.value)
                sources.append(found.all_sources())
            only = found
        if selector.unwrap and len(combined) == 1:
            value = combined[0]
            spread = isinstance(value, tuple) and not selector.flatten
            return Found(value, only.sources if spread else _spread(value, sources[0]))
        return Found(tuple(combined), tuple(sources))

    def _entries(self, selector: OutputSelector, stage: Stage | None) -> list[Entry]:
        """The steps and sub-workflows that a selector means, when all of them are there and have published.

        Upstream looks at the dependencies only; a stage that selects from one it does not name there fails or gets an
        empty list, depending on the order of the stages. Waiting is what its author meant.
        """
        query = selector.query
        heads = frozenset({query}) if query in self.scope.made else jsonpath.heads(query)
        trusted = {name for asked in stage.dependencies for name in jsonpath.heads(asked) or ()} if stage else set()
        for name in sorted(heads or ()):
            made = self.scope.made.get(name)
            if made is None:
                raise SpecError(f"there is no stage {name!r} to select from", where=selector.where)
            if not made.complete and (query == name or not made.applied or name not in trusted):
                raise PendingError(frozenset({name}), f"{name!r} has not published", whole=True)
        entries = self.scope.find(query)
        for entry in entries:
            if not self.ready(entry):
                raise PendingError(heads, f"{query!r} has not published")
        return entries

    def _output(self, selector: OutputSelector, entry: Entry, depth: int) -> Found:
        if isinstance(entry, Scope):
            if selector.output is None:
                return Found(None, ((),))
            return Sight(entry, self.published).lookup(selector.output, depth)
        published = self.published[entry]
        value = published if selector.output is None else _within(published, selector, entry)
        return Found(value, tuple(_edge(item, entry) for item in (value if isinstance(value, tuple) else (value,))))

    # --- registered values -------------------------------------------------------------------------------------------

    def _registered(self, expression: RegisteredValue, depth: int) -> Found:
        if expression.scope is None:
            return _or_null(self.lookup(expression.key, depth))
        heads = jsonpath.heads(expression.scope)
        scopes = [entry for entry in self.scope.find(expression.scope) if isinstance(entry, Scope)]
        if len(scopes) != 1:
            if all(self.scope.made[name].applied for name in heads or () if name in self.scope.made) and heads:
                raise SpecError(
                    f"the scope {expression.scope!r} means {len(scopes)} sub-workflows, not one", where=expression.where
                )
            raise PendingError(heads, f"{expression.scope!r} is not there yet")
        try:
            return _or_null(Sight(scopes[0], self.published).lookup(expression.key, depth))
        except PendingError as pending:
            raise PendingError(heads, pending.why) from None

    def lookup(self, key: str, depth: int) -> Found:
        """The value registered under a key in this scope; null where no stage registers it (as upstream)."""
        if depth > MAX_REGISTERED:
            raise SpecError(f"the registered value {key!r} leads back to itself")
        expression = self.scope.values.get(key)
        if expression is None:
            late = [name for name in self.scope.registrars.get(key, ()) if not self.scope.made[name].applied]
            if late:
                raise PendingError(frozenset(late), f"the value {key!r} is not registered yet")
            return Found(None, ((),))
        if not isinstance(expression, OutputSelector | RegisteredValue):
            if expression:
                raise SpecError(f"the registered value {key!r} is {expression!r}, and no expression")
            return Found(None, ((),))
        return self.evaluate(expression, None, depth + 1)


def demand(stage: Stage, sight: Sight) -> None:
    """Raises PendingError while a dependency of a stage is not fulfilled."""
    for query in stage.dependencies:
        made = sight.scope.made.get(query)
        if made is not None:
            if not made.complete or not made.entries:
                why = f"{query!r} made no step" if made.complete else f"{query!r} has not published"
                raise PendingError(frozenset({query}), why, whole=True)
            continue
        entries = sight.scope.find(query)
        if not entries or not all(sight.ready(entry) for entry in entries):
            why = f"{query!r} has not published" if entries else f"nothing is called {query!r}"
            raise PendingError(jsonpath.heads(query), why)
    for expression in stage.fulfilled:
        value = sight.evaluate(expression, None).value
        if value is None or value is False or value in ((), {}):
            names = frozenset(sight.scope.made) - {stage.name}
            raise PendingError(names, f"{_shown(expression)} has no value")


def _shown(expression: Expression) -> str:
    return f"{expression.key!r}" if isinstance(expression, RegisteredValue) else f"{expression.query!r}"


def holds(case: Case, parameters: Value) -> bool:
    """Whether a case is the one: any value that Python calls true is (as upstream); no value at all is not."""
    found = values.jq_all(case.condition, parameters, case.where)
    return bool(found and found[0])


def _or_null(found: Found) -> Found:
    """Upstream's `fromvalue` gives null for a value that is nothing."""
    value = found.value
    nothing = value is False or (isinstance(value, tuple | Mapping) and not value)
    return Found(None, ((),)) if nothing else found


def _spread(value: Value, sources: tuple[StepId, ...]) -> tuple[tuple[StepId, ...], ...]:
    return tuple(sources for _ in value) if isinstance(value, tuple) else (sources,)


def _edge(value: Value, step: StepId) -> tuple[StepId, ...]:
    """Using a value makes an edge to its step, unless nothing in it is more than null or false (as upstream)."""
    if isinstance(value, tuple):
        return (step,) if any(_edge(item, step) for item in value) else ()
    if isinstance(value, Mapping):
        return (step,) if any(_edge(item, step) for item in value.values()) else ()
    return () if value is None or value is False else (step,)


def _within(published: Value, selector: OutputSelector, step: StepId) -> Value:
    """An output by its name or, where there is none of that name, by the one match of a JSONPath."""
    output = str(selector.output)
    if isinstance(published, Mapping) and output in published:
        return published[output]
    found: list[Any] = []
    try:
        found = jsonpath.matches(output, values.thaw(published))
    except ValueError:
        found = []
    if len(found) == 1:
        return values.freeze(found[0])
    if step == INIT and isinstance(published, Mapping):
        raise SpecError(
            f"there is no init parameter {output!r}",
            where=selector.where,
            hint=f"give it with -p {output}=VALUE; {did_you_mean(output, published)}",
        )
    known = ", ".join(sorted(published)) if isinstance(published, Mapping) else "one value"
    what = f"{len(found)} values for" if found else "no"
    raise SpecError(f"the step {step} publishes {what} {output!r}", where=selector.where, hint=f"it publishes: {known}")
