"""Capturing in tests, without the command line."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import reinterpret, store
from recast_dm.capsule import Capsule, bag, layout, packing
from recast_dm.capsule.capture import Contents
from recast_dm.capsule.capture import capture as write
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


def rewritten(capsule: Path, target: Path, path: str, data: bytes) -> Path:
    """A copy of a capsule in which a file is another, and everything that vouches for it too."""
    shutil.copytree(capsule, target)
    place = target / path
    place.chmod(0o644)
    place.write_bytes(data)
    payload = bag.read(member for member in bag.members(target) if member.path.startswith(bag.PAYLOAD))
    manifest = packing.read_manifest(target)
    hashed = {entry.path: entry for entry in payload}
    for each in manifest["files"]:
        entry = hashed[each["path"]]
        each.update(size=entry.size, sha256=entry.sha256, sha512=entry.sha512)
    manifest["digest"] = layout.digest(manifest)
    store.write_atomic(target / layout.MANIFEST, store.pretty(manifest))
    bag.close(target, payload, {"External-Identifier": f"sha256:{manifest['digest']}"})
    return target
