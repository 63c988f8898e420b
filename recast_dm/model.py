"""The frozen values that travel between the rooms: a workflow, its steps, and what they publish.

Words are yadage's: a workflow is a list of stages; a stage's scheduler makes steps; a step is a process in an
environment with a publisher. Dicts stop in `spec/`; from here on everything has a type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from recast_dm.errors import Location

# --- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class StepId:
    """A step's name within its run: the stage and the index within the stage, counted from 0.

    >>> str(StepId("generate", 2))
    'generate/2'
    >>> StepId.parse("generate/2").index
    2
    """

    stage: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.stage}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> StepId:
        stage, _, index = text.rpartition("/")
        return cls(stage, int(index))


INIT = StepId("init")
"""The internal stage that publishes the init parameters; its directory is the initdir."""


@dataclass(frozen=True, slots=True)
class Dir:
    """The work directory of a step, wherever it is mounted."""

    step: StepId


@dataclass(frozen=True, slots=True)
class Path:
    """A text that names something below step directories: literal text and directories in turn.

    `{workdir}/a.json` published by `select/1` is `Path((Dir(select/1), "/a.json"))`: the host path, the path in a
    container and the key's view of it are three renderings of this one value.
    """

    parts: tuple[str | Dir, ...]

    def dirs(self) -> tuple[Dir, ...]:
        return tuple(part for part in self.parts if isinstance(part, Dir))

    def render(self, place: Mapping[StepId, str]) -> str:
        """The text with each directory replaced by where it lies.

        >>> Path((Dir(INIT), "/yields.yaml")).render({INIT: "/inputs/0"})
        '/inputs/0/yields.yaml'
        """
        return "".join(part if isinstance(part, str) else place[part.step] for part in self.parts)


Scalar: TypeAlias = "bool | int | float | str | Path | None"
Value: TypeAlias = "Scalar | tuple[Value, ...] | Mapping[str, Value]"
"""JSON whose strings may be paths; lists are tuples."""


def paths_in(value: Value) -> Iterator[Path]:
    """Every path in a value, depth first, mappings by sorted key."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from paths_in(item)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from paths_in(value[key])


# --- the specification -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder of a template. `quoting` says which shell quotes it stands in."""

    name: str
    quoting: Literal["none", "single", "double"] = "none"


@dataclass(frozen=True, slots=True)
class Template:
    """A command or script, parsed once: literal text and placeholders in turn."""

    text: str
    parts: tuple[str | Field, ...]

    def fields(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if isinstance(part, Field))


@dataclass(frozen=True, slots=True)
class Command:
    """yadage's `string-interpolated-cmd`."""

    cmd: Template


@dataclass(frozen=True, slots=True)
class Script:
    """yadage's `interpolated-script-cmd`: the script goes to the interpreter's standard input."""

    script: Template
    interpreter: str = "sh"


Process: TypeAlias = Command | Script


@dataclass(frozen=True, slots=True)
class DockerEnvironment:
    """yadage's `docker-encapsulated`."""

    image: str
    imagetag: str = "latest"

    @property
    def reference(self) -> str:
        return f"{self.image}:{self.imagetag}"


Environment: TypeAlias = DockerEnvironment


@dataclass(frozen=True, slots=True)
class InterpolatedPublisher:
    """yadage's `interpolated-pub`: strings with `{workdir}` and parameters in them; `glob` expands wildcards."""

    publish: Any
    glob: bool = False
    relative_paths: bool = False


@dataclass(frozen=True, slots=True)
class ConstantPublisher:
    """yadage's `constant-pub`."""

    publish: Any


@dataclass(frozen=True, slots=True)
class FromParPublisher:
    """yadage's `frompar-pub`: outputs that are parameters under another name."""

    outputmap: Any


Publisher: TypeAlias = InterpolatedPublisher | ConstantPublisher | FromParPublisher


@dataclass(frozen=True, slots=True)
class StepSpec:
    """What a step does: yadage calls it a packtivity."""

    process: Process
    environment: Environment
    publisher: Publisher
    where: Location


@dataclass(frozen=True, slots=True)
class OutputSelector:
    """yadage's `stage-output-selector`. `many` selects from every step of a stage, else from the only one."""

    stage: str
    output: str
    many: bool
    flatten: bool = False
    unwrap: bool = False
    where: Location | None = None


ParameterExpression: TypeAlias = "OutputSelector | Value"


@dataclass(frozen=True, slots=True)
class Scatter:
    """How a multistep stage makes steps out of lists: in lock-step (`zip`) or every combination (`cartesian`).

    With `batchsize` each step gets so many elements of a list at a time, with `partitionsize` the list is cut into so
    many parts.
    """

    method: Literal["zip", "cartesian"]
    parameters: tuple[str, ...]
    where: Location
    batchsize: int | None = None
    partitionsize: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A named stage: `singlestep-stage` without a scatter, `multistep-stage` with one."""

    name: str
    dependencies: tuple[str, ...]
    parameters: Mapping[str, ParameterExpression]
    step: StepSpec
    where: Location
    scatter: Scatter | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A yadage workflow; `source` is the flattened document it was read from (what a capsule keeps)."""

    stages: tuple[Stage, ...]
    source: Mapping[str, Any] = field(repr=False, hash=False, compare=False, default_factory=dict)

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def images(self) -> tuple[str, ...]:
        """The image references in the order of their first use."""
        return tuple(dict.fromkeys(stage.step.environment.reference for stage in self.stages))


# --- a run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: a stage's specification with its parameters resolved."""

    id: StepId
    spec: StepSpec
    parameters: Mapping[str, Value]
    depends_on: tuple[StepId, ...]
    relaxations: tuple[str, ...] = ()

    def input_dirs(self) -> tuple[StepId, ...]:
        """The steps whose directories this step's parameters point into; the n-th is mounted at `/inputs/<n>`."""
        return tuple(dict.fromkeys(d.step for path in paths_in(self.parameters) for d in path.dirs()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image and its three identities.

    `diff_ids` (the ordered hashes of the uncompressed layers) survive every conversion and are the identity that keys
    use; `image_id` is the local engine's; `registry_digest` is a registry's claim, absent for images built here.
    """

    reference: str
    image_id: str
    diff_ids: tuple[str, ...]
    platform: str
    registry_digest: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "image_id": self.image_id,
            "diff_ids": list(self.diff_ids),
            "registry_digest": self.registry_digest,
            "platform": self.platform,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Image:
        return cls(
            reference=document["reference"],
            image_id=document["image_id"],
            diff_ids=tuple(document["diff_ids"]),
            platform=document["platform"],
            registry_digest=document.get("registry_digest"),
        )
