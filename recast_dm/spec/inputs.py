"""What a run starts from: a workflow whose references are resolved, its init parameters, and its init files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recast_dm.errors import Location, RecastError, SpecError, UsageError
from recast_dm.spec import archive, refs, remote, shape
from recast_dm.spec.analysis import Analysis
from recast_dm.spec.text import Node

Kind = Literal["analysis", "recast-entry", "reana", "workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that can be run, in whatever form somebody has it.

    `initdir` is a directory that exists. `chosen` names what of it is meant, relative to it; nothing means all of it.
    `inputarchive` is the path or address of a zip file that holds the init files instead. `prepare` makes one
    directory of these. `results` are paths in a run's files. `notes` are sentences for whoever runs it.
    """

    kind: Kind
    name: str
    root: Node
    where: Location
    initdata: Mapping[str, Any] = field(default_factory=dict)
    initdir: Path | None = None
    chosen: tuple[str, ...] = ()
    inputarchive: str | None = None
    archivematch: str | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    analysis: Analysis | None = None


def prepare(source: Source, into: Path, fetch: remote.Fetch | None = None) -> Path | None:
    """The directory with a source's init files, or None where it has none.

    It is the source's own, or `into`, which must not exist: then it is made. Raises SpecError and RemoteError.
    """
    if source.inputarchive is not None:
        return _unpack(source, source.inputarchive, into, fetch)
    if source.initdir is None or not source.chosen:
        return source.initdir
    into.mkdir(parents=True)
    for name in source.chosen:
        _copy(source.initdir / name, into / name)
    return into


def _unpack(source: Source, name: str, into: Path, fetch: remote.Fetch | None) -> Path:
    if not remote.is_remote(name):
        return archive.extract(Path(name), into, source.archivematch, where=source.where)
    content = allowed(fetch, f"the input archive {remote.shown(name)}", source.where)(name, limit=archive.MAX_ARCHIVE)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "input.zip"
        file.write_bytes(content)
        return archive.extract(file, into, source.archivematch, where=source.where)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)  # whoever hashes them judges links
    elif not target.exists():
        shutil.copy2(path, target)


def allowed(fetch: remote.Fetch | None, what: str, where: Location | None) -> remote.Fetch:
    """The fetch, if there is one; else an error that names the flag."""
    if fetch is not None:
        return fetch
    kind: type[RecastError] = SpecError if where else UsageError
    raise kind(f"{what} is on a server", where=where, hint=remote.ALLOW)


def workflow(
    name: str, toplevel: str | Path, *, fetch: remote.Fetch | None = None, where: Location | None = None
) -> Node:
    """The workflow `name`, as upstream finds it below a toplevel, with its references resolved.

    `FILE#/POINTER` names a part of a file. `where` is the place that names it, if that is a file.
    """
    file, _, pointer = name.removeprefix("raw_with_defaults:").partition("#")
    if isinstance(toplevel, str) and remote.is_remote(toplevel):
        allowed(fetch, f"the toplevel {remote.shown(toplevel)}", where)
        top = remote.directory(toplevel, where)
        try:
            return refs.load_file(top.file(file), top, pointer=pointer, fetch=fetch)
        except ValueError as error:
            raise missing(f"the workflow {file!r} {error}", where) from None
    path = Path(toplevel) / file
    if not is_file(path):
        raise missing(f"the workflow {file!r} does not exist in {toplevel}", where)
    return refs.load(path, Path(toplevel), pointer=pointer, fetch=fetch)


def missing(message: str, where: Location | None) -> RecastError:
    """What is not there: a mistake of the file that names it, or of the command line."""
    return SpecError(message, where=where) if where else UsageError(message, hint="check the path; `ls` its directory")


def is_file(path: Path) -> bool:
    """Whether there is such a file: also for names that can be none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long; a NUL byte
        return False


def file_of(directory: Path, node: Node, what: str) -> Path:
    """The file or directory that a text names, relative to the directory of the file it stands in."""
    name = shape.text(node, what)
    path = directory / name
    try:
        there = path.exists()
        inside = path.resolve().is_relative_to(directory.resolve())
    except (OSError, ValueError, RuntimeError):  # too long; a NUL byte; links in a circle
        there = inside = False
    if not there:
        raise SpecError(f"{what} {name!r} does not exist", where=node.where)
    if not inside and not Path(name).is_absolute():
        raise SpecError(
            f"{what} {name!r} leaves the directory {directory}",
            where=node.where,
            hint="copy it there; or write its whole path, to run it without preserving it",
        )
    return path


def outside(directory: Path, path: Path, what: str) -> tuple[str, ...]:
    """A note where something does not lie with the file that names it."""
    if path.resolve().is_relative_to(directory.resolve()):
        return ()
    return (f"{what} {path} lies outside of {directory}: it can be run, but not preserved",)
