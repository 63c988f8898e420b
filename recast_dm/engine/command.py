"""A step's command line: parameters are data.

A value reaches the command as one literal word: quoted where the placeholder stands free, through an environment
variable where it stands inside quotes. Inside a container the work directory is always `/workdir` and the inputs are
`/inputs/<n>`, so the same step has the same command everywhere; on the host they are where they are.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as HostPath

from recast_dm.engine import values
from recast_dm.errors import SpecError
from recast_dm.model import Command, DockerEnvironment, Field, Path, Script, Step, StepId, Template, Value
from recast_dm.spec.relaxations import RAW

WORKDIR = "/workdir"
_SHOW = (
    'if [ -e "$1" ] || [ -L "$1" ]; then ln -s "$@" . 2>/dev/null; '
    'if [ $? -gt 1 ]; then for RDM_F in "$@"; do ln -s "$RDM_F" . 2>/dev/null; done; fi; fi'
)
"""One program links everything; where the words are too many for it, each gets one of its own."""
IN_SCRATCH = (
    "RDM_D=${PWD%/}; cd /scratch 2>/dev/null && "
    f'(set -- "$RDM_D"/*; {_SHOW}; set -- "$RDM_D"/.[!.]*; {_SHOW}); unset RDM_D OLDPWD; exec "$@"'
)
"""Goes from the image's own directory, which cannot be written to, into a scratch directory that shows all of it."""
INPUTS = "/inputs"
_PLAIN = re.compile(r"[A-Za-z0-9_.:,+-]+(?:/[A-Za-z0-9_.:,+-]+)*/?|(?:/[A-Za-z0-9_.:,+-]+)+/?")
_COMMAND = re.compile(r"\$[({]|`")
SAFE = re.compile(r"[A-Za-z0-9_./:=,+@%-]*")
"""Words that mean the same inside and outside of a shell's quotes."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is started: argv, its standard input, extra environment, where, and warnings for the user.

    `cwd` None is the image's own directory; with `scratch` the command finds that in a directory that it can write to,
    and that is thrown away. `files` are the contents of files to be mounted, by where.
    """

    argv: tuple[str, ...]
    stdin: str | None
    env: Mapping[str, str]
    cwd: str | None = None
    scratch: bool = False
    files: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()


def in_container(step: Step) -> dict[StepId, str]:
    """Where the directories of a step lie inside its container."""
    return {step.id: WORKDIR, **{source: f"{INPUTS}/{n}" for n, source in enumerate(step.input_dirs())}}


def on_host(step: Step, work: HostPath, inputs: Sequence[HostPath]) -> dict[StepId, str]:
    """Where they lie for a process of this machine."""
    return {step.id: str(work), **{s: str(place) for s, place in zip(step.input_dirs(), inputs, strict=True)}}


def invocation(step: Step, places: Mapping[StepId, str]) -> Invocation:
    """The command of a step with its parameters in it. Raises SpecError for a value no command can carry."""
    process, environment = step.spec.process, step.spec.environment
    assert isinstance(process, Command | Script)  # noqa: S101  # nothing else is started
    template = process.cmd if isinstance(process, Command) else process.script
    words = {part: words_of(step, part, places) for part in template.parts if isinstance(part, Field)}
    raw = RAW in step.relaxations
    if isinstance(process, Script) and process.foreign and not raw:
        _demand_plain(step, process, words)
        raw = True
    elif not raw:
        _demand_no_subscript(step, template, words)
    try:
        text, env = _render(template, words, raw)
    except ValueError as error:
        raise SpecError(f"the command of {step.id} cannot be made: {error}", where=step.spec.where) from None
    warnings = () if raw else _warnings(step, words)
    docker = environment if isinstance(environment, DockerEnvironment) else None
    setup = f". {docker.envscript} && " if docker and docker.envscript else ""
    stdin = None if isinstance(process, Command) else text
    argv: tuple[str, ...] = ("sh", "-c", f"{setup}{text}")
    if not isinstance(process, Command):
        argv = ("sh", "-c", f"{setup}{process.interpreter}") if setup else tuple(shlex.split(process.interpreter))
    _demand_no_nul(step, (*argv, *(docker.env.values() if docker else ())))
    if docker is None:
        return Invocation(argv, stdin, env, warnings=warnings)
    cwd = start(step, docker, places)
    scratch = cwd is None or not f"{cwd}/".startswith((f"{WORKDIR}/", f"{INPUTS}/"))
    return Invocation(
        ("sh", "-c", IN_SCRATCH, "sh", *argv) if scratch else argv,
        stdin,
        {**docker.env, **env},
        cwd,
        scratch,
        {mount.mountpath: _content(step, mount.jqscript, places) for mount in docker.par_mounts},
        warnings,
    )


