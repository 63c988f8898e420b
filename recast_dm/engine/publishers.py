"""What is published: by the init stages, and by a step through its publisher. Pure functions.

The files of a directory are given as a collection of paths; nothing here looks at a disk.
"""

from __future__ import annotations

import fnmatch
import posixpath
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from recast_dm.engine.values import bounded, decoded, formatted, freeze, item, joined, jq_first, map_texts, thaw, whole
from recast_dm.errors import SpecError, StepFailed
from recast_dm.model import (
    INIT,
    ConstantPublisher,
    Dir,
    FromGlobPublisher,
    FromParJqPublisher,
    FromParPublisher,
    FromYamlPublisher,
    InterpolatedPublisher,
    ManualPublisher,
    Path,
    Step,
    StepId,
    Value,
    paths_in,
)
from recast_dm.spec.template import field_name


@dataclass(frozen=True)
class Files:
    """The files below a directory, by their relative names."""

    names: frozenset[str] = frozenset()

    @cached_property
    def directories(self) -> frozenset[str]:
        return frozenset(name[:n] for name in self.names for n, letter in enumerate(name) if letter == "/")

    def hold(self, text: str) -> bool:
        """Whether a relative name exists."""
        name = posixpath.normpath(text) if text else "."
        return name == "." or name in self.directories or (name in self.names and not text.endswith("/"))

    def match(self, pattern: str) -> list[str]:
        """The files and directories that match a wildcard, sorted."""
        normal = posixpath.normpath(pattern)
        return sorted(name for name in self.names | self.directories if _matches(name, normal))


NO_FILES = Files()


def publish_init(initdata: Mapping[str, Any], files: Collection[str] | None) -> Mapping[str, Value]:
    """What the init stage publishes: a text that names a file below the initdir becomes that file's path.

    As upstream with `discover` and `relative`: an exact name first, then a wildcard that matches something, which
    becomes a list (sorted here; upstream takes the order of the disk). `files` are the paths below the initdir, None
    where there is no initdir. Whole floats become integers, as they do in upstream's jq.

    >>> publish_init({"yields": "yields.yaml", "n": 3.0}, ["yields.yaml"])["yields"].render({INIT: "/inputs/0"})
    '/inputs/0/yields.yaml'
    """
    published = {key: whole(decoded(freeze(value))) for key, value in bounded(initdata).items()}
    if files is None:
        return published
    found = _search(published, INIT, Files(frozenset(files)), glob=True)
    return found if isinstance(found, Mapping) else published


def publish_scope(step: Step, files: Files | None) -> Value | None:
    """What the init step of a sub-workflow publishes: its parameters, with names of files in them found.

    A name is looked for only where exactly one directory can be meant (as upstream), the one in `step.readdirs`.
    `files` are those of that directory; None says that they are not known yet, and then nothing may be known here.
    """
    publisher = step.spec.publisher
    assert isinstance(publisher, FromParJqPublisher)  # noqa: S101  # what an init step has
    value = whole(step.parameters)
    if len(step.readdirs) != 1 or not publisher.relative_paths:
        return value
    if files is None:
        return None if _has_relative(value) else value
    return _search(value, step.readdirs[0], files, glob=publisher.glob)


def _has_relative(value: Value) -> bool:
    if isinstance(value, str):
        return not value.startswith("/")
    if isinstance(value, tuple | Mapping):
        return any(_has_relative(item) for item in (value.values() if isinstance(value, Mapping) else value))
    return False


def _search(value: Value, base: StepId, files: Files, *, glob: bool, exact: bool = True) -> Value:
    """A value whose relative texts are the paths of the files that they name below a directory."""

    def leaf(text: str) -> Value:
        if text.startswith("/"):
            return text
        if exact and files.hold(text):
            return Path((Dir(base), f"/{text}"))
        if glob and (not exact or any(character in text for character in "*?[")):
            return tuple(Path((Dir(base), f"/{name}")) for name in files.match(text)) or text
        return text

    return map_texts(value, leaf)


def _matches(name: str, pattern: str) -> bool:
    """Shell wildcards, segment by segment; `**` spans directories; hidden names need a literal dot."""
    names = name.split("/")
    reached = {0}  # how many segments of the name the pattern may have taken so far
    for segment in pattern.split("/"):
        reached = _taken(names, segment, reached)
    return len(names) in reached


def _taken(names: list[str], segment: str, reached: set[int]) -> set[int]:
    if segment != "**":
        return {n + 1 for n in reached if n < len(names) and _match_segment(names[n], segment)}
    taken = set(reached)
    for n in range(min(reached, default=len(names)), len(names)):
        if n in taken and not names[n].startswith("."):
            taken.add(n + 1)
    return taken


def _match_segment(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))


def prepublish(step: Step) -> Value | None:
    """What a step will publish, where that is known before it runs; None where only its files can tell."""
    publisher = step.spec.publisher
    if isinstance(publisher, FromYamlPublisher | FromGlobPublisher | ManualPublisher):
        return None
    if isinstance(publisher, InterpolatedPublisher) and publisher.glob:
        return None
    if isinstance(publisher, FromParJqPublisher):
        value = jq_first(publisher.script, step.parameters, step.spec.where)
        looks = publisher.glob or (publisher.try_exact and publisher.relative_paths and _has_relative(value))
        return None if looks else value
    return publish(step, NO_FILES)


