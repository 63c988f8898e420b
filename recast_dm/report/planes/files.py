"""Planes as files in a directory: each figure with its numbers beside it as CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.report.planes import drawing
from recast_dm.report.planes.mapping import Plane
from recast_dm.report.plots import files

SCHEMA = "recast-dm/plane/1"


def save(planes: Iterable[Plane], directory: Path, suffix: str, common: dict[str, Any]) -> list[dict[str, Any]]:
    """Writes every plane; gives their documents with the files. `common` stands in each JSON file."""
    store.make_directory(directory)
    found = []
    for plane in planes:
        head, rows = plane.table()
        output = directory / f"{plane.name}{suffix}"
        written = files.save(drawing.draw(plane), output, head, rows, {"schema": SCHEMA, **common, **plane.document()})
        found.append({**plane.document(), "files": [str(path) for path in written]})
    return found
