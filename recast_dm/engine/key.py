"""The key of a step: equal keys mean the same work, so its outputs can be used again.

A key is the SHA-256 of canonical JSON over the image's layers, the process, the publisher, the parameters with every
directory replaced by the hash of its tree, and the relaxations. It never holds a host path, the run directory, the
runtime, limits or times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from recast_dm import store
from recast_dm.model import Command, Dir, Image, Path, Step, StepId, Value

VERSION = 1
"""Raised when what a container sees by default changes (its environment, the mount points)."""


def parts(step: Step, image: Image, trees: Mapping[StepId, str]) -> dict[str, Any]:
    """Everything that decides what a step does, by name; `explain` compares these."""
    process, publisher = step.spec.process, step.spec.publisher
    template = process.cmd if isinstance(process, Command) else process.script
    return {
        "version": VERSION,
        "image": {"diff_ids": list(image.diff_ids), "platform": image.platform},
        "process": {
            "type": type(process).__name__,
            "text": template.text,
            "interpreter": None if isinstance(process, Command) else process.interpreter,
        },
        "publisher": {"type": type(publisher).__name__, **asdict(publisher)},
        "parameters": {name: _view(value, step.id, trees) for name, value in step.parameters.items()},
        "relaxations": sorted(step.relaxations),
    }


def of(key_parts: Mapping[str, Any]) -> str:
    """The key in hex.

    >>> of({"version": 1}) == of({"version": 1}) != of({"version": 1.0})
    True
    """
    return store.digest(key_parts)


def _view(value: Value, own: StepId, trees: Mapping[StepId, str]) -> Any:
    """A value as the key sees it. Mappings and paths are tagged, so that no mapping can look like a path."""
    if isinstance(value, Path):
        return {"path": [p if isinstance(p, str) else _directory(p, own, trees) for p in value.parts]}
    if isinstance(value, tuple):
        return [_view(item, own, trees) for item in value]
    if isinstance(value, Mapping):
        return {"mapping": {key: _view(item, own, trees) for key, item in value.items()}}
    return value


def _directory(directory: Dir, own: StepId, trees: Mapping[StepId, str]) -> dict[str, str | None]:
    return {"tree": None if directory.step == own else trees[directory.step]}
