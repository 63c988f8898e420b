"""Where things lie in a capsule, and its digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recast_dm import store

SCHEMA = "recast-dm/capsule/1"
CAPTURED_SCHEMA = "recast-dm/captured/1"
MANIFEST = "capsule.json"
CAPTURED = "captured.json"
WORKFLOW = "data/workflow.yml"
ANALYSIS = "data/analysis"


def digest(manifest: Mapping[str, Any]) -> str:
    """The capsule's digest: everything in the manifest but itself and what an engine calls its images.

    Image ids and registry digests change when an image is converted; its layers do not.
    """
    covered = {key: value for key, value in manifest.items() if key != "digest"}
    covered["images"] = [
        {key: image[key] for key in ("reference", "diff_ids", "platform")} for image in manifest["images"]
    ]
    return store.digest(covered)
