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

    The stage of a sub-workflow's step is the way to it: the first step of `fit`, in the second workflow that the stage
    `scan` made, is `scan/1/fit/0`.

    >>> str(StepId("generate", 2))
    'generate/2'
    >>> StepId.parse("scan/1/fit/0").stage
    'scan/1/fit'
    """

    stage: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.stage}/{self.index}"

    @property
    def names(self) -> str:
        """The way to its stage through the specification: `scan/fit`. (No stage is called by a number.)"""
        return "/".join(part for part in self.stage.split("/") if not part.isdecimal())

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


Quoting: TypeAlias = Literal["none", "nested", "single", "double", "document", "expanded document", "comment"]
"""The shell quotes that a placeholder stands in; a here-document is literal, or has its variables expanded.

`nested` is free, but in a command substitution that stands in double quotes: no value may be a word of the shell's.
"""


@dataclass(frozen=True, slots=True)
class Field:
    """A placeholder of a template, as Python's `str.format` has it: `{seed:04d}`, `{model[mass]}`.

    `items` are the keys behind the name; `quoting` says which shell quotes it stands in, `document` the word that ends
    the literal here-document it stands in.
    """

    name: str
    quoting: Quoting = "none"
    document: str = ""
    items: tuple[str, ...] = ()
    spec: str = ""
    conversion: str = ""


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
    """yadage's `interpolated-script-cmd`: the script goes to the interpreter's standard input.

    `foreign` is a script in a language whose quotes are not known here: only plain words can go into it.
    """

    script: Template
    interpreter: str = "sh"
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Instructions:
    """yadage's `manual-instructions-proc`: nothing is started; a person reads them."""

    text: str


Process: TypeAlias = Command | Script | Instructions | None
"""None: the step only publishes."""


@dataclass(frozen=True, slots=True)
class ParMount:
    """A file made of parameters by a jq program, mounted in the container at `mountpath`."""

    jqscript: str
    mountpath: str
    where: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a step is treated: how often it is tried again, how long it may take (seconds), what it may use (bytes).

    `batch` are the first words of its command: a program that does several command lines in one start. None is
    whatever the next wider policy says.
    """

    retries: int | None = None
    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None
    batch: tuple[str, ...] | None = None

    def over(self, wider: Policy) -> Policy:
        """This policy, with what it leaves open taken from a wider one.

        >>> Policy(retries=1).over(Policy(retries=3, timeout=60.0))
        Policy(retries=1, timeout=60.0, cpus=None, memory=None, batch=None)
        """
        return Policy(
            retries=wider.retries if self.retries is None else self.retries,
            timeout=wider.timeout if self.timeout is None else self.timeout,
            cpus=wider.cpus if self.cpus is None else self.cpus,
            memory=wider.memory if self.memory is None else self.memory,
            batch=wider.batch if self.batch is None else self.batch,
        )


@dataclass(frozen=True, slots=True)
class DockerEnvironment:
    """yadage's `docker-encapsulated`. `workdir` is where the command starts: None is the image's own directory.

    Of its resources, `asked` are the limits, `resources` those of the machine that are mounted (`cvmfs`, `kerberos`,
    `voms_proxy`, `gpu`), `unprovided` the names of what nothing here provides.
    """

    image: str
    imagetag: str = "latest"
    envscript: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    par_mounts: tuple[ParMount, ...] = ()
    asked: Policy = field(default_factory=Policy)
    resources: tuple[str, ...] = ()
    unprovided: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"{self.image}:{self.imagetag}"


@dataclass(frozen=True, slots=True)
class HostEnvironment:
    """yadage's `localproc-env`: a process of this machine, with everything the user may do."""


@dataclass(frozen=True, slots=True)
class NoEnvironment:
    """yadage's `noop-env` and `manual-instructions-env`, or none at all: nothing is started."""

    instructions: str | None = None


Environment: TypeAlias = DockerEnvironment | HostEnvironment | NoEnvironment


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


@dataclass(frozen=True, slots=True)
class FromParJqPublisher:
    """yadage's `fromparjq-pub`: what a jq program makes of the parameters; texts that name files become paths."""

    script: str = "."
    try_exact: bool = True
    glob: bool = False
    relative_paths: bool = False


@dataclass(frozen=True, slots=True)
class FromYamlPublisher:
    """yadage's `fromyaml-pub`: what a file that the step wrote says."""

    yamlfile: str


@dataclass(frozen=True, slots=True)
class FromGlobPublisher:
    """yadage's `fromglob-pub`: a list of the files that match."""

    globexpression: str
    outputkey: str


@dataclass(frozen=True, slots=True)
class ManualPublisher:
    """yadage's `manual-instructions-pub`: a person says what is published."""

    instructions: str


Publisher: TypeAlias = (
    InterpolatedPublisher
    | ConstantPublisher
    | FromParPublisher
    | FromParJqPublisher
    | FromYamlPublisher
    | FromGlobPublisher
    | ManualPublisher
)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """What a step does: yadage calls it a packtivity. `init` marks the steps that publish a scope's parameters."""

    process: Process
    environment: Environment
    publisher: Publisher
    where: Location
    init: bool = False

    @property
    def starts_something(self) -> bool:
        """Whether a process is started: in a container, or on the host."""
        return isinstance(self.process, Command | Script) and not isinstance(self.environment, NoEnvironment)

    @property
    def instructions(self) -> str | None:
        """What a person is told to do, if anything."""
        said = [self.process.text] if isinstance(self.process, Instructions) else []
        if isinstance(self.environment, NoEnvironment) and self.environment.instructions:
            said.append(self.environment.instructions)
        if isinstance(self.publisher, ManualPublisher):
            said.append(self.publisher.instructions)
        return "\n".join(said) if said else None

    @property
    def runs_in(self) -> str | None:
        """An image's name, `host`, or nothing."""
        if isinstance(self.environment, DockerEnvironment):
            return self.environment.reference
        return "host" if isinstance(self.environment, HostEnvironment) else None


