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
from recast_dm.engine import command
from recast_dm.model import (
    Command,
    Dir,
    DockerEnvironment,
    Image,
    Instructions,
    Path,
    Process,
    Script,
    Step,
    StepId,
    Value,
)

VERSION = 3
"""Raised when what a container sees by default changes (its environment, the mount points, where it starts)."""


def parts(step: Step, image: Image | None, trees: Mapping[StepId, str]) -> dict[str, Any]:
    """Everything that decides what a step does, by name; `explain` compares these."""
    publisher = step.spec.publisher
    places = command.in_container(step)
    return {
        "version": VERSION,
        "image": _image(image) if image else None,
        "environment": _environment(step),
        "process": _process(step.spec.process),
        "publisher": {"type": type(publisher).__name__, **asdict(publisher)},
        "parameters": {name: _view(value, places, trees) for name, value in step.named().items()},
        "relaxations": sorted(step.relaxations),
    }


def _process(process: Process) -> dict[str, Any]:
    found = {"type": type(process).__name__}
    match process:
        case Command():
            return {**found, "text": process.cmd.text}
        case Script():
            return {**found, "text": process.script.text, "interpreter": process.interpreter}
        case Instructions():
            return {**found, "text": process.text}
    return found


def _image(image: Image) -> dict[str, Any]:
    return {"diff_ids": list(image.diff_ids), "platform": image.platform, "config": dict(image.config)}


def _environment(step: Step) -> dict[str, Any]:
    """What the image does not say. Resources are limits and promises of a site: the work is the same without them."""
    environment = step.spec.environment
    found: dict[str, Any] = {"type": type(environment).__name__}
    if isinstance(environment, DockerEnvironment):
        found |= {
            "envscript": environment.envscript,
            "env": dict(environment.env),
            "workdir": command.start(step, environment, command.in_container(step)),
            "par_mounts": [[mount.jqscript, mount.mountpath] for mount in environment.par_mounts],
        }
    return found


def of(key_parts: Mapping[str, Any]) -> str:
    """The key in hex.

    >>> of({"version": 1}) == of({"version": 1}) != of({"version": 1.0})
    True
    """
    return store.digest(key_parts)


def _view(value: Value, places: Mapping[StepId, str], trees: Mapping[StepId, str]) -> Any:
    """A value as the key sees it. Mappings and paths are tagged, so that no mapping can look like a path."""
    if isinstance(value, Path):
        return {"path": [p if isinstance(p, str) else _directory(p, places, trees) for p in value.parts]}
    if isinstance(value, tuple):
        return [_view(item, places, trees) for item in value]
    if isinstance(value, Mapping):
        return {"mapping": {key: _view(item, places, trees) for key, item in value.items()}}
    return value


def _directory(directory: Dir, places: Mapping[StepId, str], trees: Mapping[StepId, str]) -> dict[str, str | None]:
    """What lies in a directory, and where: a command can tell two places apart also where they hold the same."""
    place = places[directory.step]
    return {"tree": None if place == command.WORKDIR else trees[directory.step], "place": place}
