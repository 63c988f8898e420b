"""A step's command line: parameters are data.

A value reaches the command as one literal word: quoted where the placeholder stands free, through an environment
variable where it stands inside quotes. Inside a container the work directory is always `/workdir` and the inputs are
`/inputs/<n>`, so the same step has the same command everywhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from recast_dm.errors import SpecError
from recast_dm.model import Command, Field, Path, Step, StepId, Template, Value

WORKDIR = "/workdir"
INPUTS = "/inputs"
RAW = "compat: raw"
_SAFE = re.compile(r"[A-Za-z0-9_./:=,+@%-]*")


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is started in a container: argv, its standard input, extra environment, and warnings for the user."""

    argv: tuple[str, ...]
    stdin: str | None
    env: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def places(step: Step) -> dict[StepId, str]:
    """Where the directories of a step lie inside its container."""
    inputs = [source for source in step.input_dirs() if source != step.id]
    return {step.id: WORKDIR, **{source: f"{INPUTS}/{n}" for n, source in enumerate(inputs)}}


def invocation(step: Step) -> Invocation:
    """The command of a step with its parameters in it. Raises SpecError for a value no command can carry."""
    process = step.spec.process
    template = process.cmd if isinstance(process, Command) else process.script
    used = set(template.fields())
    texts = {name: _words(step, name, value) for name, value in step.parameters.items() if name in used}
    raw = RAW in step.relaxations
    text, env = _render(step, template, texts, raw)
    warnings = () if raw else _warnings(step, texts)
    if isinstance(process, Command):
        return Invocation(("sh", "-c", text), None, env, warnings)
    return Invocation(tuple(shlex.split(process.interpreter)), text, env, warnings)


def _words(step: Step, name: str, value: Value) -> tuple[str, ...]:
    items = value if isinstance(value, tuple) else (value,)
    where = places(step)
    words = []
    for item in items:
        if isinstance(item, tuple | Mapping):
            raise SpecError(
                f"the parameter {name!r} of {step.id} is nested: a command takes texts, numbers and lists of them",
                where=step.spec.where,
            )
        word = item.render(where) if isinstance(item, Path) else str(item)
        if "\0" in word or any("\ud800" <= character <= "\udfff" for character in word):
            raise SpecError(
                f"the parameter {name!r} of {step.id} holds a NUL or half a character: no command can carry it",
                where=step.spec.where,
            )
        words.append(word)
    return tuple(words)


def _render(
    step: Step, template: Template, texts: Mapping[str, tuple[str, ...]], raw: bool
) -> tuple[str, dict[str, str]]:
    rendered: list[str] = []
    env: dict[str, str] = {}
    for part in template.parts:
        if isinstance(part, str):
            rendered.append(part)
            continue
        if part.name not in texts:
            known = ", ".join(sorted(step.parameters)) or "none"
            raise SpecError(
                f"the command of {step.id} has {{{part.name}}}, which is not one of its parameters",
                where=step.spec.where,
                hint=f"its parameters: {known}; write {{{{ and }}}} for braces that are not placeholders",
            )
        words = texts[part.name]
        rendered.append(" ".join(words) if raw else _quoted(part, words, env))
    return "".join(rendered), env


def _quoted(field: Field, words: tuple[str, ...], env: dict[str, str]) -> str:
    if field.quoting == "none":
        return " ".join(shlex.quote(word) for word in words)
    variable = f"RECAST_DM_P{len(env)}"
    env[variable] = " ".join(words)
    return f"${{{variable}}}" if field.quoting == "double" else f"'\"${{{variable}}}\"'"


def _warnings(step: Step, texts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Upstream would have split or evaluated these values; here they are passed as they are."""
    odd = [name for name, words in texts.items() if any(not _SAFE.fullmatch(word) for word in words)]
    return tuple(
        f"{step.id}: the parameter {name!r} holds characters that a shell would act on; it is passed literally "
        f"(upstream yadage would not; `{RAW}` under `steps.{step.id.stage}` in recast.yml asks for that)"
        for name in odd
    )
