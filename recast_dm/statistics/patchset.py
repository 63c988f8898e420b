"""Published patchsets: the signal at a point of a grid, out of the file that holds them all.

`python3 -m recast_dm.statistics.patchset` is a stage that picks a point's patch for the limit stage. A point that is
not in the patchset is `not covered`: nothing is interpolated. Formats: pyhf's patchset 1.0.0, as JSON or gzipped.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from recast_dm import batch
from recast_dm.errors import RecastError, UsageError
from recast_dm.statistics.stage import SIGNAL
from recast_dm.statistics.workspace import Document, Model, Patch

SAME = 1e-9
"""Relative: values that are closer are the same point."""


@dataclass(frozen=True, slots=True)
class Named:
    """A patch of a patchset."""

    name: str
    values: tuple[float, ...]
    operations: Patch


@dataclass(frozen=True, slots=True)
class PatchSet:
    """The labels of the values that name a point, every patch, and the digest of the workspace they fit."""

    labels: tuple[str, ...]
    patches: tuple[Named, ...]
    workspace_sha256: str | None

    def find(self, values: Sequence[float]) -> Named | None:
        """The patch at a point, or None."""
        for patch in self.patches:
            if all(math.isclose(a, b, rel_tol=SAME) for a, b in zip(patch.values, values, strict=True)):
                return patch
        return None

    def why_not(self, values: Sequence[float]) -> str:
        """Why a point has no patch, with the nearest that has one (by the sum of squared differences)."""
        nearest = min(self.patches, key=lambda patch: math.dist(patch.values, values))
        return f"the patchset has no {self._shown(values)}; the nearest is {self._shown(nearest.values)}"

    def _shown(self, values: Sequence[float]) -> str:
        return ", ".join(f"{label} = {value:g}" for label, value in zip(self.labels, values, strict=True))


def read(path: Path) -> PatchSet:
    """The patchset in a file, gzipped or not. Raises UsageError."""
    try:
        data = path.read_bytes()
        return _parsed(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except OSError as error:
        raise UsageError(f"cannot read {path.name}: {error}") from None
    except (EOFError, ValueError, RecursionError) as error:
        raise UsageError(f"{path.name} is not JSON: {error}") from None
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path.name} is not a patchset: {error!r}") from None


@lru_cache(maxsize=1)
def _parsed(data: bytes) -> PatchSet:
    """The patchset in its bytes; of a batch of points, the first reads it."""
    document = json.loads(data)
    labels = tuple(document["metadata"]["labels"])
    patches = tuple(
        Named(each["metadata"]["name"], tuple(map(float, each["metadata"]["values"])), tuple(each["patch"]))
        for each in document["patches"]
    )
    if not patches or any(len(patch.values) != len(labels) for patch in patches):
        raise ValueError("a patch does not have a value for each label")
    return PatchSet(labels, patches, document["metadata"]["digests"].get("sha256"))


def digest(workspace: Document) -> str:
    """The SHA-256 of a workspace as pyhf writes it into patchsets.

    >>> digest({"channels": []})[:12]
    'ae143d130ed8'
    """
    return hashlib.sha256(json.dumps(workspace, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CrossSection:
    """A cross-section and its error, in pb."""

    pb: float
    error_pb: float


def cross_section(path: Path, value: float) -> CrossSection | None:
    """The cross-section at a value of the first parameter: a CSV table of value, pb, error. None where it has none."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#\r"]
        for row in csv.reader(lines[1:]):
            at, pb, error = map(float, row)
            if math.isclose(at, value, rel_tol=SAME):
                return CrossSection(pb, error)
    except OSError as error:
        raise UsageError(f"cannot read {path.name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path.name} is no table of value, pb, error: {error}") from None
    return None


def mc_error(model: Model, channel: str) -> float:
    """The relative MC error of a signal's total yield in a channel, out of its `staterror`s.

    Raises UsageError for a patch that adds no signal there.
    """
    samples = [each for each in (model.added or ((), frozenset()))[0] if each.channel == channel]
    total = math.fsum(value for sample in samples for value in sample.data)
    if not total > 0:
        raise UsageError(f"the patch adds no signal to the channel {channel!r}")
    errors = [
        float(value)
        for sample in samples
        for modifier in sample.modifiers
        if modifier["type"] == "staterror"
        for value in modifier["data"]
    ]
    return math.hypot(*errors) / total