@dataclass(frozen=True, slots=True)
class OutputSelector:
    """yadage's `stage-output-selector`: outputs of the steps that a JSONPath names, seen from the stage's scope.

    `many` selects from every step (a list), else from the only one. Without `output`, the whole result.
    """

    query: str
    output: str | None
    many: bool
    flatten: bool = False
    unwrap: bool = False
    where: Location | None = None


@dataclass(frozen=True, slots=True)
class RegisteredValue:
    """yadage's `fromvalue`: an expression that a stage of this scope (or of the one named) has registered."""

    key: str
    scope: str | None = None
    where: Location | None = None


Expression: TypeAlias = OutputSelector | RegisteredValue
ParameterExpression: TypeAlias = "Expression | Value"


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
class JqScheduler:
    """yadage's `jq-stage`: `stepscript` makes a list of parameter sets out of `bindings`, `postscript` finishes each.

    In `bindings`, `{"$wflowref": [NODES, RESULTS]}` stands for what two jq programs select from the scope's steps.
    """

    bindings: Mapping[str, Any]
    stepscript: str
    postscript: str
    where: Location


@dataclass(frozen=True, slots=True)
class SubWorkflow:
    """A workflow as the body of a stage. `discover` and `relative` are yadage's `workflow_opts`."""

    workflow: Workflow
    where: Location
    discover: bool = False
    relative: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One of a stage's `cases`: taken when the jq program `condition` says so of the parameters."""

    condition: str
    body: StepSpec | SubWorkflow
    where: Location


@dataclass(frozen=True, slots=True)
class Cases:
    """The first case whose condition holds is the stage's body; when none does, there is no step."""

    cases: tuple[Case, ...]


Body: TypeAlias = StepSpec | SubWorkflow | Cases


@dataclass(frozen=True, slots=True)
class Stage:
    """A named stage: `singlestep-stage`, `multistep-stage` with a `scatter`, or `jq-stage` with `jq`.

    `dependencies` are JSONPaths of the stages that must have published (`jsonpath_ready`), `fulfilled` expressions
    that must have a value (`expressions_fulfilled`); `registers` is what it adds to its scope's registered values.
    """

    name: str
    dependencies: tuple[str, ...]
    parameters: Mapping[str, ParameterExpression]
    body: Body
    where: Location
    scatter: Scatter | None = None
    jq: JqScheduler | None = None
    fulfilled: tuple[Expression, ...] = ()
    registers: Mapping[str, ParameterExpression] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A yadage workflow; `source` is the flattened document it was read from (what a capsule keeps)."""

    stages: tuple[Stage, ...]
    source: Mapping[str, Any] = field(repr=False, hash=False, compare=False, default_factory=dict)

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def step_specs(self) -> Iterator[tuple[str, StepSpec]]:
        """Every step specification with the names that lead to it (`scan/fit`), those of sub-workflows included."""
        for stage in self.stages:
            bodies = (stage.body,) if not isinstance(stage.body, Cases) else tuple(c.body for c in stage.body.cases)
            for body in bodies:
                if isinstance(body, SubWorkflow):
                    for name, spec in body.workflow.step_specs():
                        yield f"{stage.name}/{name}", spec
                else:
                    yield stage.name, body

    def images(self) -> tuple[str, ...]:
        """The image references in the order of their first use."""
        environments = (spec.environment for _, spec in self.step_specs())
        return tuple(dict.fromkeys(e.reference for e in environments if isinstance(e, DockerEnvironment)))


# --- a run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: a stage's specification with its parameters resolved."""

    id: StepId
    spec: StepSpec
    parameters: Value
    depends_on: tuple[StepId, ...]
    relaxations: tuple[str, ...] = ()
    readdirs: tuple[StepId, ...] = ()
    """The directories that `{readdirN}` counts: those of the steps it depends on."""

    def named(self) -> Mapping[str, Value]:
        """The parameters by name. A jq-stage may make a list instead (`{0}`, `{1}`), or one value (`{value}`)."""
        if isinstance(self.parameters, Mapping):
            return self.parameters
        if isinstance(self.parameters, tuple):
            return {str(n): value for n, value in enumerate(self.parameters)}
        return {"value": self.parameters}

    def input_dirs(self) -> tuple[StepId, ...]:
        """The other steps whose directories this step's parameters point into; the n-th is mounted at `/inputs/<n>`."""
        found = dict.fromkeys(d.step for path in paths_in(self.parameters) for d in path.dirs())
        found.pop(self.id, None)
        return tuple(found)

    def sources(self) -> tuple[StepId, ...]:
        """The steps that must have finished before this one starts."""
        return tuple(dict.fromkeys((*self.depends_on, *self.input_dirs())))


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
    config: Mapping[str, Any] = field(default_factory=dict)
    """What else reaches a process: the variables (`env`) and the directory (`workdir`) that the image sets."""

    def document(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "image_id": self.image_id,
            "diff_ids": list(self.diff_ids),
            "registry_digest": self.registry_digest,
            "platform": self.platform,
            "config": dict(self.config),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Image:
        return cls(
            reference=document["reference"],
            image_id=document["image_id"],
            diff_ids=tuple(document["diff_ids"]),
            platform=document["platform"],
            registry_digest=document.get("registry_digest"),
            config=document.get("config", {}),
        )
