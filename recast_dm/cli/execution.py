"""What `run` and `rerun` share: open the capsule, find the runtime, execute with progress, show the result."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from recast_dm import reinterpret, runtimes, store
from recast_dm.backends.local import Local
from recast_dm.capsule import Capsule, open_capsule
from recast_dm.cli import limit, options, progress, view
from recast_dm.engine.cache import StepCache
from recast_dm.engine.events import Observer
from recast_dm.errors import StorageError

Start = Callable[[Capsule, Local, Path, Observer], reinterpret.Result]


def execute(
    capsule_path: Path,
    start: Start,
    *,
    runtime: str,
    jobs: int,
    cache: bool,
    workdir: Path | None,
    quiet: bool,
    json: bool,
) -> None:
    """Executes and prints. `start` is `reinterpret.run` or `reinterpret.rerun` with everything else filled in."""
    capsule = open_capsule(capsule_path)
    engine = runtimes.find(runtime)
    directory = options.run_directory(workdir)
    backend = Local(runtime=engine, jobs=jobs, cache=_cache() if cache else None)
    try:
        with progress.observer(quiet=quiet) as observer:
            result = start(capsule, backend, directory, observer)
    finally:
        options.link_latest(directory)
    plots = limit.plots(result)
    if json:
        view.document(result.document(plots))
    else:
        view.out(limit.table(result, plots))


def _cache() -> StepCache | None:
    """The cache of finished steps; none, with a warning, where it cannot be written: a run does not need it."""
    place = options.DEFAULTS.cache_dir
    try:
        if os.access(store.make_directory(place), os.W_OK):
            return StepCache(place)
        reason = f"{place} is not writable"
    except StorageError as error:
        reason = error.message
    view.say(f"warning: finished steps are not cached: {reason} (RECAST_DM_CACHE_DIR names another place)")
    return None
