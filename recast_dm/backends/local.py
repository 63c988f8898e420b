"""The local backend: our own engine, on a runtime of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import images
from recast_dm.engine import events
from recast_dm.engine.cache import StepCache
from recast_dm.engine.execute import Finished, execute
from recast_dm.engine.perform import Request
from recast_dm.model import Image, Workflow
from recast_dm.runtimes import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Executes on this machine, at most `jobs` containers at once; `cache` None neither reads nor writes one."""

    runtime: Runtime
    jobs: int
    cache: StepCache | None

    def execute(
        self,
        workflow: Workflow,
        initdata: Mapping[str, Any],
        *,
        initdir: Path | None,
        pinned: Mapping[str, Image],
        relaxations: Mapping[str, tuple[str, ...]],
        directory: Path,
        about: Mapping[str, Any],
        observer: events.Observer,
    ) -> Finished:
        """Runs a workflow in `directory` with the pinned images, as they are called here."""
        request = Request(
            workflow=workflow,
            initdata=initdata,
            initdir=initdir,
            images={name: images.find(image, self.runtime.image) for name, image in pinned.items()},
            relaxations=relaxations,
            about=about,
        )
        return execute(
            request,
            directory=directory,
            runtime=self.runtime,
            jobs=self.jobs,
            cache=self.cache,
            observer=observer,
        )
