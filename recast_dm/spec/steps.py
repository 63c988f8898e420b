"""A step of the specification: process, environment, publisher. yadage calls it a packtivity."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Collection, Iterator, Mapping

from recast_dm.errors import SpecError
from recast_dm.model import (
    Command,
    ConstantPublisher,
    DockerEnvironment,
    Environment,
    FromGlobPublisher,
    FromParJqPublisher,
    FromParPublisher,
    FromYamlPublisher,
    HostEnvironment,
    Instructions,
    InterpolatedPublisher,
    ManualPublisher,
    NoEnvironment,
    ParMount,
    Policy,
    Process,
    Publisher,
    Script,
    StepSpec,
)
from recast_dm.spec import jq, resources, shape, template
from recast_dm.spec.problems import Problems
from recast_dm.spec.text import Node

SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/bash", "dash", "/bin/dash"})
WORKDIR = "workdir"
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,499}(?<![/.:@-])")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_RAW = "set `compat: raw` for this stage under `steps` in recast.yml to substitute text as it is"


def step(
    node: Node, what: str, parameters: Collection[str] | None, problems: Problems, *, raw: bool
) -> StepSpec | None:
    """A step whose placeholders are among `parameters` (None: not known before the workflow runs)."""
    shape.only(node, ["process", "environment", "publisher"], what, problems)
    process = problems.attempt(lambda: (_process(shape.need(node, "process", what), what, problems, raw),))
    environment = problems.attempt(lambda: _environment(shape.need(node, "environment", what), what, problems))
    publisher = problems.attempt(lambda: _publisher(shape.need(node, "publisher", what), what, parameters, problems))
    if process and isinstance(process[0], Command | Script) and parameters is not None:
        with problems.collecting():
            _check_fields(process[0], what, parameters, node.at(("process", "cmd")).at(("script",)))
    if not process or not environment or not publisher:
        return None
    return StepSpec(process[0], environment, publisher, node.where)


# --- processes -------------------------------------------------------------------------------------------------------


def _process(node: Node, what: str, problems: Problems, raw: bool) -> Process:
    if node.value is None:
        return None
    what = f"the process of {what}"
    process_type = shape.choice(
        shape.need(node, "process_type", what),
        ["string-interpolated-cmd", "interpolated-script-cmd", "manual-instructions-proc"],
        "process_type",
    )
    if process_type == "manual-instructions-proc":
        shape.only(node, ["process_type", "instructions"], what, problems)
        return Instructions(shape.text(shape.need(node, "instructions", what), "instructions"))
    if process_type == "string-interpolated-cmd":
        shape.only(node, ["process_type", "cmd"], what, problems)
        cmd = shape.need(node, "cmd", what)
        return Command(template.parse(shape.text(cmd, "cmd"), cmd.where, raw=raw))
    shape.only(node, ["process_type", "script", "interpreter"], what, problems)
    return _script(node, what, raw)


def _script(node: Node, what: str, raw: bool) -> Script:
    script = shape.need(node, "script", what)
    given = shape.mapping(node, what).get("interpreter")
    interpreter = shape.text(given, "interpreter") if given else "sh"
    try:
        words = shlex.split(interpreter)
    except ValueError:
        words = []
    if not words or "\0" in interpreter:
        where = (given or node).where
        raise SpecError(f"{interpreter!r} is no interpreter", where=where, hint="write sh, bash or another one")
    if words[0] in SHELLS or raw:
        return Script(template.parse(shape.text(script, "script"), script.where, raw=raw), interpreter)
    return Script(template.parse(shape.text(script, "script"), script.where, raw=True), interpreter, foreign=True)


def _check_fields(process: Command | Script, what: str, parameters: Collection[str], place: Node) -> None:
    """Every placeholder of a command is a parameter of its stage: a run must not find out after hours."""
    for field in (process.cmd if isinstance(process, Command) else process.script).fields():
        if field not in parameters:
            raise SpecError(
                f"the command of {what} has {{{field}}}, which is not one of the stage's parameters",
                where=place.where,
                hint=f"{shape.did_you_mean(field, parameters)}\nwrite {{{{ and }}}} for other braces",
            )


# --- environments ----------------------------------------------------------------------------------------------------


def _environment(node: Node, what: str, problems: Problems) -> Environment:
    if node.value is None:
        return NoEnvironment()
    what = f"the environment of {what}"
    environment_type = shape.choice(
        shape.need(node, "environment_type", what),
        ["docker-encapsulated", "localproc-env", "noop-env", "manual-instructions-env"],
        "environment_type",
    )
    if environment_type == "docker-encapsulated":
        return _docker(node, what, problems)
    if environment_type == "manual-instructions-env":
        shape.only(node, ["environment_type", "instructions"], what, problems)
        return NoEnvironment(shape.text(shape.need(node, "instructions", what), "instructions"))
    shape.only(node, ["environment_type"], what, problems)
    return HostEnvironment() if environment_type == "localproc-env" else NoEnvironment()


def _docker(node: Node, what: str, problems: Problems) -> DockerEnvironment:
    known = ["environment_type", "image", "imagetag", "resources", "envscript", "env", "workdir", "par_mounts"]
    shape.only(node, known, what, problems)
    entries = shape.mapping(node, what)
    tag = entries.get("imagetag")
    workdir = entries.get("workdir")
    listed = entries.get("resources")
    asked, provided, unprovided = resources.read(listed) if listed and listed.value is not None else (Policy(), (), ())
    for name in unprovided:
        problems.warn(f"the resource {name!r} is not provided here", entries["resources"].where)
    environment = DockerEnvironment(
        image=shape.text(shape.need(node, "image", what), "image"),
        imagetag=_tag(tag) if tag else "latest",
        envscript=shape.text(entries["envscript"], "envscript") if "envscript" in entries else "",
        env=_env(entries["env"]) if "env" in entries else {},
        workdir=shape.text(workdir, "workdir") if workdir and workdir.value is not None else None,
        par_mounts=tuple(_par_mount(item) for item in _items(entries, "par_mounts")),
        asked=asked,
        resources=provided,
        unprovided=unprovided,
    )
    if not _IMAGE.fullmatch(environment.image):
        raise SpecError(f"{environment.image!r} is no image's name", where=entries["image"].where)
    if tag and not _TAG.fullmatch(environment.imagetag):
        raise SpecError(f"{environment.imagetag!r} is no image's tag", where=tag.where)
    if environment.imagetag == "latest":
        problems.warn(
            f"the image {environment.reference} means another one tomorrow",
            (tag or entries["image"]).where,
            "name a version in imagetag; a capsule pins the image by its layers in any case",
        )
    return environment


def _items(entries: Mapping[str, Node], key: str) -> tuple[Node, ...]:
    return shape.sequence(entries[key], key) if key in entries and entries[key].value is not None else ()


def _tag(node: Node) -> str:
    if isinstance(node.value, float | int) and not isinstance(node.value, bool):
        raise SpecError(
            f"the imagetag {node.value} is a number",
            where=node.where,
            hint="put it in quotes: a number loses its last zeros",
        )
    return shape.text(node, "imagetag")


def _env(node: Node) -> dict[str, str]:
    """The environment variables. A number is taken as it is written here; what it was in YAML is lost."""
    found = {}
    for key, item in shape.mapping(node, "env").items():
        if not key or "=" in key or "\0" in key:
            raise SpecError(f"{key!r} is no name of an environment variable", where=item.where)
        if item.value is None or isinstance(item.value, tuple | Mapping | bool):
            raise SpecError(f"the variable {key!r} must be a text", where=item.where, hint="put it in quotes")
        found[key] = str(item.value)
    return found


def _par_mount(node: Node) -> ParMount:
    script = shape.need(node, "jqscript", "a par_mount")
    mountpath = shape.need(node, "mountpath", "a par_mount")
    path = shape.text(mountpath, "mountpath")
    if not path.startswith("/") or "\0" in path or {".", ".."} & set(path.split("/")):
        raise SpecError(f"{path!r} is no absolute path in a container", where=mountpath.where)
    if path.rstrip("/") in ("", "/workdir", "/inputs") or path.startswith("/inputs/") or path.endswith("/"):
        raise SpecError(f"no file can be mounted at {path!r}: directories lie there", where=mountpath.where)
    return ParMount(jq.program(shape.text(script, "jqscript"), script.where), path, node.where)


# --- publishers ------------------------------------------------------------------------------------------------------

_PUBLISHERS: dict[str, list[str]] = {
    "interpolated-pub": ["publish", "glob", "relative_paths"],
    "constant-pub": ["publish"],
    "frompar-pub": ["outputmap"],
    "fromparjq-pub": ["script", "tryExact", "glob", "relative_paths"],
    "fromyaml-pub": ["yamlfile"],
    "fromglob-pub": ["globexpression", "outputkey"],
    "manual-instructions-pub": ["instructions"],
}


def _publisher(node: Node, what: str, parameters: Collection[str] | None, problems: Problems) -> Publisher:
    what = f"the publisher of {what}"
    publisher_type = shape.choice(shape.need(node, "publisher_type", what), list(_PUBLISHERS), "publisher_type")
    shape.only(node, ["publisher_type", *_PUBLISHERS[publisher_type]], what, problems)
    match publisher_type:
        case "interpolated-pub":
            publish = shape.need(node, "publish", what)
            _check_braces(publish, what, parameters, problems)
            return InterpolatedPublisher(publish.plain(), _flag(node, "glob"), _flag(node, "relative_paths"))
        case "constant-pub":
            return ConstantPublisher(shape.need(node, "publish", what).plain())
        case "frompar-pub":
            outputmap = shape.need(node, "outputmap", what)
            _check_outputmap(outputmap, what, parameters, problems)
            return FromParPublisher(outputmap.plain())
        case "fromparjq-pub":
            script = shape.mapping(node, what).get("script")
            return FromParJqPublisher(
                jq.program(shape.text(script, "script"), script.where) if script else ".",
                _flag(node, "tryExact", default=True),
                _flag(node, "glob"),
                _flag(node, "relative_paths"),
            )
        case "fromyaml-pub":
            return FromYamlPublisher(_below(shape.need(node, "yamlfile", what), "yamlfile"))
        case "fromglob-pub":
            return FromGlobPublisher(
                _below(shape.need(node, "globexpression", what), "globexpression"),
                shape.text(shape.need(node, "outputkey", what), "outputkey"),
            )
        case _:
            return ManualPublisher(shape.text(shape.need(node, "instructions", what), "instructions"))


def _flag(node: Node, key: str, *, default: bool = False) -> bool:
    entries = shape.mapping(node, "a publisher")
    return shape.flag(entries[key], key) if key in entries else default


def _below(node: Node, what: str) -> str:
    """A name below the work directory. Upstream writes `<workdir>/<name>`, so a leading slash is one too many."""
    name = shape.text(node, what).lstrip("/")
    if not name or "\0" in name or ".." in name.split("/"):
        raise SpecError(f"the {what} {node.value!r} names nothing below the work directory", where=node.where)
    return name


def _check_braces(node: Node, what: str, parameters: Collection[str] | None, problems: Problems) -> None:
    """Every text of a publisher is a format whose fields are parameters."""
    for text in _texts(node):
        try:
            pieces = list(string.Formatter().parse(str(text.value)))
        except ValueError as error:
            problems.add(
                SpecError(
                    f"the braces do not pair: {error}",
                    where=text.where,
                    hint="write {{ and }} for braces that are not placeholders",
                )
            )
            continue
        for _, field, _, _ in pieces:
            name = (field or "").partition("[")[0].partition(".")[0]
            if field is None or name == WORKDIR or parameters is None or name in parameters:
                continue
            problems.add(
                SpecError(
                    f"{what} names {{{field}}}, which is not one of the stage's parameters",
                    where=text.where,
                    hint=shape.did_you_mean(name, [*parameters, WORKDIR]),
                )
            )


def _check_outputmap(node: Node, what: str, parameters: Collection[str] | None, problems: Problems) -> None:
    for text in _texts(node):
        if parameters is not None and text.value not in parameters:
            problems.add(
                SpecError(
                    f"{what} publishes the unknown parameter {text.value!r}",
                    where=text.where,
                    hint=shape.did_you_mean(str(text.value), parameters),
                )
            )


def _texts(node: Node) -> Iterator[Node]:
    if isinstance(node.value, str):
        yield node
    elif isinstance(node.value, tuple | Mapping):
        for item in node.value.values() if isinstance(node.value, Mapping) else node.value:
            yield from _texts(item)
