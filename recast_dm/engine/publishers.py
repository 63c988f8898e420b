"""What is published: by the init stage, and by a step through its publisher. Pure functions.

The files of a directory are given as a collection of paths; nothing here looks at a disk.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from recast_dm.errors import SpecError, StepFailed
from recast_dm.model import (
    INIT,
    ConstantPublisher,
    Dir,
    FromParPublisher,
    InterpolatedPublisher,
    Path,
    Step,
    Value,
    paths_in,
)


def publish_init(initdata: Mapping[str, Any], files: Collection[str] | None) -> Mapping[str, Value]:
    """What the init stage publishes: a text that names a file below the initdir becomes that file's path.

    As upstream with `discover` and `relative`: an exact name first, then a wildcard that matches something, which
    becomes a list (sorted here; upstream takes the order of the disk). `files` are the paths below the initdir, None
    where there is no initdir. Whole floats become integers, as they do in upstream's jq.

    >>> publish_init({"yields": "yields.yaml", "n": 3.0}, ["yields.yaml"])["yields"].render({INIT: "/inputs/0"})
    '/inputs/0/yields.yaml'
    """
    known = frozenset(files or ())
    directories = {"/".join(parts[:n]) for file in known for parts in [file.split("/")] for n in range(1, len(parts))}
    everything = sorted(known | directories)

    def exists(text: str) -> bool:
        name = posixpath.normpath(text) if text else "."
        return name == "." or name in directories or (name in known and not text.endswith("/"))

    def leaf(text: str) -> Value:
        if files is None or text.startswith("/"):
            return text
        if exists(text):
            return Path((Dir(INIT), f"/{text}"))
        if any(character in text for character in "*?["):
            matches = [name for name in everything if _matches(name, text)]
            if matches:
                return tuple(Path((Dir(INIT), f"/{name}")) for name in matches)
        return text

    return {key: map_texts(_whole(freeze(value)), leaf) for key, value in initdata.items()}


def _whole(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return tuple(_whole(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _matches(name: str, pattern: str) -> bool:
    """Shell wildcards, segment by segment; `**` spans directories; hidden names need a literal dot."""
    if "**" in pattern:
        return re.fullmatch(fnmatch.translate(pattern.replace("**/", "**")), name) is not None
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(
        fnmatch.fnmatchcase(n, p) and (p.startswith(".") or not n.startswith("."))
        for n, p in zip(names, patterns, strict=True)
    )


def prepublish(step: Step) -> Value | None:
    """What a step will publish, where that is known before it runs; None where only its files can tell."""
    publisher = step.spec.publisher
    if isinstance(publisher, InterpolatedPublisher) and publisher.glob:
        return None
    return publish(step, ())


def publish(step: Step, files: Collection[str]) -> Value:
    """What a step publishes, `files` being the paths below its work directory."""
    publisher = step.spec.publisher
    if isinstance(publisher, ConstantPublisher):
        return freeze(publisher.publish)
    if isinstance(publisher, FromParPublisher):
        return map_texts(freeze(publisher.outputmap), lambda name: _parameter(step, name))
    return map_texts(freeze(publisher.publish), lambda text: _interpolated(step, publisher, text, files))


def _parameter(step: Step, name: str) -> Value:
    if name not in step.parameters:
        raise SpecError(f"the publisher of {step.id} names an unknown parameter {name!r}", where=step.spec.where)
    return step.parameters[name]


def _interpolated(step: Step, publisher: InterpolatedPublisher, text: str, files: Collection[str]) -> Value:
    value = _compose(step, text)
    own = Dir(step.id)
    absolute = isinstance(value, Path) and isinstance(value.parts[0], Dir)
    if publisher.relative_paths and not absolute and not str(_texts(value)).startswith("/"):
        tail = value.parts if isinstance(value, Path) else (value,)
        value = Path((own, "/", *tail))
    if not publisher.glob:
        return _joined(value)
    if isinstance(value, Path) and value.parts[0] == own:
        pattern = _texts(replace(value, parts=value.parts[1:])).lstrip("/")
        matches = sorted(name for name in files if _matches(name, pattern))
        if matches:
            return tuple(Path((own, f"/{name}")) for name in matches)
    return _joined(value)


def _compose(step: Step, text: str) -> str | Path:
    """A publisher's text with `{workdir}` and the step's parameters in it, by the rules of Python's `str.format`."""
    parts: list[str | Dir] = []
    for literal, field, spec, conversion in string.Formatter().parse(text):
        parts.append(literal)
        if field is None:
            continue
        value = Path((Dir(step.id),)) if field == "workdir" else _field(step, field)
        if isinstance(value, Path) and not spec and not conversion:
            parts += value.parts
        else:
            parts.append(_formatted(step, field, value, spec or "", conversion))
    joined = _joined(Path(tuple(parts)))
    return joined if isinstance(joined, Path) else str(joined)


