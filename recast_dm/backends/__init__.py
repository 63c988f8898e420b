"""Where a workflow executes: `local` is our own engine; `yadage` drives upstream in an environment of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from recast_dm import config
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.errors import ToolMissing, UsageError
from recast_dm.images import platforms, provision, stores
from recast_dm.images.blobs import Blobs
from recast_dm.model import HostEnvironment, Image, Policy, Workflow
from recast_dm.runtimes import Runtime, store_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What to execute, wherever that is: a workflow, its init parameters and files, and what holds for some stages.

    `pinned` are images by the name that the workflow uses; one that is not pinned is whatever its name means there.
    `layout` is an OCI layout that holds the pinned ones, for a runtime that lacks them.
    `relaxations` and `policies` are by stage (`scan/fit`); `about` is what the run directory says of it; `results` are
    the files that have to be there in the end, by their names (`limit/limit.json`).
    """

    workflow: Workflow
    initdata: Mapping[str, Any]
    initdir: Path | None = None
    pinned: Mapping[str, Image] = field(default_factory=dict)
    layout: Path | None = None
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)


def demand_hosts(workflow: Workflow, *, allowed: bool) -> None:
    """Says at once what would be found out after hours: a stage that starts processes here, and may not."""
    hosts = [name for name, step in workflow.step_specs() if isinstance(step.environment, HostEnvironment)]
    if hosts and not allowed:
        raise UsageError(
            f"the stage {hosts[0]!r} starts processes of this machine (localproc-env)",
            hint="--allow-host lets it; they may then do whatever you may do",
        )


def demand_runtime(runtime: Runtime | None, reference: str) -> Runtime:
    """The runtime that an image needs. Raises ToolMissing when none was chosen."""
    if runtime is None:
        raise ToolMissing(f"the workflow needs containers ({reference}), and no runtime was chosen")
    return runtime


def provide_images(work: Work, runtime: Runtime | None, observer: events.Observer) -> None:
    """Gives the runtime those images that it lacks, out of the capsule or from where else on this machine they are."""
    references = work.workflow.images()
    if runtime is None or not references or (store := store_of(runtime)) is None:
        return

    def told(names: Sequence[str], origin: str) -> None:
        observer(events.ImagesLoading(tuple(names), store.name, origin))

    needed = {name: work.pinned[name] for name in references if name in work.pinned}
    if work.layout is not None and needed:
        provision.provide(needed, work.layout, store, runtime.image, told)
    cache = config.Config.from_environment().cache_dir
    unpinned = [name for name in references if name not in needed]
    provision.bring(unpinned, store, runtime.image, stores.others(store), Blobs(cache / "images"), told)


def demand_platform(images: Mapping[str, Image], runtime: Runtime) -> None:
    """Says before a run what would end as "exec format error" in it. Raises ToolMissing."""
    about = runtime.about()
    for image in images.values():
        if not platforms.runs(image.platform, about.platform):
            raise ToolMissing(
                f"{image.reference} is for {image.platform}, and {about.name} here is for {about.platform}",
                hint="run it on such a machine, or let this one emulate it: "
                "on Debian or Ubuntu `apt-get install -y qemu-user-static`",
            )


class Backend(Protocol):
    """The seam: one method, and the same result from every implementation.

    `points_at_once` is for scans: 0 takes all points in one workflow, scattered; else so many workflows at the same
    time, a point each.
    """

    @property
    def points_at_once(self) -> int: ...

    def execute(self, work: Work, *, directory: Path, observer: events.Observer) -> Finished:
        """Runs a workflow in a run directory, and gives its records."""
        ...