def _demand_no_nul(step: Step, words: Sequence[str]) -> None:
    """A NUL ends every text that a process is given."""
    if any("\0" in word for word in words):
        raise SpecError(f"the command of {step.id}, or its environment, holds a NUL", where=step.spec.where)


def _demand_no_subscript(step: Step, template: Template, words: Mapping[Field, tuple[str, ...]]) -> None:
    """Shells evaluate `a[$(cmd)]` wherever they take a text for a number: in `[[ -gt ]]`, `let`, `$((...))`.

    Where a value will go cannot be known, so such a value is refused.
    """
    written = given = 0  # brackets that are open: of the template itself, and of values since the last command ended
    for part in template.parts:
        if isinstance(part, str):
            written = _open(part, written)
            given = 0 if set(part) & set(";\n") else given
            continue
        alone = part.quoting in ("none", "nested")  # then each word of a list is a word of the shell's own
        for text in words[part] if alone else [" ".join(words[part])]:
            if _in_brackets(text, written + given):
                raise SpecError(
                    f"the parameter {part.name!r} of {step.id} holds a command in brackets, which a shell may evaluate "
                    "wherever it takes a text for a number",
                    where=step.spec.where,
                    hint=f"pass it in a file (par_mounts), or set `{RAW}` under `steps.{step.id.names}`",
                )
        given += _open(words[part][-1] if words[part] else "", 0)


def _open(text: str, depth: int) -> int:
    """How many brackets are open behind a text."""
    for character in text:
        depth = max(0, depth + (character == "[") - (character == "]"))
    return depth


def _in_brackets(text: str, depth: int) -> bool:
    """Whether a text has a command in brackets, of which so many are open before it."""
    for n, character in enumerate(text):
        depth = max(0, depth + (character == "[") - (character == "]"))
        if depth and _COMMAND.match(text, n):
            return True
    return False


def _demand_plain(step: Step, script: Script, words: Mapping[Field, tuple[str, ...]]) -> None:
    """In a language that is not a shell's, only numbers, names and paths mean the same inside and outside of quotes."""
    for field, given in words.items():
        if any(not _PLAIN.fullmatch(word) for word in given):
            raise SpecError(
                f"the parameter {field.name!r} of {step.id} is no plain word, and the script's interpreter is "
                f"{script.interpreter!r}: only in sh and bash scripts can any value be quoted",
                where=step.spec.where,
                hint=f"let the script read it from a file (par_mounts), or set `{RAW}` under `steps.{step.id.names}`",
            )


def _content(step: Step, program: str, places: Mapping[StepId, str]) -> str:
    return values.jq_text(program, step.parameters, lambda path: path.render(places), step.spec.where)


def start(step: Step, environment: DockerEnvironment, places: Mapping[StepId, str]) -> str | None:
    """The directory that the command starts in, with `{workdir}` and `{readdirN}` in it."""
    if environment.workdir is None:
        return None
    known = {"workdir": WORKDIR} | {f"readdir{n}": places[s] for n, s in enumerate(step.readdirs) if s in places}
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(environment.workdir) if field is not None]
        if all(field in known for field in fields):
            found = environment.workdir.format(**known)
            if found.startswith("/") and "\0" not in found:
                return found
    except (ValueError, LookupError):
        pass
    raise SpecError(
        f"the workdir {environment.workdir!r} of {step.id} is no absolute path",
        where=step.spec.where,
        hint=f"it may hold {', '.join(f'{{{name}}}' for name in known)}",
    )


