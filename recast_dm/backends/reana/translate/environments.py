"""A step's environment in REANA's words: an image, and a list of limits and services."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.images.placed import Placed
from recast_dm.model import DockerEnvironment, Policy, StepSpec

_SILENT = ("env", "envscript", "workdir", "par_mounts")
"""What REANA's engine does not look at."""


@dataclass(frozen=True, slots=True)
class Environment:
    """yadage's document of an environment, and what a user should know about it."""

    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def environment(
    name: str, spec: StepSpec, source: Mapping[str, Any], policy: Policy, placed: Mapping[str, Placed]
) -> Environment:
    """That of a stage; `source` is its own document, `policy` what recast.yml says. Raises SpecError.

    An image is named by its digest where a registry is known to hold it, else as the workflow names it.
    """
    found = spec.environment
    if not isinstance(found, DockerEnvironment):
        raise SpecError(
            f"the stage {name!r} does not run in a container: REANA runs nothing else",
            where=spec.where,
            hint="`recast-dm run` does it here",
        )
    if found.par_mounts:
        raise SpecError(
            f"the stage {name!r} has par_mounts: REANA's engine would leave them out",
            where=spec.where,
            hint="write the file in the command, below {workdir}",
        )
    image, tag = _image(found, placed)
    resources, notes = _resources(name, source.get("resources") or [], policy)
    document: dict[str, Any] = {"environment_type": "docker-encapsulated", "image": image, "imagetag": tag}
    return Environment({**document, **({"resources": resources} if resources else {})}, notes)


def _image(found: DockerEnvironment, placed: Mapping[str, Placed]) -> tuple[str, str]:
    """REANA puts a colon between the two, and a digest has one: `name@sha256` and its digits."""
    if found.reference not in placed:
        return found.image, found.imagetag
    name, _, digits = placed[found.reference].reference.rpartition(":")
    return name, digits


def _resources(name: str, source: list[Any], policy: Policy) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """A list of mappings with one entry each, as REANA reads it; recast.yml's limits go before the workflow's."""
    found: dict[str, Any] = {}
    notes = []
    for item in source:
        if isinstance(item, Mapping):
            found |= item
        else:
            notes.append(f"{name}: REANA leaves out the resource {item!r}, which is no mapping")
    if policy.memory is not None:
        found["kubernetes_memory_limit"] = f"{math.ceil(policy.memory / 2**20)}Mi"
    if policy.timeout is not None:
        found["kubernetes_job_timeout"] = math.ceil(policy.timeout)
    if policy.cpus is not None:
        notes.append(f"{name}: REANA's yadage engine has no limit on processors")
    return [{key: value} for key, value in found.items()], tuple(notes)
