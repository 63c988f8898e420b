"""Capturing in tests, without the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import reinterpret
from recast_dm.capsule import Capsule
from recast_dm.capsule import capture as write
from recast_dm.capsule.capture import Contents
from recast_dm.images import sources
from recast_dm.images.blobs import Blobs
from recast_dm.spec import analysis


def capture(
    directory: Path,
    target: Path,
    source: sources.Source,
    images: Path,
    example: Mapping[str, Any] | None = None,
    **more: Any,
) -> Capsule:
    """The capsule of an analysis, without a run unless one is given. `images` keeps layers from test to test."""
    loaded = analysis.load(directory)
    shared = Blobs(images)
    contents = Contents(
        analysis=loaded,
        example=reinterpret.example_inputs(loaded) if example is None else example,
        images=sources.collect(loaded.workflow.images(), [source], shared),
        shared=shared,
        runtime="a test",
        **more,
    )
    return write(contents, target)
