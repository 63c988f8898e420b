"""The yadage language: a tree of nodes to a typed Workflow.

This slice reads singlestep and multistep stages, commands and scripts in docker-encapsulated environments, and the
publishers that our analyses use. The rest of the language is refused by name, never ignored.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.model import (
    INIT,
    Command,
    ConstantPublisher,
    DockerEnvironment,
    FromParPublisher,
    InterpolatedPublisher,
    OutputSelector,
    ParameterExpression,
    Process,
    Publisher,
    Scatter,
    Script,
    Stage,
    StepSpec,
    Value,
    Workflow,
)
from recast_dm.spec import refs, shape, template
from recast_dm.spec.text import Node

MAX_NAME = 100
"""Characters in a stage's name: it names directories and containers."""
SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash"})
_SELECTORS = ("step", "stages", "steps")
_NOT_YET = "yadage has it, recast-dm does not read it yet"


def load(path: Path, *, top: Path | None = None, raw_stages: frozenset[str] = frozenset()) -> Workflow:
    """The workflow in a yadage file.

    `top` is the directory that references may not leave (default: the file's own). `raw_stages` names the stages with
    the relaxation `compat: raw`. Raises SpecError with file:line:column.
    """
    return parse_workflow(refs.load(path, top or path.parent), raw_stages=raw_stages)


def parse_workflow(root: Node, *, raw_stages: frozenset[str] = frozenset()) -> Workflow:
    """The workflow in a tree whose references are resolved."""
    shape.only(root, ["stages"], "the workflow")
    stages = tuple(
        _stage(node, raw_stages) for node in shape.sequence(shape.need(root, "stages", "the workflow"), "stages")
    )
    if not stages:
        raise SpecError("the workflow has no stage", where=root.where)
    _check_names(stages)
    return Workflow(stages, root.plain())


def _check_names(stages: tuple[Stage, ...]) -> None:
    """Every stage, dependency and selector names a stage that exists, and no stage waits for itself."""
    seen: dict[str, Stage] = {}
    for stage in stages:
        if stage.name == INIT.stage:
            raise SpecError(
                "a stage may not be called 'init': that is the stage of the init parameters",
                where=stage.where,
            )
        if stage.name in seen:
            raise SpecError(f"two stages are called {stage.name!r}", where=stage.where)
        seen[stage.name] = stage
    names = {INIT.stage, *seen}
    for stage in stages:
        for name in stage.dependencies:
            if name not in names:
                raise SpecError(
                    f"the stage {stage.name!r} depends on an unknown stage {name!r}",
                    where=stage.where,
                    hint=shape.did_you_mean(name, names),
                )
        for expression in stage.parameters.values():
            if isinstance(expression, OutputSelector) and expression.stage not in names:
                raise SpecError(
                    f"the stage {stage.name!r} selects from an unknown stage {expression.stage!r}",
                    where=expression.where,
                    hint=shape.did_you_mean(expression.stage, names),
                )
    _check_order(seen)


def _check_order(stages: Mapping[str, Stage]) -> None:
    """Refuses dependencies that form a circle: no stage in it would ever become ready."""
    waiting = dict(stages)
    while waiting:
        ready = [name for name, stage in waiting.items() if not any(needed in waiting for needed in _needs(stage))]
        if not ready:
            stage = next(iter(waiting.values()))
            raise SpecError(f"these stages wait for each other: {', '.join(waiting)}", where=stage.where)
        for name in ready:
            del waiting[name]


def _needs(stage: Stage) -> set[str]:
    selected = {e.stage for e in stage.parameters.values() if isinstance(e, OutputSelector)}
    return selected | set(stage.dependencies)


