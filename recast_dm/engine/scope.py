"""Where a stage lives: a workflow or sub-workflow being expanded, the steps made in it, and who waits for what.

Nothing is polled: a stage that cannot be scheduled yet says which names it waits for, and is looked at again when
one of those changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from recast_dm.model import INIT, ParameterExpression, Stage, StepId, Workflow
from recast_dm.spec import jsonpath


class PendingError(Exception):
    """Something that a stage needs is not there yet.

    `names` are the stages of its scope to watch, None for any of them. With `whole` it is enough to look again when
    one of them is complete; else any change below them may matter.
    """

    def __init__(self, names: frozenset[str] | None, why: str, *, whole: bool = False) -> None:
        super().__init__(why)
        self.names = names
        self.why = why
        self.whole = whole


@dataclass(slots=True)
class Made:
    """What a stage has made: steps and sub-workflows, and how many of them have not published yet."""

    name: str
    applied: bool = False
    entries: list[Entry] = field(default_factory=list)
    unpublished: int = 0
    counted: bool = False
    """Whether its scope has been told that it is complete."""

    @property
    def complete(self) -> bool:
        """Whether everything that it makes is there, and has published."""
        return self.applied and self.unpublished == 0


@dataclass(slots=True)
class Waiting:
    """A stage that has not been scheduled, and why."""

    stage: Stage
    scope: Scope
    why: str = ""
    queued: bool = True


class Scope:
    """A workflow, or one of the sub-workflows that a stage made. `path` leads to it: `scan/1/` or nothing.

    `names` leads to it through the specification, without indices: `scan/` or nothing.
    """

    def __init__(
        self, workflow: Workflow, parent: tuple[Scope, str] | None = None, path: str = "", names: str = ""
    ) -> None:
        self.path = path
        self.names = names
        self.parent = parent
        self.made = {INIT.stage: Made(INIT.stage), **{stage.name: Made(stage.name) for stage in workflow.stages}}
        self.values: dict[str, ParameterExpression] = {}
        self.registrars: dict[str, list[str]] = {}
        for stage in workflow.stages:
            for key in stage.registers:
                self.registrars.setdefault(key, []).append(stage.name)
        self.unfinished = len(self.made)
        self._whole: dict[str, list[Waiting]] = {}
        self._any: dict[str | None, list[Waiting]] = {}

    @property
    def done(self) -> bool:
        return self.unfinished == 0

    def wait(self, waiting: Waiting, pending: PendingError) -> None:
        """Puts a stage where a change will find it."""
        waiting.why, waiting.queued = pending.why, False
        if pending.whole and pending.names:
            first = next((name for name in sorted(pending.names) if not self.made[name].complete), None)
            if first is not None:
                self._whole.setdefault(first, []).append(waiting)
            return
        for name in sorted(pending.names) if pending.names is not None else (None,):
            self._any.setdefault(name, []).append(waiting)

    def changed(self, name: str) -> Iterator[Waiting]:
        """Something below a stage has changed: gives the stages to look at again, in this scope and around it."""
        made = self.made[name]
        found = self._any.pop(name, []) + self._any.pop(None, [])
        if made.complete:
            found += self._whole.pop(name, [])
        for waiting in found:
            if not waiting.queued:
                waiting.queued = True
                yield waiting
        if self.parent is not None:
            scope, stage = self.parent
            yield from scope.changed(stage)

    def completed(self, made: Made) -> None:
        """Counts a stage that is complete, once; with the last one the entry that this scope is in the outer one is."""
        if made.counted or not made.complete:
            return
        made.counted = True
        self.unfinished -= 1
        if self.unfinished == 0 and self.parent is not None:
            scope, stage = self.parent
            scope.made[stage].unpublished -= 1
            scope.completed(scope.made[stage])

    def view(self) -> dict[str, Any]:
        """The scope's steps as yadage shows them to JSONPath and jq: `_nodeid` is a step, `_offset` a sub-workflow."""
        return self._tree(_named)

    def find(self, query: str) -> list[Entry]:
        """The steps and sub-workflows that a JSONPath names."""
        if query in self.made:
            return list(self.made[query].entries)
        found: list[Entry] = []
        for value in jsonpath.matches(query, self._tree(lambda entry: {"_entry": entry})):
            items = value if isinstance(value, list) else [value]
            found += [item["_entry"] for item in items if isinstance(item, dict) and "_entry" in item]
        return found

    def _tree(self, mark: Callable[[Entry], dict[str, Any]]) -> dict[str, Any]:
        """What the stages have made, sub-workflows as trees of their own; `mark` tells one entry from another."""

        def branch(entry: Entry) -> dict[str, Any]:
            return {**entry._tree(mark), **mark(entry)} if isinstance(entry, Scope) else mark(entry)

        return {made.name: [branch(entry) for entry in made.entries] for made in self.made.values() if made.entries}


Entry: TypeAlias = StepId | Scope
"""What a stage makes: a step, or a sub-workflow."""


def _named(entry: Entry) -> dict[str, Any]:
    return {"_offset": f"/{entry.path.removesuffix('/')}"} if isinstance(entry, Scope) else {"_nodeid": str(entry)}
