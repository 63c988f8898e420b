"""The workflow of a crate: the file, its language, its steps, and the tool that each step stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from recast_dm.capsule.crate import about
from recast_dm.capsule.crate.entities import Crate, Ref, file_id, local_id, ref, refs
from recast_dm.model import (
    Command,
    DockerEnvironment,
    Instructions,
    OutputSelector,
    Script,
    StepSpec,
    SubWorkflow,
    Workflow,
)

FILE = "workflow.yml"
LANGUAGE = "#yadage"
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
TYPES = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]


def step_id(names: str) -> str:
    return local_id("step", names)


def tool_id(names: str) -> str:
    return local_id("tool", names)


def input_id(parameter: str, tool: str | None = None) -> str:
    """A formal parameter: of the whole workflow, or of the tool of a step."""
    return local_id("tool", tool, "input", parameter) if tool else local_id("input", parameter)


def output_id(output: str, tool: str) -> str:
    return local_id("tool", tool, "output", output)


def describe(
    crate: Crate,
    workflow: Workflow,
    *,
    name: str,
    version: str | None,
    size: int | None,
    performed: Collection[str] | None,
    images: Iterable[Mapping[str, Any]],
    licence: Ref | None = None,
) -> str:
    """The workflow, step by step, with the images of its steps as documents; gives its id.

    `performed` are the steps (`scan/fit`) that a run has performed: of the tools, a run's crate may name only those as
    parts. None where there is no run.
    """
    crate.add(LANGUAGE, "ComputerLanguage", name="yadage", url="https://yadage.readthedocs.io")
    held = {str(image["reference"]): str(image["image_id"]) for image in images if about.image(crate, image)}
    specs: dict[str, list[StepSpec]] = {}
    for names, spec in workflow.step_specs():
        specs.setdefault(names, []).append(spec)
    for position, (names, bodies) in enumerate(specs.items(), 1):
        _tool(crate, names, bodies, held)
        tool = ref(tool_id(names))
        crate.add(step_id(names), "HowToStep", name=names, position=str(position), workExample=tool)
    return crate.add_file(
        FILE,
        size=size,
        kind=TYPES,
        name=name,
        version=version,
        license=licence,
        programmingLanguage=ref(LANGUAGE),
        conformsTo=ref(BIOSCHEMAS),
        step=refs(step_id(names) for names in specs),
        hasPart=refs(tool_id(names) for names in specs if performed is None or names in performed),
    )


def _tool(crate: Crate, names: str, specs: Sequence[StepSpec], held: Mapping[str, str]) -> None:
    """What a step starts, by the ids of its images. A stage with `cases` has one tool too."""
    used = {spec.environment.reference for spec in specs if isinstance(spec.environment, DockerEnvironment)}
    images = sorted(used & held.keys())
    crate.add(
        tool_id(names),
        "SoftwareApplication",
        name=names,
        description="\n".join(dict.fromkeys(command(spec) for spec in specs)),
        softwareVersion=", ".join(held[image] for image in images),
        softwareRequirements=refs(local_id("image", image) for image in images),
    )


def command(spec: StepSpec) -> str:
    """What a step does, as the specification says it."""
    match spec.process:
        case Command():
            return spec.process.cmd.text
        case Script():
            return spec.process.script.text
        case Instructions():
            return spec.process.text
    return "publishes values"


def connect(crate: Crate, workflow: Workflow) -> None:
    """Which parameter of a step comes from which output: as far as both are in the crate already."""
    for names, parameter, source, output in _connections(workflow, ""):
        target = input_id(parameter, names)
        origin = input_id(output) if source == "init" else output_id(output, source)
        if target in crate and origin in crate:
            name = local_id("connection", names, parameter, source, output)
            crate.add(name, "ParameterConnection", sourceParameter=ref(origin), targetParameter=ref(target))
            crate.link(step_id(names), "connection", name)


def _connections(workflow: Workflow, way: str) -> Iterator[tuple[str, str, str, str]]:
    """Step, parameter, source and output of every plain selector: one that names a stage of its own scope."""
    stages = {stage.name for stage in workflow.stages}
    for stage in workflow.stages:
        if isinstance(stage.body, SubWorkflow):
            yield from _connections(stage.body.workflow, f"{way}{stage.name}/")
        for parameter, expression in stage.parameters.items():
            if not isinstance(expression, OutputSelector) or expression.output is None:
                continue
            if expression.query in stages:
                yield f"{way}{stage.name}", parameter, f"{way}{expression.query}", expression.output
            elif expression.query == "init" and not way:
                yield stage.name, parameter, "init", expression.output


WORKFLOW_ID = file_id(FILE)