def _stage(node: Node, raw_stages: frozenset[str]) -> Stage:
    shape.only(node, ["name", "dependencies", "scheduler"], "a stage")
    name = shape.text(shape.need(node, "name", "a stage"), "a stage's name")
    if not name.isprintable() or len(name) > MAX_NAME or "/" in name or name.startswith("."):
        raise SpecError(f"a stage cannot be called {name!r}: it names a directory", where=node.where)
    what = f"the scheduler of {name!r}"
    scheduler = shape.need(node, "scheduler", f"the stage {name!r}")
    scheduler_type = shape.choice(
        shape.need(scheduler, "scheduler_type", what),
        ["singlestep-stage", "multistep-stage", "jq-stage"],
        "scheduler_type",
    )
    if scheduler_type == "jq-stage":
        raise SpecError("the scheduler jq-stage", where=scheduler.where, hint=_NOT_YET)
    multiple = scheduler_type == "multistep-stage"
    known = ["scheduler_type", "parameters", "step"] + (["scatter", "batchsize", "partitionsize"] if multiple else [])
    for later in ("workflow", "workflow_opts", "cases", "register_values"):
        if later in shape.mapping(scheduler, what):
            raise SpecError(f"{what} has {later!r}", where=scheduler.at((later,)).where, hint=_NOT_YET)
    shape.only(scheduler, known, what)
    parameters = _parameters(scheduler, what)
    scatter = _scatter(scheduler, parameters, what) if multiple else None
    step = shape.need(scheduler, "step", what)
    spec = _step(step, f"the step of {name!r}", name in raw_stages)
    _check_placeholders(name, spec.process, parameters, step.at(("process", "cmd")).at(("script",)))
    return Stage(
        name=name,
        dependencies=_dependencies(node, name),
        parameters=parameters,
        step=spec,
        where=node.where,
        scatter=scatter,
    )


def _check_placeholders(name: str, process: Process, parameters: Mapping[str, Any], place: Node) -> None:
    """Every placeholder of a command is a parameter of its stage: a run must not find out after hours."""
    fields = (process.cmd if isinstance(process, Command) else process.script).fields()
    for field in fields:
        if field not in parameters:
            raise SpecError(
                f"the command of {name!r} has {{{field}}}, which is not one of the stage's parameters",
                where=place.where,
                hint=f"{shape.did_you_mean(field, parameters)}\nwrite {{{{ and }}}} for other braces",
            )


def _dependencies(stage: Node, name: str) -> tuple[str, ...]:
    node = shape.mapping(stage, "a stage").get("dependencies")
    if node is None:
        return ()
    what = f"the dependencies of {name!r}"
    if isinstance(node.value, Mapping):
        dependency_type = shape.choice(
            shape.need(node, "dependency_type", what),
            ["jsonpath_ready", "expressions_fulfilled"],
            "dependency_type",
        )
        if dependency_type != "jsonpath_ready":
            raise SpecError(f"the dependency type {dependency_type}", where=node.where, hint=_NOT_YET)
        node = shape.need(node, "expressions", what)
    return tuple(_stage_name(item, what) for item in shape.sequence(node, what))


def _stage_name(node: Node, what: str) -> str:
    """A JSONPath that is just a stage's name, or all of its steps (`name[*]`)."""
    name = shape.text(node, what).removesuffix("[*]")
    if any(character in name for character in "$[]()@?*.,|"):
        raise SpecError(f"the JSONPath {node.value!r}", where=node.where, hint=_NOT_YET)
    return name


def _parameters(scheduler: Node, what: str) -> dict[str, ParameterExpression]:
    """yadage writes parameters as a mapping, or as a list of {key, value}."""
    node = shape.mapping(scheduler, what).get("parameters")
    if node is None:
        return {}
    if isinstance(node.value, Mapping):
        entries = dict(node.value)
    else:
        entries = {}
        for item in shape.sequence(node, f"the parameters in {what}"):
            shape.only(item, ["key", "value"], "a parameter")
            key = shape.text(shape.need(item, "key", "a parameter"), "a parameter's key")
            if key in entries:
                raise SpecError(f"the parameter {key!r} stands here twice", where=item.where)
            entries[key] = shape.need(item, "value", "a parameter")
    return {key: _expression(item, f"the parameter {key!r}") for key, item in entries.items()}


