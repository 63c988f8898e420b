"""What `run` and `rerun` share: open what is to be run, find the backend, execute with progress, show the result."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import recast_dm
from recast_dm import config, reinterpret, runtimes, store
from recast_dm.backends import Backend
from recast_dm.backends.local import Local
from recast_dm.cli import chosen, limit, options, progress, view
from recast_dm.engine.cache import StepCache
from recast_dm.engine.events import Observer
from recast_dm.engine.rundir import INIT_FILES
from recast_dm.errors import UsageError, storage_error
from recast_dm.model import Policy, Workflow
from recast_dm.reinterpret import outside
from recast_dm.reinterpret.inputs import override
from recast_dm.runtimes import Runtime
from recast_dm.spec import remote, source

Start = Callable[[reinterpret.Subject, Backend, Path, Observer], reinterpret.Result]
LOCKS = Path(recast_dm.__file__).with_name("locks")
YADAGE_LOCK, BUILD_LOCK = LOCKS / "tool-yadage.txt", LOCKS / "tool-build.txt"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to execute it."""

    backend: str = "local"
    runtime: str = "auto"
    jobs: int = 1
    cache: bool = True
    workdir: Path | None = None
    quiet: bool = False
    json: bool = False
    allow_host: bool = False
    keep_going: bool = False
    verify: bool = False
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be run, where, and by what."""

    subject: reinterpret.Subject
    directory: Path
    backend: Backend


def ready(name: str, opening: Opening, settings: Settings) -> Ready:
    """Opens what the user names, and finds the backend."""
    directory = options.run_directory(settings.workdir)
    init_files = directory / INIT_FILES
    subject = complete(open_subject(name, opening, init_files), init_files, opening.inputs_from)
    if opening.events:
        held = subject.initdir
        made = _placed(init_files, lambda unfinished: outside.assemble(held, opening.events, unfinished))
        subject = replace(subject, initdir=made)
    return Ready(subject, directory, _backend(subject, settings))


def execute(name: str, opening: Opening, settings: Settings, start: Start) -> None:
    """Executes and prints. `start` is `reinterpret.run` or `reinterpret.rerun` with everything else filled in."""
    found = ready(name, opening, settings)
    try:
        with progress.observer(quiet=settings.quiet) as observer:
            result = start(found.subject, found.backend, found.directory, observer)
    finally:
        options.link_latest(found.directory)
    plots = limit.plots(result)
    result.keep(plots)
    if settings.json:
        view.document(result.document(plots))
    else:
        view.out(limit.table(result, plots))


def open_subject(name: str, opening: Opening, init_files: Path | None) -> reinterpret.Subject:
    """A capsule, an analysis, or whatever else holds a workflow.

    `init_files` is where init files go that have to be unpacked or chosen first; None: until this process ends only.
    """
    name = name if opening.toplevel is not None else chosen.subject(name)
    if capsule := chosen.capsule(name):
        _refuse_for_capsules(opening)
        return reinterpret.of_capsule(capsule)
    fetch = options.fetcher(opening.allow_remote)
    found = source.open_source(name, toplevel=opening.toplevel, example=opening.example, fetch=fetch, raw=opening.raw)
    for note in found.notes:
        view.say(f"note: {note}")
    given = opening.initdir
    if given is not None and not given.is_dir():
        raise UsageError(f"{given} is not a directory", hint="--initdir names the directory with the init files")
    initdir = given.absolute() if given else _prepared(found, init_files, fetch)
    if found.analysis is not None:
        of_analysis = reinterpret.of_analysis(found.analysis, reinterpret.example_inputs(found.analysis))
        subject = replace(of_analysis, initdir=initdir)
    else:
        subject = reinterpret.of_source(found, initdir)
    return subject if not opening.initfiles else _with_files(subject, opening.initfiles)


def _prepared(found: source.Source, place: Path | None, fetch: remote.Fetch | None) -> Path | None:
    """The init files of a source. Those that have to be unpacked or chosen are made anew for every start.

    They keep their place in the run directory; where there is none (a dry run) they last as long as this process.
    """
    if not (found.inputarchive or found.chosen):
        return found.initdir
    if place is None:
        scratch = tempfile.TemporaryDirectory(prefix="recast-dm-init-")
        atexit.register(scratch.cleanup)
        return source.prepare(found, Path(scratch.name) / "init", fetch)
    return _placed(place, lambda unfinished: source.prepare(found, unfinished, fetch))


def _placed(place: Path, prepare: Callable[[Path], object]) -> Path:
    """Init files that are made anew; those that are there stay when they are the same."""
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


def complete(subject: reinterpret.Subject, place: Path | None, places: tuple[Path, ...]) -> reinterpret.Subject:
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
    if place is None:
        scratch = tempfile.TemporaryDirectory(prefix=".init-", dir=options.cache())
        atexit.register(scratch.cleanup)
        place = Path(scratch.name) / "init"
    made = _placed(place, lambda unfinished: inputs.assemble(held, inside, wanted, unfinished, places))
    return replace(subject, initdir=made)


def _with_files(subject: reinterpret.Subject, files: tuple[Path, ...]) -> reinterpret.Subject:
    from recast_dm.spec import shape, text

    given: dict[str, Any] = {}
    for file in files:
        node = text.read(file)
        shape.mapping(node, str(file))
        given |= node.plain()
    return replace(subject, initdata=override(subject, given), overrides=given)


def _refuse_for_capsules(opening: Opening) -> None:
    allowed = Opening(allow_remote=opening.allow_remote, inputs_from=opening.inputs_from, events=opening.events)
    if opening != allowed:
        raise UsageError(
            "a capsule brings its own inputs", hint="-p changes init parameters; the other options are for sources"
        )


def _backend(subject: reinterpret.Subject, settings: Settings) -> Backend:
    if settings.backend == "yadage":
        return _yadage(subject, settings)
    if settings.backend != "local":
        raise UsageError(f"there is no backend {settings.backend!r}", hint="known here: local, yadage")
    return local(runtime_for(subject.workflow, settings), settings)


def local(runtime: Runtime | None, settings: Settings) -> Backend:
    """Our own engine, on a runtime of this machine."""
    return Local(
        runtime=runtime,
        jobs=settings.jobs,
        cache=_cache() if settings.cache else None,
        allow_host=settings.allow_host,
        keep_going=settings.keep_going,
        verify=settings.verify,
        policy=settings.policy,
        ask=progress.asker(),
    )


def _yadage(subject: reinterpret.Subject, settings: Settings) -> Backend:
    """Upstream in its own environment, which is made the first time."""
    from recast_dm.backends import tool_environment
    from recast_dm.backends.yadage.backend import Yadage

    tools = options.DEFAULTS.cache_dir / "tools"
    if not tools.is_dir():
        view.say(f"making an environment for upstream yadage in {tools} (about half a minute)")
    return Yadage(
        python=tool_environment.ensure("yadage", YADAGE_LOCK, tools, build=BUILD_LOCK),
        runtime=runtime_for(subject.workflow, settings),
        jobs=settings.jobs,
        allow_host=settings.allow_host,
        environment=config.environment(),
    )


def runtime_for(workflow: Workflow, settings: Settings) -> Runtime | None:
    """The runtime that a workflow needs; None for one without containers."""
    return runtimes.find(settings.runtime) if workflow.images() else None


def _cache() -> StepCache | None:
    """The cache of finished steps; none, with a warning, where it cannot be written: a run does not need it."""
    where = "RECAST_DM_CACHE_DIR names another place"
    place = options.cache(lambda why: view.say(f"warning: finished steps are not cached: {why} ({where})"))
    return StepCache(place) if place else None


def dry_run(
    name: str,
    opening: Opening,
    settings: Settings,
    start: Callable[[reinterpret.Subject], reinterpret.Subject],
) -> None:
    """Prints what would be done. `start` fills in the user's parameters."""
    from recast_dm.cli import plan

    subject = start(complete(open_subject(name, opening, None), None, opening.inputs_from))
    plan.show(subject, settings, StepCache(options.DEFAULTS.cache_dir) if settings.cache else None)
