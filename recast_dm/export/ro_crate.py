"""A run or a capsule as an RO-Crate: a directory, or a zip file of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import yaml

from recast_dm import store
from recast_dm.capsule import Capsule, crate, layout
from recast_dm.engine import history
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.export import Exported
from recast_dm.export.packing import write
from recast_dm.export.scans import Scan

Members: TypeAlias = Mapping[str, Path | bytes]
"""The files of a crate by their paths in it: each is a file that lies somewhere, or bytes."""


class RoCrate:
    """Provenance Run Crate 0.5; of a capsule without a reference run, Workflow RO-Crate 1.0."""

    def export(self, source: Path | Capsule | Scan, output: Path) -> Exported:
        members = of_capsule(source) if isinstance(source, Capsule) else of_run(_directory(source))
        return write(members, output)


def _directory(source: Path | Scan) -> Path:
    place = source.directory if isinstance(source, Scan) else source
    if place is None:
        raise UsageError("the run directory of this scan is not here", hint="a crate holds its files; name the run")
    return place


def of_run(directory: Path) -> Members:
    """The files of a run: outputs, records, logs, workflow. Raises IntegrityError when outputs have changed."""
    metadata = crate.of_run(directory)  # first: it says what is wrong with the directory
    run = history.read(directory)
    plan = history.workflow(directory)
    assert plan is not None  # noqa: S101  # the metadata could not have been made
    members: dict[str, Path | bytes] = {
        crate.METADATA: metadata,
        crate.RUN: directory / "run.json",
        crate.WORKFLOW: yaml.safe_dump(dict(plan.source), sort_keys=False, allow_unicode=True, width=120).encode(),
    }
    for step in run.steps:
        if step.log is not None:
            members[crate.log_path(step.id)] = step.log
        record = run.record(step.id) if step.state == "finished" else None
        if record is None:
            continue
        members[crate.record_path(step.id)] = directory / ".records" / step.id.stage / f"{step.id.index}.json"
        place = directory / str(step.id)
        tree = store.Tree.from_document(record["outputs"])
        _demand_unchanged(tree, place)
        members |= {f"{crate.OUTPUTS}/{step.id}/{file.path}": place / file.path for file in tree.files}
    return members


def _demand_unchanged(tree: store.Tree, place: Path) -> None:
    """A crate says what its files hash to: those that only look touched are hashed, others are as they were sealed."""
    if not place.is_dir() or not (store.looks_like(tree, place) or store.tree_of(place).sha256 == tree.sha256):
        raise IntegrityError(
            f"the files in {place} are not those that its step left",
            hint="`recast-dm run … --workdir` with --verify makes them anew",
        )


def of_capsule(capsule: Capsule) -> Members:
    """The files of a capsule's `data/`, with metadata made where it was captured without."""
    data = capsule.path / "data"
    members: dict[str, Path | bytes] = dict(store.walk(data))
    if crate.METADATA not in members:
        captured = store.read_json(capsule.path / layout.CAPTURED, layout.CAPTURED_SCHEMA)
        members[crate.METADATA] = crate.of_capsule(
            data, capsule.analysis, capsule.images, captured=captured["time"], initdata=capsule.initdata
        )
    return members
