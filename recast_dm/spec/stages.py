"""A stage of the specification: what it waits for, how it makes steps, and what each of them does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.model import (
    INIT,
    Body,
    Case,
    Cases,
    Expression,
    JqScheduler,
    OutputSelector,
    ParameterExpression,
    RegisteredValue,
    Scatter,
    Stage,
    StepSpec,
    SubWorkflow,
    Value,
    Workflow,
)
from recast_dm.spec import jq, jsonpath, shape, steps
from recast_dm.spec.problems import Problems
from recast_dm.spec.text import Node

MAX_NAME = 100
"""Characters in a stage's name: it names directories and containers."""
_UNREAD = OutputSelector(query=INIT.stage, output=None, many=False)
"""Stands for a parameter that cannot be read, so that nobody calls its name unknown."""
MAX_BYTES = 200
_SELECTORS = ("step", "stages", "steps")
_BODIES = ("step", "workflow", "cases")
_KEYS = {
    "singlestep-stage": ["parameters", "workflow_opts", "register_values", *_BODIES],
    "multistep-stage": [
        "parameters",
        "workflow_opts",
        "register_values",
        "scatter",
        "batchsize",
        "partitionsize",
        *_BODIES,
    ],
    "jq-stage": ["bindings", "stepscript", "postscript", "workflow_opts", "register_values", *_BODIES],
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads stages. `raw` are the stages (`scan/fit`) with the relaxation `compat: raw`; `path` leads to this scope."""

    problems: Problems
    raw: frozenset[str]
    path: str = ""

    def workflow(self, root: Node, what: str = "the workflow") -> Workflow:
        """The workflow in a node, as far as it can be read."""
        shape.only(root, ["stages"], what, self.problems)
        nodes = shape.sequence(shape.need(root, "stages", what), "stages")
        if not nodes and not self.path:
            raise SpecError(f"{what} has no stage", where=root.where)
        read = [self.problems.attempt(lambda node=node: self.stage(node)) for node in nodes]  # type: ignore[misc]
        stages = tuple(stage for stage in read if stage is not None)
        self.problems.nameless |= len(stages) < len(nodes)
        return Workflow(stages, root.plain())

    def stage(self, node: Node) -> Stage:
        """A stage; one whose body cannot be read makes no step, so that the others can still be checked against it."""
        shape.only(node, ["name", "dependencies", "scheduler"], "a stage", self.problems)
        name = _name(shape.need(node, "name", "a stage"))
        what = f"the scheduler of {name!r}"
        scheduler = shape.need(node, "scheduler", f"the stage {name!r}")
        kind = shape.choice(shape.need(scheduler, "scheduler_type", what), list(_KEYS), "scheduler_type")
        shape.only(scheduler, ["scheduler_type", *_KEYS[kind]], what, self.problems)
        attempt = self.problems.attempt
        dependencies = attempt(lambda: self._dependencies(node, name)) or ((), ())
        parameters = attempt(lambda: self._parameters(scheduler, what)) or {}
        scatter = attempt(lambda: _scatter(scheduler, parameters, what)) if kind == "multistep-stage" else None
        script = attempt(lambda: _jq_scheduler(scheduler, what)) if kind == "jq-stage" else None
        registers = attempt(lambda: self._registers(scheduler, what)) or {}
        known = None if kind == "jq-stage" else parameters
        body = attempt(lambda: self._body(scheduler, name, what, known)) or Cases(())
        return Stage(
            name=name,
            dependencies=dependencies[0],
            fulfilled=dependencies[1],
            parameters=parameters,
            body=body,
            where=node.where,
            scatter=scatter,
            jq=script,
            registers=registers,
        )

    # --- what it waits for -------------------------------------------------------------------------------------------

    def _dependencies(self, stage: Node, name: str) -> tuple[tuple[str, ...], tuple[Expression, ...]]:
        node = shape.mapping(stage, "a stage").get("dependencies")
        if node is None:
            return (), ()
        what = f"the dependencies of {name!r}"
        kind = "jsonpath_ready"
        if isinstance(node.value, Mapping):
            shape.only(node, ["dependency_type", "expressions"], what, self.problems)
            kind = shape.choice(
                shape.need(node, "dependency_type", what),
                ["jsonpath_ready", "expressions_fulfilled"],
                "dependency_type",
            )
            node = shape.need(node, "expressions", what)
        items = shape.sequence(node, what)
        if kind == "jsonpath_ready":
            return tuple(jsonpath.check(shape.text(item, what), item.where) for item in items), ()
        return (), tuple(self._demanded(item, what) for item in items)

    def _demanded(self, node: Node, what: str) -> Expression:
        expression = self._expression(node, what, bare=False)
        if not isinstance(expression, OutputSelector | RegisteredValue):
            raise SpecError(f"{what} must be expressions", where=node.where, hint="give it an expression_type")
        return expression

    # --- parameters --------------------------------------------------------------------------------------------------

    def _parameters(self, scheduler: Node, what: str) -> dict[str, ParameterExpression]:
        """yadage writes parameters as a mapping, or as a list of {key, value}.

        Only in the mapping is `{step: x, output: y}` short for a selector, as upstream.
        """
        node = shape.mapping(scheduler, what).get("parameters")
        if node is None:
            return {}
        bare = isinstance(node.value, Mapping)
        read: dict[str, ParameterExpression] = {}
        for key, item in _entries(node, what, self.problems).items():
            read[key] = _UNREAD
            with self.problems.collecting():
                read[key] = self._expression(item, f"the parameter {key!r}", bare=bare)
        return read

    def _expression(self, node: Node, what: str, *, bare: bool) -> ParameterExpression:
        if not isinstance(node.value, Mapping):
            return literal(node)
        entries = node.value
        if "expression_type" not in entries and not (bare and any(word in entries for word in _SELECTORS)):
            return literal(node)
        kind = "stage-output-selector"
        if "expression_type" in entries:
            kind = shape.choice(entries["expression_type"], ["stage-output-selector", "fromvalue"], "expression_type")
        if kind == "fromvalue":
            shape.only(node, ["expression_type", "key", "scope"], what, self.problems)
            scope = entries.get("scope")
            return RegisteredValue(
                shape.text(shape.need(node, "key", what), "key"),
                jsonpath.check(shape.text(scope, "scope"), scope.where) if scope else None,
                node.where,
            )
        return self._selector(node, entries, what)

    def _selector(self, node: Node, entries: Mapping[str, Node], what: str) -> OutputSelector:
        selectors = [word for word in _SELECTORS if word in entries]
        if len(selectors) != 1:
            raise SpecError(f"{what} needs exactly one of step, steps, stages", where=node.where)
        shape.only(node, ["expression_type", "output", "flatten", "unwrap", *_SELECTORS], what, self.problems)
        query = entries[selectors[0]]
        output = entries.get("output")
        return OutputSelector(
            query=jsonpath.check(shape.text(query, what), query.where),
            output=(shape.text(output, f"the output of {what}") or None)
            if output and output.value is not None
            else None,
            many=selectors[0] != "step",
            flatten="flatten" in entries and shape.flag(entries["flatten"], "flatten"),
            unwrap="unwrap" in entries and shape.flag(entries["unwrap"], "unwrap"),
            where=node.where,
        )

    def _registers(self, scheduler: Node, what: str) -> dict[str, ParameterExpression]:
        node = shape.mapping(scheduler, what).get("register_values")
        if node is None or node.value is None:
            return {}
        what = f"the registered values in {what}"
        return {key: self._expression(item, what, bare=False) for key, item in shape.mapping(node, what).items()}

    # --- bodies ------------------------------------------------------------------------------------------------------

    def _body(self, scheduler: Node, name: str, what: str, parameters: Collection[str] | None) -> Body | None:
        entries = shape.mapping(scheduler, what)
        present = [word for word in _BODIES if word in entries]
        if len(present) != 1:
            place = entries[present[1]] if present else scheduler
            raise SpecError(f"{what} needs exactly one of {', '.join(_BODIES)}", where=place.where)
        if present != ["cases"]:
            return self._simple(scheduler, name, parameters)
        cases = []
        for item in shape.sequence(entries["cases"], f"the cases of {name!r}"):
            shape.only(item, ["if", "step", "workflow"], f"a case of {name!r}", self.problems)
            condition = shape.need(item, "if", f"a case of {name!r}")
            program = jq.program(shape.text(condition, "if"), condition.where)
            body = self._simple(item, name, parameters)
            if body is None:
                return None
            cases.append(Case(program, body, item.where))
        if not cases:
            self.problems.warn(f"the stage {name!r} has no case, so it makes no step", entries["cases"].where)
        return Cases(tuple(cases))

    def _simple(self, node: Node, name: str, parameters: Collection[str] | None) -> StepSpec | SubWorkflow | None:
        """A step, or a workflow."""
        entries = shape.mapping(node, f"the stage {name!r}")
        if ("step" in entries) == ("workflow" in entries):
            raise SpecError(f"a case of {name!r} needs either step or workflow", where=node.where)
        path = f"{self.path}{name}"
        if "step" in entries:
            what = f"the step of {path!r}" if self.path else f"the step of {name!r}"
            return steps.step(entries["step"], what, parameters, self.problems, raw=path in self.raw)
        inner = Reader(self.problems, self.raw, f"{path}/").workflow(entries["workflow"], f"the workflow of {name!r}")
        options = entries.get("workflow_opts")
        if options is None or options.value is None:
            return SubWorkflow(inner, entries["workflow"].where)
        what = f"the workflow_opts of {name!r}"
        shape.only(options, ["discover", "relative"], what, self.problems)
        flags = {key: shape.flag(item, key) for key, item in shape.mapping(options, what).items()}
        return SubWorkflow(inner, entries["workflow"].where, flags.get("discover", False), flags.get("relative", True))


def _name(node: Node) -> str:
    name = shape.text(node, "a stage's name")
    if not name.isprintable() or len(name) > MAX_NAME or "/" in name or name.startswith("."):
        raise SpecError(f"a stage cannot be called {name!r}: it names a directory", where=node.where)
    if len(name.encode("utf-8", "replace")) > MAX_BYTES or name == "run.json":
        raise SpecError(f"a stage cannot be called {name!r}: its directory would have that name", where=node.where)
    if name in ("_nodeid", "_offset", "_entry", "_values"):
        raise SpecError(f"a stage cannot be called {name!r}: that is yadage's own word", where=node.where)
    if not name or name.isdecimal():
        raise SpecError(f"a stage cannot be called {name!r}: that is a step's number", where=node.where)
    return name


def _entries(node: Node, what: str, problems: Problems) -> dict[str, Node]:
    if isinstance(node.value, Mapping):
        return dict(node.value)
    entries: dict[str, Node] = {}
    for item in shape.sequence(node, f"the parameters in {what}"):
        shape.only(item, ["key", "value"], "a parameter", problems)
        key = shape.text(shape.need(item, "key", "a parameter"), "a parameter's key")
        if key in entries:
            problems.warn(
                f"the parameter {key!r} stands here twice; the last one counts", item.where, "keep one of them"
            )
        entries[key] = shape.need(item, "value", "a parameter")
    return entries


def literal(node: Node) -> Value:
    """A constant of the specification as a frozen value."""
    if isinstance(node.value, tuple):
        return tuple(literal(item) for item in node.value)
    if isinstance(node.value, Mapping):
        return {key: literal(item) for key, item in node.value.items()}
    return node.value


def _scatter(scheduler: Node, parameters: Mapping[str, Any], what: str) -> Scatter:
    node = shape.need(scheduler, "scatter", what)
    shape.only(node, ["method", "parameters"], f"the scatter in {what}")
    method: Any = shape.choice(shape.need(node, "method", "a scatter"), ["zip", "cartesian"], "scatter method")
    names = shape.need(node, "parameters", "a scatter")
    over = []
    for item in shape.sequence(names, "the scatter's parameters"):
        name = shape.text(item, "a scatter parameter")
        if name not in parameters:
            raise SpecError(
                f"the scatter runs over an unknown parameter {name!r}",
                where=item.where,
                hint=shape.did_you_mean(name, parameters),
            )
        value = parameters[name]
        if not isinstance(value, tuple | OutputSelector | RegisteredValue):
            raise SpecError(
                f"the scatter runs over {name!r}, which is {value!r} and not a list",
                where=item.where,
                hint="write a list, or select one",
            )
        over.append(name)
    if not over and method == "zip":
        raise SpecError("the scatter names no parameter", where=names.where)
    sizes = {key: _size(scheduler, key, what) for key in ("batchsize", "partitionsize")}
    if all(sizes.values()):
        raise SpecError(f"{what} has both batchsize and partitionsize", where=scheduler.where, hint="keep one of them")
    return Scatter(method, tuple(over), node.where, **sizes)


def _size(scheduler: Node, key: str, what: str) -> int | None:
    node = shape.mapping(scheduler, what).get(key)
    if node is None:
        return None
    if not isinstance(node.value, int) or isinstance(node.value, bool) or node.value < 0:
        raise SpecError(f"{key} must be a whole number, not {node.value!r}", where=node.where)
    return node.value or None  # upstream: 0 is as good as none


def _jq_scheduler(scheduler: Node, what: str) -> JqScheduler:
    entries = shape.mapping(scheduler, what)
    bindings = shape.need(scheduler, "bindings", what)
    shape.mapping(bindings, "bindings")
    _check_references(bindings)
    programs = {}
    for key, default in (("stepscript", "[.]"), ("postscript", ".")):
        programs[key] = jq.program(shape.text(entries[key], key), entries[key].where) if key in entries else default
    return JqScheduler(bindings.plain(), programs["stepscript"], programs["postscript"], scheduler.where)


def _check_references(node: Node) -> None:
    """Every `$wflowref` is a pair of jq programs."""
    if isinstance(node.value, tuple):
        for item in node.value:
            _check_references(item)
    if not isinstance(node.value, Mapping):
        return
    reference = node.value.get("$wflowref")
    if reference is None:
        for item in node.value.values():
            _check_references(item)
        return
    pair = shape.sequence(reference, "$wflowref")
    if len(pair) != 2:
        raise SpecError("$wflowref needs two jq programs: one for steps, one for their results", where=reference.where)
    for item in pair:
        jq.program(shape.text(item, "a jq program"), item.where)
