"""A step's command in the words of REANA's engine, which puts values into it as text and knows no settings.

What our engine does around a command is written into it: where it starts, the variables and script of its environment.
A value stays a placeholder where its text means the same quoted and unquoted; another one that is the same in every
step is written into the command as our engine would write it; and what remains is refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recast_dm.engine import command, values
from recast_dm.errors import SpecError
from recast_dm.model import Command, DockerEnvironment, Field, Image, Script, Step, StepId, StepSpec, Template, paths_in

WORKSPACE = "/reana/workspace"
"""Stands for REANA's workspace where paths are looked at: it lies at a place of plain characters, too."""
HERE = "recast_dm_workdir"
"""The parameter that carries a step's own directory into its command."""
_END = "RECAST_DM_SCRIPT"
_SHELLS = ("sh", "bash")
IN_SCRATCH = (
    'RDM_D={place}; RDM_S=$(mktemp -d) && cd "$RDM_S" && for RDM_F in "${{RDM_D%/}}"/* "${{RDM_D%/}}"/.[!.]*; do '
    'if [ -e "$RDM_F" ]; then ln -s "$RDM_F" . 2>/dev/null; fi; done; unset RDM_D RDM_F RDM_S OLDPWD; '
)
"""Goes into a scratch directory that shows the image's own, as our engine does: REANA starts every step of a workflow
in the same directory."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A process for REANA, and whether it needs the parameter `HERE`."""

    process: Mapping[str, Any]
    with_workdir: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Text:
    """A command as it grows: `env` are variables that it needs."""

    parts: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def places(step: Step) -> dict[StepId, str]:
    """Where a step's directories lie at REANA, all of plain characters."""
    return {source: f"{WORKSPACE}/{source}" for source in (step.id, *step.input_dirs())}


def rewritten(name: str, spec: StepSpec, steps: Sequence[Step], image: Image | None, *, raw: bool) -> Rewritten:
    """The process of a stage (`scan/fit`) with what is known of its steps. Raises SpecError for what cannot be said.

    `steps` are those of the stage that are known before anything runs; `raw`: its values are meant to be text.
    """
    process, environment = spec.process, spec.environment
    assert isinstance(process, Command | Script)  # noqa: S101  # nothing else is started
    assert isinstance(environment, DockerEnvironment)  # noqa: S101  # the others were refused
    for step in steps:
        command.invocation(step, places(step))  # says what no command can carry
    template = process.cmd if isinstance(process, Command) else process.script
    text = _body(name, spec, template, steps, raw=raw, foreign=isinstance(process, Script) and process.foreign)
    before, with_workdir = _before(name, spec, environment, image)
    exports = {**environment.env, **text.env}
    setup = before + "".join(f"export {key}={shlex.quote(value)}; " for key, value in exports.items())
    setup = _escaped(setup).replace(_escaped(f"{{{HERE}}}"), f"{{{HERE}}}")
    body = "".join(text.parts)
    notes = tuple(text.notes)
    if isinstance(process, Command):
        source = f". {environment.envscript} && " if environment.envscript else ""
        said = {"process_type": "string-interpolated-cmd", "cmd": f"{setup}{_escaped(source)}{body}"}
        return Rewritten(said, with_workdir, notes)
    return Rewritten(_script(process, setup, environment.envscript, body, spec), with_workdir, notes)


def _script(process: Script, setup: str, envscript: str, body: str, spec: StepSpec) -> Mapping[str, Any]:
    """A script that sets itself up; one in another language is handed to its interpreter by a shell."""
    source = _escaped(f". {envscript}\n") if envscript else ""
    kind = {"process_type": "interpolated-script-cmd"}
    if process.interpreter in _SHELLS:
        return {**kind, "interpreter": process.interpreter, "script": f"{setup}\n{source}{body}"}
    if _END in body:
        raise SpecError(f"a script that holds the word {_END} cannot be sent to REANA", where=spec.where)
    inner = f"{setup}\n{source}exec {_escaped(process.interpreter)} <<'{_END}'\n{body}\n{_END}\n"
    return {**kind, "interpreter": "sh", "script": inner}


def _before(name: str, spec: StepSpec, environment: DockerEnvironment, image: Image | None) -> tuple[str, bool]:
    """What brings a command to the directory that it starts in, and whether that is below its own."""
    if environment.workdir is None:
        place = str(image.config.get("workdir") or "/") if image else "/"
        return IN_SCRATCH.format(place=shlex.quote(place)), False
    rest = environment.workdir.removeprefix("{workdir}")
    if "{" in rest or "}" in rest:
        raise SpecError(
            f"the stage {name!r} starts in {environment.workdir!r}: REANA's engine has no word for that directory",
            where=spec.where,
            hint="let it start below {workdir}, or at an absolute path",
        )
    if rest == environment.workdir:
        return f"cd {shlex.quote(rest)} || exit; ", False
    return f"cd {{{HERE}}}{shlex.quote(rest) if rest else ''} || exit; ", True


def _body(name: str, spec: StepSpec, template: Template, steps: Sequence[Step], *, raw: bool, foreign: bool) -> _Text:
    text = _Text()
    if raw:
        text.parts.append(template.text)
        return text
    for part in template.parts:
        text.parts.append(_escaped(part) if isinstance(part, str) else _field(name, spec, part, steps, text, foreign))
    return text


def _field(name: str, spec: StepSpec, part: Field, steps: Sequence[Step], text: _Text, foreign: bool) -> str:
    """A placeholder, or what stands for it."""
    if not steps:
        text.notes.append(f"{name}: {{{part.name}}} is made while the workflow runs; REANA puts it in as text")
        return _placeholder(part)
    found = {command.words_of(step, part, places(step)) for step in steps}
    if all(word and command.SAFE.fullmatch(word) for words in found for word in words):
        return _placeholder(part)
    if part.quoting == "comment":
        return part.name
    if len(found) == 1 and not foreign and not _has_path(part, steps):
        return _escaped(command.quoted(part, next(iter(found)), text.env))
    odd = next(word for words in found for word in words if not (word and command.SAFE.fullmatch(word)))
    raise SpecError(
        f"the stage {name!r} has {{{part.name}}} with the value {odd!r}: REANA's engine would put it into the command "
        "as text, and the shell would act on it",
        where=spec.where,
        hint="plain values have A-Z a-z 0-9 _ . / : = , + @ % - only; "
        + ("the steps of this stage differ in it" if len(found) > 1 else "pass it in a file"),
    )


def _has_path(part: Field, steps: Sequence[Step]) -> bool:
    return any(True for step in steps for _ in paths_in(values.item(step.named()[part.name], part.items)))


def _placeholder(part: Field) -> str:
    items = "".join(f"[{key}]" for key in part.items)
    conversion = f"!{part.conversion}" if part.conversion else ""
    return f"{{{part.name}{items}{conversion}{':' if part.spec else ''}{part.spec}}}"


def _escaped(text: str) -> str:
    """Text that no template takes for a placeholder.

    >>> _escaped("awk '{print}'")
    "awk '{{print}}'"
    """
    return text.replace("{", "{{").replace("}", "}}")