def words_of(step: Step, field: Field, places: Mapping[StepId, str]) -> tuple[str, ...]:
    """The words of a placeholder: of a list, one for each element."""
    parameters = step.named()
    if field.name not in parameters:
        known = ", ".join(sorted(parameters)) or "none"
        raise SpecError(
            f"the command of {step.id} has {{{field.name}}}, which is not one of its parameters",
            where=step.spec.where,
            hint=f"its parameters: {known}; write {{{{ and }}}} for braces that are not placeholders",
        )
    try:
        value = values.item(parameters[field.name], field.items)
        if field.spec or field.conversion:
            shown = values.thaw(value, lambda path: path.render(places))
            joined = " ".join(str(item) for item in shown) if isinstance(shown, list) else shown
            return (_word(step, field, values.formatted(joined, field.spec, field.conversion)),)
    except ValueError as error:
        raise SpecError(
            f"the command of {step.id} cannot use {{{field.name}}} so: {error}", where=step.spec.where
        ) from None
    items = value if isinstance(value, tuple) else (value,)
    return tuple(_word(step, field, _text(step, field, item, places)) for item in items)


def _text(step: Step, field: Field, item: Value, places: Mapping[StepId, str]) -> str:
    if isinstance(item, tuple | Mapping):
        raise SpecError(
            f"the parameter {field.name!r} of {step.id} is nested: a command takes texts, numbers and lists of them",
            where=step.spec.where,
        )
    return item.render(places) if isinstance(item, Path) else str(item)


def _word(step: Step, field: Field, word: str) -> str:
    if "\0" in word or values.has_half_a_character(word):
        raise SpecError(
            f"the parameter {field.name!r} of {step.id} holds a NUL or half a character: no command can carry it",
            where=step.spec.where,
        )
    return word


def _render(template: Template, words: Mapping[Field, tuple[str, ...]], raw: bool) -> tuple[str, dict[str, str]]:
    rendered: list[str] = []
    env: dict[str, str] = {}
    for part in template.parts:
        if isinstance(part, str):
            rendered.append(part)
        else:
            rendered.append(" ".join(words[part]) if raw else quoted(part, words[part], env))
    _demand_whole_documents(template, rendered)
    return "".join(rendered), env


def _demand_whole_documents(template: Template, rendered: Sequence[str]) -> None:
    """No value may end the literal here-document that it stands in. Raises ValueError."""
    line, document = "", ""
    for part, text in zip(template.parts, rendered, strict=True):
        if isinstance(part, Field) and part.quoting == "document":
            document = part.document
            if "\n" in text:
                raise ValueError(f"{{{part.name}}} has several lines, and stands in a literal here-document")
        head, *rest = text.split("\n")
        line += head
        if rest:
            if document and line.lstrip("\t") == document:
                raise ValueError(f"a value would end the here-document {document!r}")
            line, document = rest[-1], ""


def quoted(field: Field, words: tuple[str, ...], env: dict[str, str]) -> str:
    """The words of a placeholder as the shell has to read them; `env` takes those that stand in quotes already."""
    if field.quoting == "none":
        return " ".join(shlex.quote(word) for word in words)
    if field.quoting == "document":
        return " ".join(words)
    if field.quoting == "comment":
        return field.name  # a line break in a value would end the comment
    if field.quoting == "nested":
        return " ".join(f'"{_variable(word, env)}"' for word in words)
    variable = _variable(" ".join(words), env)
    return variable if field.quoting in ("double", "expanded document") else f"'\"{variable}\"'"


def _variable(value: str, env: dict[str, str]) -> str:
    name = f"RECAST_DM_P{len(env)}"
    env[name] = value
    return f"${{{name}}}"


def _warnings(step: Step, words: Mapping[Field, tuple[str, ...]]) -> tuple[str, ...]:
    """Upstream would have split or evaluated these values; here they are passed as they are."""
    odd = dict.fromkeys(field.name for field, given in words.items() if any(not SAFE.fullmatch(w) for w in given))
    return tuple(
        f"{step.id}: the parameter {name!r} holds characters that a shell would act on; it is passed literally "
        f"(upstream yadage would not; `{RAW}` under `steps.{step.id.names}` in recast.yml asks for that)"
        for name in odd
    )
