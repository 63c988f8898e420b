"""The local backend: our own engine, on a runtime of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm import config, images
from recast_dm.backends import Work, demand_hosts, demand_platform, demand_runtime, provide_images
from recast_dm.engine import events
from recast_dm.engine.cache import StepCache
from recast_dm.engine.execute import Finished, execute
from recast_dm.engine.request import Ask, Request
from recast_dm.engine.starting import Tools
from recast_dm.model import Image, Policy, Workflow
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Executes on this machine, at most `jobs` steps at once.

    `runtime` None is for workflows without containers; `cache` None neither reads nor writes one; `allow_host` lets
    `localproc-env` start processes; `verify` hashes again what a resumed run finds finished.
    """

    runtime: Runtime | None
    jobs: int
    cache: StepCache | None
    allow_host: bool = False
    keep_going: bool = False
    verify: bool = False
    policy: Policy = field(default_factory=Policy)
    ask: Ask | None = None
    points_at_once: int = 0

    def execute(self, work: Work, *, directory: Path, observer: events.Observer) -> Finished:
        """Runs a workflow in `directory` with the pinned images, as they are called here."""
        demand_hosts(work.workflow, allowed=self.allow_host)
        provide_images(work, self.runtime, observer)
        request = Request(
            workflow=work.workflow,
            initdata=work.initdata,
            initdir=work.initdir,
            images=self._images(work.workflow, work.pinned),
            relaxations=work.relaxations,
            policies=work.policies,
            policy=self.policy,
            about=work.about,
        )
        tools = Tools(
            containers=self.runtime,
            host=Host(config.environment()) if self.allow_host else None,
            cache=self.cache,
            observer=observer,
            ask=self.ask,
            verify=self.verify,
        )
        return execute(request, directory=directory, tools=tools, jobs=self.jobs, keep_going=self.keep_going)

    def _images(self, workflow: Workflow, pinned: Mapping[str, Image]) -> dict[str, Image]:
        references = workflow.images()
        if not references:
            return {}
        runtime = demand_runtime(self.runtime, references[0])
        unpinned = images.pin([name for name in references if name not in pinned], runtime.image)
        found = {name: images.find(pinned[name], runtime.image) for name in references if name in pinned}
        found |= {image.reference: image for image in unpinned}
        demand_platform(found, runtime)
        return found
