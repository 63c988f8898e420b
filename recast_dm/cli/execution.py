"""What `run` and `rerun` share: open what is to be run, find the backend, execute with progress, show the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import recast_dm
from recast_dm import config, reinterpret, runtimes
from recast_dm.backends import Backend
from recast_dm.backends.local import Local
from recast_dm.cli import limit, options, progress, view
from recast_dm.engine.cache import StepCache
from recast_dm.engine.events import Observer
from recast_dm.engine.rundir import INIT_FILES
from recast_dm.errors import UsageError
from recast_dm.model import Policy, Workflow
from recast_dm.reinterpret import opening as openings
from recast_dm.runtimes import Runtime

Opening = openings.Opening
Start = Callable[[reinterpret.Subject, Backend, Path, Observer], reinterpret.Result]
LOCKS = Path(recast_dm.__file__).with_name("locks")
YADAGE_LOCK, BUILD_LOCK = LOCKS / "tool-yadage.txt", LOCKS / "tool-build.txt"


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
    at_once: int = 8
    registry: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be run, where, and by what."""

    subject: reinterpret.Subject
    directory: Path
    backend: Backend


def ready(name: str, opening: Opening, settings: Settings) -> Ready:
    """Opens what the user names, and finds the backend."""
    directory = options.run_directory(settings.workdir)
    subject = open_subject(name, opening, directory / INIT_FILES)
    return Ready(subject, directory, _backend(subject, settings))


def execute(name: str, opening: Opening, settings: Settings, start: Start) -> None:
    """Executes and prints. `start` is `reinterpret.run` or `reinterpret.rerun` with everything else filled in."""
    found = ready(name, opening, settings)
    try:
        with progress.observer(quiet=settings.quiet) as observer:
            result = start(found.subject, found.backend, found.directory, observer)
    finally:
        options.link_latest(found.directory)
    show(result, json=settings.json)


def show(result: reinterpret.Result, *, json: bool) -> None:
    """Keeps a result with its plots in the run directory, and prints it."""
    plots = keep(result)
    if json:
        view.document(result.document(plots))
    else:
        view.out(limit.table(result, plots))


def keep(result: reinterpret.Result) -> tuple[Path, ...]:
    """Keeps a result in the run directory; gives its plots."""
    plots = limit.plots(result)
    result.keep(plots)
    return plots


def open_subject(name: str, opening: Opening, init_files: Path | None) -> reinterpret.Subject:
    """A capsule, an analysis, or whatever else holds a workflow, with everything that it starts from.

    `init_files` is where init files go that have to be made first; None: until this process ends only.
    """
    return openings.opened(name, opening, init_files, options.DEFAULTS, view.say)


def _backend(subject: reinterpret.Subject, settings: Settings) -> Backend:
    if settings.backend == "yadage":
        return _yadage(subject, settings)
    if settings.backend == "reana":
        from recast_dm.cli import cluster

        return cluster.cluster(
            registry=settings.registry,
            layout=subject.layout,
            cached=settings.cache,
            quiet=settings.quiet,
            retries=settings.policy.retries or 0,
            points_at_once=settings.at_once,
        )
    if settings.backend != "local":
        raise UsageError(f"there is no backend {settings.backend!r}", hint="known here: local, yadage, reana")
    return local(runtime_for(subject.workflow, settings), settings)


def local(runtime: Runtime | None, settings: Settings) -> Backend:
    """Our own engine, on a runtime of this machine."""
    return Local(
        runtime=runtime,
        jobs=settings.jobs,
        cache=cache() if settings.cache else None,
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


def cache() -> StepCache | None:
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

    subject = start(open_subject(name, opening, None))
    plan.show(subject, settings, StepCache(options.DEFAULTS.cache_dir) if settings.cache else None)