def _expression(node: Node, what: str) -> ParameterExpression:
    if not isinstance(node.value, Mapping):
        return literal(node)
    entries = node.value
    selectors = [word for word in _SELECTORS if word in entries]
    if "expression_type" in entries:
        expression_type = shape.choice(
            entries["expression_type"], ["stage-output-selector", "fromvalue"], "expression_type"
        )
        if expression_type == "fromvalue":
            raise SpecError("the expression fromvalue", where=node.where, hint=_NOT_YET)
    elif not selectors:
        return literal(node)
    if len(selectors) != 1:
        raise SpecError(f"{what} needs exactly one of step, stages", where=node.where)
    shape.only(node, ["expression_type", "output", "flatten", "unwrap", *_SELECTORS], what)
    selector = selectors[0]
    return OutputSelector(
        stage=_stage_name(entries[selector], what),
        output=shape.text(shape.need(node, "output", what), f"the output of {what}"),
        many=selector != "step",
        flatten="flatten" in entries and shape.flag(entries["flatten"], "flatten"),
        unwrap="unwrap" in entries and shape.flag(entries["unwrap"], "unwrap"),
        where=node.where,
    )


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
    method = shape.choice(shape.need(node, "method", "a scatter"), ["zip", "cartesian"], "scatter method")
    names = shape.need(node, "parameters", "a scatter")
    for item in shape.sequence(names, "the scatter's parameters"):
        name = shape.text(item, "a scatter parameter")
        if name not in parameters:
            raise SpecError(
                f"the scatter runs over an unknown parameter {name!r}",
                where=item.where,
                hint=shape.did_you_mean(name, parameters),
            )
    if not names.value:
        raise SpecError("the scatter names no parameter", where=names.where)
    chosen: Any = method
    over = tuple(str(item.value) for item in shape.sequence(names, "parameters"))
    sizes = {key: _size(scheduler, key, what) for key in ("batchsize", "partitionsize")}
    if all(sizes.values()):
        raise SpecError(f"{what} has both batchsize and partitionsize", where=scheduler.where, hint="keep one of them")
    return Scatter(chosen, over, node.where, **sizes)


def _size(scheduler: Node, key: str, what: str) -> int | None:
    node = shape.mapping(scheduler, what).get(key)
    if node is None:
        return None
    if not isinstance(node.value, int) or isinstance(node.value, bool) or node.value < 1:
        raise SpecError(f"{key} must be a whole number above 0, not {node.value!r}", where=node.where)
    return node.value


def _step(node: Node, what: str, raw: bool) -> StepSpec:
    shape.only(node, ["process", "environment", "publisher"], what)
    return StepSpec(
        process=_process(shape.need(node, "process", what), what, raw),
        environment=_environment(shape.need(node, "environment", what), what),
        publisher=_publisher(shape.need(node, "publisher", what), what),
        where=node.where,
    )


def _process(node: Node, what: str, raw: bool) -> Process:
    process_type = shape.choice(
        shape.need(node, "process_type", f"the process of {what}"),
        ["string-interpolated-cmd", "interpolated-script-cmd", "manual-instructions-proc"],
        "process_type",
    )
    if process_type == "manual-instructions-proc":
        raise SpecError(f"the process type {process_type}", where=node.where, hint=_NOT_YET)
    if process_type == "string-interpolated-cmd":
        shape.only(node, ["process_type", "cmd"], "the process")
        cmd = shape.need(node, "cmd", "the process")
        return Command(template.parse(shape.text(cmd, "cmd"), cmd.where, raw=raw))
    shape.only(node, ["process_type", "script", "interpreter"], "the process")
    script = shape.need(node, "script", "the process")
    given = shape.mapping(node, "the process").get("interpreter")
    interpreter = shape.text(given, "interpreter") if given else "sh"
    if interpreter not in SHELLS and not raw:
        raise SpecError(
            f"the interpreter {interpreter!r}: only sh and bash scripts can be quoted safely",
            where=(given or node).where,
            hint="set `compat: raw` for this stage under `steps` in recast.yml to substitute text as it is",
        )
    return Script(template.parse(shape.text(script, "script"), script.where, raw=raw), interpreter)