def publish(step: Step, files: Files, said: Value = None) -> Value:
    """What a step publishes.

    `files` are those of its work directory; `said` is what the file of a `fromyaml-pub`, or a person, says.
    """
    publisher = step.spec.publisher
    match publisher:
        case ConstantPublisher():
            return decoded(freeze(publisher.publish))
        case FromParPublisher():
            return map_texts(freeze(publisher.outputmap), lambda name: _parameter(step, name))
        case FromParJqPublisher():
            return _searched(step, publisher, files)
        case FromYamlPublisher() | ManualPublisher():
            return decoded(said, step.spec.where)
        case FromGlobPublisher():
            names = files.match(publisher.globexpression)
            return {publisher.outputkey: tuple(Path((Dir(step.id), f"/{name}")) for name in names)}
        case InterpolatedPublisher():
            return map_texts(freeze(publisher.publish), lambda text: _interpolated(step, publisher, text, files))


def _searched(step: Step, publisher: FromParJqPublisher, files: Files) -> Value:
    """The jq program's result with the files found: relative names, and wildcards in paths of the step's own."""
    value = jq_first(publisher.script, step.parameters, step.spec.where)
    if publisher.relative_paths:
        value = _search(value, step.id, files, glob=publisher.glob, exact=publisher.try_exact)
    if not publisher.glob:
        return value
    return _map_paths(value, lambda path: _globbed(step, path, files, exact=publisher.try_exact))


def _map_paths(value: Value, change: Callable[[Path], Value]) -> Value:
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_map_paths(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: _map_paths(item, change) for key, item in value.items()}
    return value


def _globbed(step: Step, path: Path, files: Files, *, exact: bool) -> Value:
    own = Dir(step.id)
    if path.parts[0] != own or len(path.dirs()) != 1:
        return path
    pattern = texts(path).lstrip("/")
    if exact and files.hold(pattern):
        return path
    return tuple(Path((own, f"/{name}")) for name in files.match(pattern)) or path


def _parameter(step: Step, name: str) -> Value:
    parameters = step.named()
    if name not in parameters:
        raise SpecError(f"the publisher of {step.id} names an unknown parameter {name!r}", where=step.spec.where)
    return parameters[name]


def _interpolated(step: Step, publisher: InterpolatedPublisher, text: str, files: Files) -> Value:
    value = _compose(step, text)
    own = Dir(step.id)
    absolute = isinstance(value, Path) and isinstance(value.parts[0], Dir)
    if publisher.relative_paths and not absolute and not str(texts(value)).startswith("/"):
        tail = value.parts if isinstance(value, Path) else (value,)
        value = Path((own, "/", *tail))
    if not publisher.glob:
        return _join(value)
    if isinstance(value, Path) and value.parts[0] == own:
        pattern = texts(replace(value, parts=value.parts[1:])).lstrip("/")
        if files.hold(pattern) and (not pattern or pattern.endswith("/")):
            return (_join(value),)
        matches = files.match(pattern)
        if matches:
            return tuple(Path((own, f"/{name}")) for name in matches)
    return _join(value)


def _compose(step: Step, text: str) -> str | Path:
    """A publisher's text with `{workdir}` and the step's parameters in it, by the rules of Python's `str.format`."""
    parts: list[str | Dir] = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        parts.append(literal)
        if name is None:
            continue
        value = Path((Dir(step.id),)) if name == "workdir" else _field(step, name)
        if isinstance(value, Path) and not spec and not conversion:
            parts += value.parts
        else:
            parts.append(_formatted(step, name, value, spec or "", conversion or ""))
    return joined(Path(tuple(parts)))


def _field(step: Step, text: str) -> Value:
    name, items = field_name(text, step.spec.where)
    try:
        return item(_parameter(step, name), items)
    except ValueError as error:
        raise SpecError(f"the publisher of {step.id} names {{{text}}}: {error}", where=step.spec.where) from None


def _formatted(step: Step, name: str, value: Value, spec: str, conversion: str) -> str:
    """A value as Python formats it. Lists and mappings that hold paths have no text of their own."""
    if any(True for _ in paths_in(value)):
        raise SpecError(
            f"the publisher of {step.id} makes text of {{{name}}}, which holds paths",
            where=step.spec.where,
            hint="publish the parameter itself, by frompar-pub",
        )
    try:
        return formatted(thaw(value), spec, conversion)
    except ValueError as error:
        raise SpecError(
            f"the publisher of {step.id} cannot format {{{name}}}: {error}", where=step.spec.where
        ) from None


def _join(value: str | Path) -> str | Path:
    return value if isinstance(value, str) else joined(value)


def texts(value: str | Path) -> str:
    return value if isinstance(value, str) else "".join(p for p in value.parts if isinstance(p, str))


def check_published(step: Step, published: Value, files: Files) -> None:
    """Every published path in the step's own directory must exist there: success is a checked statement.

    Raises StepFailed naming what is missing. A step that starts nothing writes nothing, and only says names.
    """
    if not step.spec.starts_something:
        return
    own = Dir(step.id)
    for path in paths_in(published):
        if path.parts[0] != own or len(path.dirs()) > 1:
            continue  # somebody else's, or a text that names several places
        text = texts(path)
        name = text.strip("/")
        if not name or (text.startswith("/") and files.hold(name)):
            continue
        shown = name if text.startswith("/") else f"{{workdir}}{text}"
        found = ", ".join(sorted(files.names)[:10]) or "nothing"
        raise StepFailed(
            f"the step {step.id} ended well but did not write its declared output {shown!r}",
            hint=f"it wrote: {found}",
            step=str(step.id),
        )
