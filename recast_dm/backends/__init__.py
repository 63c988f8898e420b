"""Where a workflow executes: `local` is our own engine; `yadage` drives upstream in an environment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.model import Image, Policy, Workflow


class Backend(Protocol):
    """The seam: one method, and the same result from every implementation."""

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
        policies: Mapping[str, Policy] | None = None,
    ) -> Finished:
        """Runs a workflow in a run directory, and gives its records."""
        ...
