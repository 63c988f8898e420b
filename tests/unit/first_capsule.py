"""Capsules of the first format, as recast-dm 0.1 wrote them: small, and there are no images in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from recast_dm import store
from recast_dm.capsule import layout
from recast_dm.spec import analysis


def write(directory: Path, place: Path, **more: Any) -> Path:
    """The capsule of an analysis; `more` are entries of its manifest."""
    shutil.copytree(directory, place / layout.ANALYSIS, ignore=shutil.ignore_patterns("__pycache__"))
    loaded = analysis.load(directory)
    (place / layout.WORKFLOW).write_text(yaml.safe_dump(dict(loaded.workflow.source), sort_keys=False))
    manifest = {
        "schema": "recast-dm/capsule/1",
        "name": loaded.name,
        "title": loaded.title,
        "digest": "",
        "workflow": layout.WORKFLOW,
        "analysis": layout.ANALYSIS,
        "initdir": f"{layout.ANALYSIS}/data",
        "example": {"initdata": dict(loaded.example.initdata), "model": None, "parameters": None},
        "likelihood": None,
        "images": [
            {
                "reference": reference,
                "image_id": f"sha256:{'1' * 64}",
                "diff_ids": [f"sha256:{'2' * 64}"],
                "registry_digest": None,
                "platform": "linux/amd64",
                "config": {},
            }
            for reference in loaded.workflow.images()
        ],
        "files": [{**f.document(), "path": f"data/{f.path}"} for f in store.tree_of(place / "data").files],
        **more,
    }
    manifest["digest"] = layout.digest(manifest)
    (place / layout.MANIFEST).write_bytes(store.pretty(manifest))
    return place
