"""Background-only pyhf workspaces, signal patches, and the two together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

from recast_dm.errors import StatisticsError, UsageError

Document = Mapping[str, Any]
"""A JSON object."""
Patch = Sequence[Document]
"""RFC 6902 operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample of a channel: nominal yields, and its modifiers as pyhf writes them."""

    channel: str
    name: str
    data: tuple[float, ...]
    modifiers: tuple[Document, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A background-only workspace and the patch that adds a signal to it: what a likelihood is bound to.

    `workspace` must not be changed afterwards: what is compiled from it is kept under its hash.
    """

    workspace: Document
    patch: Patch
    identity: str = field(default="")

    @cached_property
    def background_hash(self) -> str:
        return self.identity or digest(self.workspace)

    @cached_property
    def added(self) -> tuple[tuple[Sample, ...], frozenset[str]] | None:
        """The samples that the patch adds and the channels that it removes; None when it does anything else."""
        return _added(self.workspace, self.patch)

    @cached_property
    def patched(self) -> dict[str, Any]:
        """The workspace with the signal, as pyhf reads it. Raises UsageError for a patch that does not apply."""
        import jsonpatch

        try:
            document = jsonpatch.apply_patch(self.workspace, list(self.patch))
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            raise UsageError(f"the signal patch does not fit the workspace: {error}") from None
        return dict(document)

    @cached_property
    def poi(self) -> str:
        """The parameter of interest, of the first measurement."""
        return str(self.workspace["measurements"][0]["config"]["poi"])


T = TypeVar("T")
BACKGROUNDS = 4
"""For so many backgrounds, the last ones, is kept what was computed from them alone."""


def per_background(function: Callable[[Model], T]) -> Callable[[Model], T]:
    """A function that looks at a model's background only is called once for each background."""
    kept: dict[str, T] = {}

    @wraps(function)
    def remembered(model: Model) -> T:
        key = model.background_hash
        if key not in kept:
            if len(kept) >= BACKGROUNDS:
                del kept[next(iter(kept))]
            kept[key] = function(model)
        return kept[key]

    return remembered


def digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def samples(channels: Sequence[Document]) -> tuple[Sample, ...]:
    return tuple(_sample(channel["name"], sample) for channel in channels for sample in channel["samples"])


def _sample(channel: str, document: Document) -> Sample:
    return Sample(
        channel=channel,
        name=str(document["name"]),
        data=tuple(float(x) for x in document["data"]),
        modifiers=tuple(document["modifiers"]),
    )


def _added(workspace: Document, patch: Patch) -> tuple[tuple[Sample, ...], frozenset[str]] | None:
    """Follows the operations on the list of channels: indices count what earlier operations left."""
    names = [str(channel["name"]) for channel in workspace["channels"]]
    found: list[Sample] = []
    removed: set[str] = set()
    for operation in patch:
        words = str(operation["path"]).split("/")
        match operation["op"], words:
            case "remove", ["", "channels", index] if index.isdigit() and int(index) < len(names):
                removed.add(names.pop(int(index)))
            case "add", ["", "channels", index, "samples", _] if index.isdigit() and int(index) < len(names):
                found.append(_sample(names[int(index)], operation["value"]))
            case _:
                return None
    return tuple(sample for sample in found if sample.channel not in removed), frozenset(removed)


def read_model(workspace: Path, patch: Path) -> Model:
    """The model in two files. Raises UsageError when they cannot be read.

    The patch is a list of operations, or one patch out of a patchset (`{"metadata": ..., "patch": [...]}`).
    """
    content = _read(workspace)
    background = _parse(content, workspace)
    if not isinstance(background, dict) or not {"channels", "observations", "measurements"} <= set(background):
        raise UsageError(
            f"{workspace.name} is not a pyhf workspace", hint="it needs channels, observations, measurements"
        )
    operations = _parse(_read(patch), patch)
    if isinstance(operations, dict):
        operations = operations.get("patch")
    if not isinstance(operations, list) or not all(
        isinstance(x, dict) and {"op", "path"} <= set(x) for x in operations
    ):
        raise UsageError(f"{patch.name} is not a patch: a list of RFC 6902 operations")
    return Model(background, operations, hashlib.sha256(content).hexdigest())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _parse(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None


def signal_yields(model: Model) -> list[float]:
    """The signal's nominal yields, all channels one after the other. Raises StatisticsError when all are zero.

    A signal that expects no event anywhere says that nothing was simulated, not that nothing is excluded.
    """
    if model.added is not None:
        found = [x for sample in model.added[0] for x in sample.data]
    else:
        found = [x for sample in samples(model.patched["channels"]) for x in sample.data if _has(sample, model.poi)]
    if not any(x > 0 for x in found):
        raise StatisticsError(
            "the signal expects no event in any bin: no limit can be set",
            hint="no accepted event is not a number; simulate more, or check the selection and the cross-section",
        )
    return found


def _has(sample: Sample, poi: str) -> bool:
    return any(modifier["name"] == poi for modifier in sample.modifiers)