def _environment(node: Node, what: str) -> DockerEnvironment:
    environment_type = shape.choice(
        shape.need(node, "environment_type", f"the environment of {what}"),
        ["docker-encapsulated", "localproc-env", "noop-env", "manual-instructions-env"],
        "environment_type",
    )
    if environment_type != "docker-encapsulated":
        raise SpecError(f"the environment {environment_type}", where=node.where, hint=_NOT_YET)
    entries = shape.mapping(node, "the environment")
    for later in ("resources", "envscript", "env", "workdir", "par_mounts"):
        if later in entries and entries[later].plain():
            raise SpecError(f"the environment has {later!r}", where=entries[later].where, hint=_NOT_YET)
    known = [
        "environment_type",
        "image",
        "imagetag",
        "resources",
        "envscript",
        "env",
        "workdir",
        "par_mounts",
    ]
    shape.only(node, known, "the environment")
    tag = entries.get("imagetag")
    return DockerEnvironment(
        image=shape.text(shape.need(node, "image", "the environment"), "image"),
        imagetag=_tag(tag) if tag else "latest",
    )


def _tag(node: Node) -> str:
    if isinstance(node.value, float | int) and not isinstance(node.value, bool):
        raise SpecError(
            f"the imagetag {node.value} is a number",
            where=node.where,
            hint="put it in quotes: a number loses its last zeros",
        )
    return shape.text(node, "imagetag")


_PUBLISHERS = (
    "interpolated-pub",
    "constant-pub",
    "frompar-pub",
    "fromparjq-pub",
    "fromyaml-pub",
    "fromglob-pub",
    "manual-instructions-pub",
)


def _publisher(node: Node, what: str) -> Publisher:
    what = f"the publisher of {what}"
    publisher_type = shape.choice(shape.need(node, "publisher_type", what), _PUBLISHERS, "publisher_type")
    entries = shape.mapping(node, what)
    if publisher_type == "interpolated-pub":
        shape.only(node, ["publisher_type", "publish", "glob", "relative_paths"], what)
        publish = shape.need(node, "publish", what)
        _check_braces(publish)
        return InterpolatedPublisher(
            publish=publish.plain(),
            glob="glob" in entries and shape.flag(entries["glob"], "glob"),
            relative_paths="relative_paths" in entries and shape.flag(entries["relative_paths"], "relative_paths"),
        )
    if publisher_type == "constant-pub":
        shape.only(node, ["publisher_type", "publish"], what)
        return ConstantPublisher(shape.need(node, "publish", what).plain())
    if publisher_type == "frompar-pub":
        shape.only(node, ["publisher_type", "outputmap"], what)
        return FromParPublisher(shape.need(node, "outputmap", what).plain())
    raise SpecError(f"the publisher {publisher_type}", where=node.where, hint=_NOT_YET)


def _check_braces(node: Node) -> None:
    """Every text of a publisher is a format."""
    for text in _texts(node):
        try:
            list(string.Formatter().parse(str(text.value)))
        except ValueError as error:
            raise SpecError(
                f"the braces do not pair: {error}",
                where=text.where,
                hint="write {{ and }} for braces that are not placeholders",
            ) from None


def _texts(node: Node) -> Iterator[Node]:
    if isinstance(node.value, str):
        yield node
    elif isinstance(node.value, tuple | Mapping):
        for item in node.value.values() if isinstance(node.value, Mapping) else node.value:
            yield from _texts(item)
