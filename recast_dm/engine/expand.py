"""yadage's semantics as pure functions of what has been published: which stages are ready, which steps they make.

Nothing here touches a file. Where upstream's code and this differ on purpose, the docstring says so; everywhere else
the oracle in `tests/conformance` holds this to upstream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.engine import select, values
from recast_dm.engine.publishers import NO_FILES, Files, prepublish, publish_init, publish_scope
from recast_dm.engine.scatter import ParameterSet, parameter_sets
from recast_dm.engine.scope import Made, PendingError, Scope, Waiting
from recast_dm.errors import RecastError
from recast_dm.model import (
    INIT,
    Body,
    Cases,
    DockerEnvironment,
    FromParJqPublisher,
    NoEnvironment,
    Step,
    StepId,
    StepSpec,
    SubWorkflow,
    Value,
    Workflow,
)
from recast_dm.spec.relaxations import of_resources


@dataclass(frozen=True, slots=True)
class Unready:
    """A stage that was never scheduled (`scan/1/fit`), and what it waits for."""

    stage: str
    why: str


def plan(
    workflow: Workflow,
    initdata: Mapping[str, Any],
    files: Collection[str] | None = None,
    relaxations: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Every step that can be expanded before anything runs, and the stages that must wait for files."""
    expansion = Expansion(workflow, publish_init(initdata, files), relaxations or {}, files=files)
    steps = expansion.advance()
    expansion.demand_no_errors()
    return steps, tuple(unready.stage for unready in expansion.waiting)


