"""Capture: an analysis directory becomes a capsule."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from recast_dm import __version__, images, store
from recast_dm.capsule import layout
from recast_dm.capsule.opening import Capsule, open_capsule
from recast_dm.errors import IntegrityError, UsageError, storage_error
from recast_dm.spec.analysis import Analysis

IGNORED = ("__pycache__", ".git", "*.pyc", ".pytest_cache", ".ipynb_checkpoints")


def capture(
    analysis: Analysis, target: Path, *, lookup: images.Lookup, example: Mapping[str, Any], runtime: str
) -> Capsule:
    """Writes the capsule of an analysis to `target`, replacing the capsule that is there.

    `lookup` finds images; `example` are the complete init parameters of the captured point. The capsule appears
    whole or not at all. Raises UsageError when something else is at `target`.
    """
    _refuse_foreign(target, analysis.directory)
    pinned = images.pin(analysis.workflow.images(), lookup)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        store.make_directory(temporary / "data")
        shutil.copytree(
            analysis.directory,
            temporary / layout.ANALYSIS,
            ignore=shutil.ignore_patterns(*IGNORED),
            symlinks=True,
        )
        flattened = yaml.safe_dump(dict(analysis.workflow.source), sort_keys=False, allow_unicode=True)
        (temporary / layout.WORKFLOW).write_text(flattened, encoding="utf-8")
        files = _files(temporary)
        store.seal(temporary / "data")
        manifest = _manifest(analysis, files, [image.document() for image in pinned], example)
        store.write_atomic(temporary / layout.MANIFEST, store.pretty(manifest))
        store.write_atomic(temporary / layout.CAPTURED, store.pretty(_captured(runtime)))
        _replace(temporary, target)
    except OSError as error:
        raise storage_error(error, f"write the capsule {target}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return open_capsule(target)


def _files(root: Path) -> store.Tree:
    try:
        tree = store.tree_of(root / "data")
    except IntegrityError as error:
        raise UsageError(f"the analysis cannot be captured: {error.message}", hint=error.hint) from None
    return tree


def _manifest(
    analysis: Analysis, files: store.Tree, pinned: list[dict[str, Any]], example: Mapping[str, Any]
) -> dict[str, Any]:
    statistics = analysis.statistics
    initdir = analysis.initdir
    manifest: dict[str, Any] = {
        "schema": layout.SCHEMA,
        "name": analysis.name,
        "title": analysis.title,
        "digest": "",
        "workflow": layout.WORKFLOW,
        "analysis": layout.ANALYSIS,
        "initdir": f"{layout.ANALYSIS}/{initdir.relative_to(analysis.directory)}" if initdir else None,
        "example": {
            "initdata": dict(example),
            "model": analysis.example.model,
            "parameters": dict(analysis.example.parameters) if analysis.example.parameters is not None else None,
        },
        "likelihood": {"stage": statistics.likelihood.stage, "output": statistics.likelihood.output}
        if statistics
        else None,
        "images": pinned,
        "files": [{**file.document(), "path": f"data/{file.path}"} for file in files.files],
    }
    return {**manifest, "digest": layout.digest(manifest)}


def _captured(runtime: str) -> dict[str, Any]:
    return {
        "schema": layout.CAPTURED_SCHEMA,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "recast_dm": __version__,
        "runtime": runtime,
    }


def _refuse_foreign(target: Path, analysis: Path) -> None:
    """Only a capsule, or an empty place, is overwritten; and a capsule cannot hold itself."""
    if target.resolve().is_relative_to(analysis.resolve()):
        raise UsageError(f"{target} lies in the analysis that it preserves", hint="choose another place with -o")
    if not target.exists():
        return
    if not target.is_dir() or (any(target.iterdir()) and not (target / layout.MANIFEST).is_file()):
        raise UsageError(f"{target} exists and is not a capsule", hint="choose another name with -o")


def _replace(temporary: Path, target: Path) -> None:
    """Puts the new capsule in place of the old one; in between there is none, never a mixture."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
    if target.exists():
        target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    store.fsync_directory(target.parent.absolute())
    shutil.rmtree(old, ignore_errors=True)