def _field(step: Step, field: str) -> Value:
    """A parameter, or with `name[key]` an item of one. Attributes (`name.x`) are refused: values have none."""
    name, _, items = field.partition("[")
    value = _parameter(step, name)
    for item in items.removesuffix("]").split("][") if items else ():
        try:
            if isinstance(value, tuple):
                value = value[int(item)]
            elif isinstance(value, Mapping):
                value = value[item]
            else:
                raise ValueError(item)
        except (ValueError, LookupError):
            raise SpecError(
                f"the publisher of {step.id} names {{{field}}}, which is not there", where=step.spec.where
            ) from None
    return value


def _formatted(step: Step, field: str, value: Value, spec: str, conversion: str | None) -> str:
    """A value as Python formats it. Lists and mappings that hold paths have no text of their own."""
    if any(True for _ in paths_in(value)):
        raise SpecError(
            f"the publisher of {step.id} makes text of {{{field}}}, which holds paths",
            where=step.spec.where,
            hint="publish the parameter itself, by frompar-pub",
        )
    try:
        shown = string.Formatter().convert_field(_thawed(value), conversion)
        return format(shown, spec)
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"the publisher of {step.id} cannot format {{{field}}}: {error}", where=step.spec.where
        ) from None


def _thawed(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return value


def _joined(value: str | Path) -> str | Path:
    """A path with neighbouring texts joined; one without directories is a text."""
    if isinstance(value, str):
        return value
    parts: list[str | Dir] = []
    for part in value.parts:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "":
            parts.append(part)
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    return Path(tuple(parts))


def _texts(value: str | Path) -> str:
    return value if isinstance(value, str) else "".join(p for p in value.parts if isinstance(p, str))


def check_published(step: Step, published: Value, names: Collection[str]) -> None:
    """Every published path in the step's own directory must exist there: success is a checked statement.

    `names` are files and directories below the work directory. Raises StepFailed naming what is missing.
    """
    own = Dir(step.id)

    def look(value: Value) -> None:
        if isinstance(value, tuple):
            for item in value:
                look(item)
        elif isinstance(value, Mapping):
            for item in value.values():
                look(item)
        elif isinstance(value, Path) and value.parts[0] == own:
            text = _texts(value)
            name = text.strip("/")
            if name and (name not in names or not text.startswith("/")):
                shown = name if text.startswith("/") else f"{{workdir}}{text}"
                found = ", ".join(sorted(names)[:10]) or "nothing"
                raise StepFailed(
                    f"the step {step.id} ended well but did not write its declared output {shown!r}",
                    hint=f"it wrote: {found}",
                )

    look(published)


def freeze(value: Any) -> Value:
    """JSON as a frozen value: lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): freeze(item) for key, item in value.items()}
    return value  # type: ignore[no-any-return]  # a JSON scalar


def map_texts(value: Value, change: Callable[[str], Value]) -> Value:
    """A value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_texts(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: map_texts(item, change) for key, item in value.items()}
    return value