class Expansion:
    """A workflow being expanded: `advance()` gives the steps of the stages that have become ready.

    The init steps of sub-workflows are steps like others, except that they publish by themselves: the caller is told
    (`Step.spec.init`), and has nothing to do for them. `files` are those of the initdir.
    """

    def __init__(
        self,
        workflow: Workflow,
        init: Mapping[str, Value],
        relaxations: Mapping[str, tuple[str, ...]],
        *,
        files: Collection[str] | None = None,
    ) -> None:
        self.errors: list[RecastError] = []
        """What went wrong with stages that became ready; they make no steps, and the others go on."""
        self._relaxations = relaxations
        self._published: dict[StepId, Value] = {}
        self._owners: dict[StepId, tuple[Scope, Made]] = {}
        self._readdirs: dict[StepId, tuple[StepId, ...]] = {INIT: (INIT,)}
        self._files: dict[StepId, Files] = {INIT: Files(frozenset(files or ()))}
        self._deferred: dict[StepId, list[Step]] = {}
        self._new: list[Step] = []
        self._queue: deque[Waiting] = deque()
        self._waiting: dict[int, Waiting] = {}
        root = Scope(workflow)
        self._enter(root, workflow, INIT)
        self.publish(INIT, init)

    @property
    def waiting(self) -> tuple[Unready, ...]:
        """The stages that have not been scheduled."""
        return tuple(
            Unready(f"{waiting.scope.path}{waiting.stage.name}", waiting.why) for waiting in self._waiting.values()
        )

    @property
    def complete(self) -> bool:
        """Whether every stage has been scheduled."""
        return not self._waiting

    def advance(self) -> tuple[Step, ...]:
        """The steps of every stage whose needs have published by now, and of the stages that those make ready.

        A stage that made no step never makes another ready: what depends on it waits for ever, as upstream.
        """
        while self._queue:
            waiting = self._queue.popleft()
            try:
                self._try(waiting)
            except RecastError as error:
                self._waiting.pop(id(waiting), None)
                self.errors.append(error)
        new, self._new = self._new, []
        return tuple(new)

    def demand_no_errors(self) -> None:
        """Raises the first of `errors`."""
        if self.errors:
            raise self.errors[0]

    def publish(self, step: StepId, value: Value, files: Files = NO_FILES) -> None:
        """Says what a step published and which files it left."""
        self._files.setdefault(step, files)
        for init in self._deferred.pop(step, ()):
            self._publish_scope(init, files)
        first = step not in self._published
        self._published[step] = value
        if not first:
            return
        scope, made = self._owners[step]
        made.unpublished -= 1
        self._changed(scope, made)

    # --- stages ------------------------------------------------------------------------------------------------------

    def _enter(self, scope: Scope, workflow: Workflow, init: StepId) -> None:
        """A scope begins: its init step is made, and its stages wait."""
        made = scope.made[INIT.stage]
        made.applied, made.unpublished, made.entries = True, 1, [init]
        self._owners[init] = (scope, made)
        for stage in workflow.stages:
            waiting = Waiting(stage, scope)
            self._waiting[id(waiting)] = waiting
            self._queue.append(waiting)

    def _try(self, waiting: Waiting) -> None:
        stage, scope = waiting.stage, waiting.scope
        sight = select.Sight(scope, self._published)
        try:
            select.demand(stage, sight)
            sets = parameter_sets(stage, sight)
        except PendingError as pending:
            scope.wait(waiting, pending)
            return
        del self._waiting[id(waiting)]
        made = scope.made[stage.name]
        for parameters in sets:
            self._add(waiting, made, parameters, stage.body)
        made.applied = True
        scope.values.update(stage.registers)
        self._changed(scope, made)

    def _changed(self, scope: Scope, made: Made) -> None:
        """Something below a stage is new, or all of it is there. Looks at the stages again that waited for it."""
        scope.completed(made)
        self._queue.extend(scope.changed(made.name))

    # --- what stages make --------------------------------------------------------------------------------------------

    def _add(self, waiting: Waiting, made: Made, parameters: ParameterSet, body: Body) -> None:
        scope, stage = waiting.scope, waiting.stage
        if isinstance(body, Cases):
            chosen = next((case for case in body.cases if select.holds(case, parameters.plain)), None)
            if chosen is None:
                return
            body = chosen.body
        depends_on = tuple(dict.fromkeys(parameters.sources))
        readdirs = tuple(dict.fromkeys(place for source in depends_on for place in self._readdirs[source]))
        index = len(made.entries)
        made.unpublished += 1
        if isinstance(body, SubWorkflow):
            inner = Scope(
                body.workflow, (scope, stage.name), f"{scope.path}{stage.name}/{index}/", f"{scope.names}{stage.name}/"
            )
            made.entries.append(inner)
            init = self._init_step(inner, body, parameters, depends_on, readdirs)
            self._enter(inner, body.workflow, init.id)
            self._publish_scope(init, None)
            return
        step_id = StepId(f"{scope.path}{stage.name}", index)
        made.entries.append(step_id)
        self._owners[step_id] = (scope, made)
        self._readdirs[step_id] = (step_id,)
        step = Step(
            step_id,
            body,
            parameters.within(step_id, readdirs),
            depends_on,
            (*self._relaxations.get(f"{scope.names}{stage.name}", ()), *_of_environment(body)),
            readdirs,
        )
        self._new.append(step)
        if (value := prepublish(step)) is not None:
            self._published[step_id] = value
            made.unpublished -= 1

    def _init_step(
        self,
        scope: Scope,
        body: SubWorkflow,
        parameters: ParameterSet,
        depends_on: tuple[StepId, ...],
        readdirs: tuple[StepId, ...],
    ) -> Step:
        spec = StepSpec(
            process=None,
            environment=NoEnvironment(),
            publisher=FromParJqPublisher(".", True, body.discover, body.relative),
            where=body.where,
            init=True,
        )
        step_id = StepId(f"{scope.path}{INIT.stage}")
        step = Step(step_id, spec, parameters.within(None, readdirs), depends_on, (), readdirs)
        self._readdirs[step_id] = readdirs
        self._new.append(step)
        return step

    def _publish_scope(self, init: Step, files: Files | None) -> None:
        """Publishes the parameters of a sub-workflow, at once or when the files that they may name are there."""
        if files is None and len(init.readdirs) == 1:
            files = self._files.get(init.readdirs[0])
        value = publish_scope(init, files)
        if value is None:
            self._deferred.setdefault(init.readdirs[0], []).append(init)
        else:
            self.publish(init.id, values.decoded(value, init.spec.where))


def steps_of(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that somebody has to perform: all but the init steps of sub-workflows."""
    return tuple(step for step in steps if not step.spec.init)


def _of_environment(spec: StepSpec) -> tuple[str, ...]:
    """The relaxations that a step's environment declares: resources of the machine."""
    environment = spec.environment
    return of_resources(environment.resources) if isinstance(environment, DockerEnvironment) else ()
