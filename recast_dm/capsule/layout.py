"""Where things lie in a capsule, and its digest.

`recast-dm/capsule/2` is written; `recast-dm/capsule/1` (a directory without images, no bag) is still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recast_dm import store

SCHEMA = "recast-dm/capsule/2"
FIRST_SCHEMA = "recast-dm/capsule/1"
CAPTURED_SCHEMA = "recast-dm/captured/2"
MANIFEST = "capsule.json"
CAPTURED = "captured.json"
RERUN = "RERUN.txt"
WORKFLOW = "data/workflow.yml"
ANALYSIS = "data/analysis"
IMAGES = "data/images"
SOURCE = "data/source"
LIKELIHOOD = "data/likelihood"
REFERENCE = "data/reference"
RUN = "data/run"
SBOM = "data/sbom"
CRATE = "data/ro-crate-metadata.json"

COVERED = (f"{ANALYSIS}/", WORKFLOW, f"{LIKELIHOOD}/", f"{REFERENCE}/")
"""What of the payload the digest covers, file by file. Images are covered by their diff_ids: a layer's blob may be
compressed in another way tomorrow, and is the same layer."""
_UNCOVERED = ("digest", "source")


def is_covered(path: str) -> bool:
    return path.startswith(COVERED)


def digest(manifest: Mapping[str, Any]) -> str:
    """The capsule's digest: everything in the manifest but itself, where the source came from, and how images are kept.

    Image ids, registry digests and blobs change when an image is converted; its layers do not.
    """
    if manifest.get("schema") == FIRST_SCHEMA:
        return _first_digest(manifest)
    covered = {key: value for key, value in manifest.items() if key not in _UNCOVERED}
    covered["images"] = _images(manifest, ("reference", "diff_ids", "platform", "config"))
    return store.digest(covered)


def _first_digest(manifest: Mapping[str, Any]) -> str:
    covered = {key: value for key, value in manifest.items() if key != "digest"}
    covered["images"] = _images(manifest, ("reference", "diff_ids", "platform"))
    return store.digest(covered)


def _images(manifest: Mapping[str, Any], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{key: image[key] for key in keys} for image in manifest["images"]]
