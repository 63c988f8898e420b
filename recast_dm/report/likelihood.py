"""The likelihood that a run set its limit on: found by what its files hold, so that no recast.yml is needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.engine.history import Run
from recast_dm.model import StepId
from recast_dm.report import spectrum
from recast_dm.report.spectrum import Spectrum
from recast_dm.spec.analysis import Observable, Statistics

MARK = b"recast-dm/limit-stage/1"
LARGEST = 64 * 2**20
"""Bytes of a file that is looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """A background-only pyhf workspace, the patch that puts the signal in, and which part of it is drawn."""

    workspace: Path
    patch: Path
    channel: str
    signal_sample: str
    observable: Observable | None = None

    def spectrum(self) -> Spectrum:
        return spectrum.of_files(self.workspace, self.patch, self.channel, self.signal_sample)


def of_run(run: Run, known: Statistics | None = None) -> Likelihood | None:
    """The likelihood of a run with one limit step; None where there is none, or more.

    `known` is what the analysis says of it. Without that, it is what the limit step got: a workspace and a patch.
    """
    limits = [step.id for step in run.steps if step.state == "finished" and _makes_limit(run, step.id)]
    if len(limits) != 1:
        return None
    record = run.record(limits[0]) or {}
    sources = [StepId.parse(name) for name in record.get("depends_on", ())]
    return _among([path for source in sources for path in _files(run, source)], known)


def of_directory(directory: Path, known: Statistics | None = None) -> Likelihood | None:
    """The likelihood in a directory of its files, as a capsule keeps it."""
    return _among(sorted(directory.glob("*.json")), known)


def _among(files: list[Path], known: Statistics | None) -> Likelihood | None:
    workspace = patch = None
    for path in files:
        document = _json(path)
        if isinstance(document, dict) and {"channels", "observations", "measurements"} <= document.keys():
            workspace = workspace or (path, document)
        elif _is_patch(document):
            patch = patch or (path, document)
    if workspace is None or patch is None:
        return None
    added = _signal(patch[1])
    channels = [channel["name"] for channel in workspace[1]["channels"]]
    channel = known.channel if known else channels[added[0]] if added and added[0] < len(channels) else channels[0]
    sample = known.signal_sample if known else added[1] if added else None
    if sample is None:
        return None
    return Likelihood(
        workspace=workspace[0],
        patch=patch[0],
        channel=channel,
        signal_sample=sample,
        observable=known.observable if known else None,
    )


def _signal(patch: list[dict[str, Any]]) -> tuple[int, str] | None:
    """The first sample that a patch adds: the number of its channel, and its name."""
    for operation in patch:
        words = str(operation["path"]).split("/")
        value = operation.get("value")
        if operation["op"] == "add" and words[1:2] == ["channels"] and isinstance(value, dict) and "name" in value:
            return (int(words[2]), str(value["name"])) if words[2].isdecimal() else None
    return None


def _is_patch(document: Any) -> bool:
    return (
        isinstance(document, list)
        and bool(document)
        and all(isinstance(each, dict) and {"op", "path"} <= each.keys() for each in document)
    )


def _makes_limit(run: Run, step: StepId) -> bool:
    return any(MARK in path.read_bytes() for path in _files(run, step))


def files_with(run: Run, mark: bytes) -> list[Path]:
    """The JSON files of a run's finished steps that hold some words, as the name of a schema."""
    finished = [step.id for step in run.steps if step.state == "finished"]
    return [path for step in finished for path in _files(run, step) if mark in path.read_bytes()]


def _files(run: Run, step: StepId) -> list[Path]:
    """The JSON files that a step wrote, those that are not there or too large left out."""
    record = run.record(step) or {}
    paths = [run.directory / step.stage / str(step.index) / each["path"] for each in record.get("outputs", ())]
    return [path for path in paths if path.suffix == ".json" and path.is_file() and path.stat().st_size <= LARGEST]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
