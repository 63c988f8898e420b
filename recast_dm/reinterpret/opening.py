"""What somebody names becomes a subject: a capsule, an analysis, or whatever else holds a workflow, with its files."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.capsule import Capsule, open_capsule, packing
from recast_dm.capsule.catalogue import naming
from recast_dm.config import Config
from recast_dm.errors import UsageError, storage_error
from recast_dm.reinterpret import outside
from recast_dm.reinterpret.inputs import override
from recast_dm.reinterpret.planned import example_inputs
from recast_dm.reinterpret.subject import Subject, of_analysis, of_capsule, of_source
from recast_dm.spec import remote, source


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to open what the user names."""

    toplevel: str | None = None
    example: str | None = None
    initdir: Path | None = None
    initfiles: tuple[Path, ...] = ()
    allow_remote: bool = False
    raw: tuple[str, ...] = ()
    inputs_from: tuple[Path, ...] = ()
    events: tuple[Path, ...] = ()


def opened(
    name: str, opening: Opening, init_files: Path | None, config: Config, note: Callable[[str], object]
) -> Subject:
    """The subject that a name means, with everything that it starts from; `note` hears what the user should know.

    `init_files` is where init files go that have to be made first; None: they last as long as this process.
    """
    subject = complete(found(name, opening, init_files, config, note), init_files, opening.inputs_from, config)
    return with_events(subject, opening.events, init_files) if opening.events else subject


def found(
    name: str, opening: Opening, init_files: Path | None, config: Config, note: Callable[[str], object]
) -> Subject:
    """The subject that a name means; a capsule may still lack inputs that it keeps by reference."""
    name = name if opening.toplevel is not None else naming.meant(name, config)
    if capsule := capsule_at(Path(name), config):
        _refuse_for_capsules(opening)
        return of_capsule(capsule)
    fetch = remote.Fetcher(tokens=config.tokens) if opening.allow_remote else None
    held = source.open_source(name, toplevel=opening.toplevel, example=opening.example, fetch=fetch, raw=opening.raw)
    for each in held.notes:
        note(f"note: {each}")
    subject = _of_source(held, _init_files(held, opening.initdir, init_files, fetch))
    return subject if not opening.initfiles else _with_files(subject, opening.initfiles)


def capsule_at(place: Path, config: Config) -> Capsule | None:
    """The capsule at a place, checked; None where there is none. One that is a file is unpacked in the cache."""
    return open_capsule(place, config.writable_cache()) if packing.is_capsule(place) else None


def with_events(subject: Subject, files: tuple[Path, ...], place: Path | None) -> Subject:
    """A subject whose init files, made at `place`, hold event files besides."""
    held = subject.initdir
    return replace(subject, initdir=_made(place, lambda unfinished: outside.assemble(held, files, unfinished)))


def complete(subject: Subject, place: Path | None, places: tuple[Path, ...], config: Config) -> Subject:
    """A capsule that keeps inputs by reference, with an initdir at `place` that has them; anything else as it is.

    Where there is no such place (a dry run), the initdir lasts as long as this process.
    """
    capsule = subject.capsule
    if capsule is None or not capsule.referenced:
        if places:
            raise UsageError(f"{subject.name} keeps no inputs by reference", hint="leave out --inputs-from")
        return subject
    if subject.initdir is None:
        return subject
    from recast_dm.capsule import inputs

    held, wanted = subject.initdir, capsule.referenced
    inside = held.resolve().relative_to(capsule.analysis.directory.resolve()).as_posix()
    scratch = config.writable_cache()
    made = _made(place, lambda unfinished: inputs.assemble(held, inside, wanted, unfinished, places), scratch)
    return replace(subject, initdir=made)


def _refuse_for_capsules(opening: Opening) -> None:
    allowed = Opening(allow_remote=opening.allow_remote, inputs_from=opening.inputs_from, events=opening.events)
    if opening != allowed:
        raise UsageError(
            "a capsule brings its own inputs", hint="-p changes init parameters; the other options are for sources"
        )


def _of_source(held: source.Source, initdir: Path | None) -> Subject:
    if held.analysis is None:
        return of_source(held, initdir)
    return replace(of_analysis(held.analysis, example_inputs(held.analysis)), initdir=initdir)


def _with_files(subject: Subject, files: tuple[Path, ...]) -> Subject:
    from recast_dm.spec import shape, text

    given: dict[str, Any] = {}
    for file in files:
        node = text.read(file)
        shape.mapping(node, str(file))
        given |= node.plain()
    return replace(subject, initdata=override(subject, given), overrides=given)


# --- init files -------------------------------------------------------------------------------------------------------


def _init_files(held: source.Source, given: Path | None, place: Path | None, fetch: remote.Fetch | None) -> Path | None:
    """The init files of a source: those that are given, its own, or made where they have to be unpacked or chosen."""
    if given is not None:
        if not given.is_dir():
            raise UsageError(f"{given} is not a directory", hint="--initdir names the directory with the init files")
        return given.absolute()
    if not (held.inputarchive or held.chosen):
        return held.initdir
    return _made(place, lambda unfinished: source.prepare(held, unfinished, fetch))


def _made(place: Path | None, prepare: Callable[[Path], object], scratch: Path | None = None) -> Path:
    """Init files that are made anew for every start: in the run directory, or for this process alone."""
    if place is not None:
        return _placed(place, prepare)
    temporary = tempfile.TemporaryDirectory(prefix=".init-" if scratch else "recast-dm-init-", dir=scratch)
    atexit.register(temporary.cleanup)
    return _placed(Path(temporary.name) / "init", prepare)


def _placed(place: Path, prepare: Callable[[Path], object]) -> Path:
    """Makes init files at a place; those that are there stay when they are the same."""
    unfinished = store.temporary(place)
    store.make_directory(unfinished.parent)
    try:
        prepare(unfinished)
        if place.is_dir() and store.init_tree(place).sha256 == store.init_tree(unfinished).sha256:
            return place
        old = store.temporary(place)
        if place.is_dir():
            place.rename(old)
        unfinished.rename(place)
        store.remove(old)
    except OSError as error:
        raise storage_error(error, "prepare the init files") from None
    finally:
        store.remove(unfinished)
    return place