def renamed(operations: Patch, sample: str) -> Patch:
    """The patch with one name for the samples that it adds: at every point the signal is found under it.

    >>> renamed([{"op": "add", "path": "/channels/0/samples/0", "value": {"name": "m_1000"}}], "signal")[0]["value"]
    {'name': 'signal'}
    """
    return tuple(
        {**each, "value": {**each["value"], "name": sample}} if "name" in each.get("value", ()) else each
        for each in operations
    )


def signal(patch: Named, model: Model, channel: str, sigma: CrossSection) -> dict[str, Any]:
    """What the limit stage is told of the signal (schema `recast-dm/signal/1`).

    The errors of a HistFactory signal are in its modifiers: what stands here is said, and not added once more.
    """
    statistical = mc_error(model, channel)
    return {
        "schema": SIGNAL,
        "patch": patch.name,
        "sigma_pb": sigma.pb,
        "sigma_pb_mc_error": 0.0,
        "mu_mc_error": statistical,
        "correlation_model": "full likelihood",
        "uncertainties": [
            {"source": "monte-carlo", "relative": statistical, "how": f"staterror of the signal's yield in {channel}"},
            {"source": "cross-section", "relative": sigma.error_pb / sigma.pb, "how": "scale, PDF and alpha_s"},
        ],
    }


def pick(
    *, patchset: Path, workspace: Path, values: Sequence[float], cross_sections: Path, channel: str, sample: str
) -> tuple[Patch, Mapping[str, Any]]:
    """The patch of a point and what is known of its signal. Raises UsageError for files that do not fit."""
    known = read(patchset)
    if len(values) != len(known.labels):
        raise UsageError(f"{len(values)} values, where the patchset has {', '.join(known.labels)}")
    background = _workspace(workspace)
    if known.workspace_sha256 not in (None, digest(background)):
        raise UsageError(f"{patchset.name} belongs to another workspace than {workspace.name}: their digests differ")
    found, sigma = known.find(values), cross_section(cross_sections, values[0])
    if found is None:
        return (), {"schema": SIGNAL, "not_covered": known.why_not(values)}
    if sigma is None:
        raise UsageError(f"{cross_sections.name} has no cross-section for {known.labels[0]} = {values[0]:g}")
    operations = renamed(found.operations, sample)
    return operations, signal(found, Model(background, operations), channel, sigma)


def _workspace(path: Path) -> Document:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {path.name}: {error}") from None
    if not isinstance(document, dict) or "channels" not in document:
        raise UsageError(f"{path.name} is not a pyhf workspace")
    return document


def main(argv: list[str]) -> int:
    """One command line; exit code 2 for inputs that cannot be, 0 also where the point is not covered."""
    parser = argparse.ArgumentParser(prog="python3 -m recast_dm.statistics.patchset", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    words = stages.add_parser("pick", help="the patch of a point")
    words.add_argument("--patchset", type=Path, required=True, help="pyhf patchset, JSON or gzipped")
    words.add_argument("--workspace", type=Path, required=True, help="background-only pyhf workspace")
    words.add_argument("--values", type=float, nargs="+", required=True, help="in the order of the patchset's labels")
    words.add_argument("--cross-sections", type=Path, required=True, help="CSV: first value, pb, error")
    words.add_argument("--channel", required=True, help="whose signal yield gives the MC error")
    words.add_argument("--sample", default="signal", help="what the signal is called in every patch")
    words.add_argument("--patch", type=Path, required=True, help="where the patch is written")
    words.add_argument("--signal", type=Path, required=True, help="where what is known of the signal is written")
    asked = parser.parse_args(argv)
    try:
        operations, about = pick(
            patchset=asked.patchset,
            workspace=asked.workspace,
            values=asked.values,
            cross_sections=asked.cross_sections,
            channel=asked.channel,
            sample=asked.sample,
        )
    except RecastError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    _write(asked.patch, operations)
    _write(asked.signal, about)
    return 0


def _write(path: Path, content: Mapping[str, Any] | Iterable[Any]) -> None:
    document = content if isinstance(content, Mapping) else list(content)
    path.write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(batch.entry(main))
