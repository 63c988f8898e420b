"""What to execute, and under which policy: retries, time, cores and memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from recast_dm import config
from recast_dm.errors import SpecError
from recast_dm.model import DockerEnvironment, Image, Policy, Step, StepId, Workflow
from recast_dm.runtimes import Limits
from recast_dm.spec.quantity import quantity

Ask: TypeAlias = Callable[[StepId, str, Path, bool], Any]
"""Asks a person to do what a step's instructions say in a directory; with True, for what is published then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to execute: a workflow, its init parameters and files, its images, and what holds for some stages.

    `relaxations` and `policies` are by stage (`scan/fit` for a stage of a sub-workflow); `policy` holds for the rest.
    """

    workflow: Workflow
    initdata: Mapping[str, Any]
    initdir: Path | None
    images: Mapping[str, Image]
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    about: Mapping[str, Any] = field(default_factory=dict)

    def policy_of(self, step: Step) -> Policy:
        """recast.yml says more about a stage than its `resources`, and those more than the command line."""
        environment = step.spec.environment
        asked = Policy()
        if isinstance(environment, DockerEnvironment):
            asked, _ = resources(environment.resources, step)
        return self.policies.get(step.id.names, Policy()).over(asked).over(self.policy)


def limits(policy: Policy) -> Limits:
    """What one container may use under a policy; it never gets more cores than there are."""
    found = Limits()
    if policy.cpus is not None:
        found = replace(found, cpus=min(policy.cpus, float(config.processors())))
    return found if policy.memory is None else replace(found, memory=policy.memory)


def resources(entries: tuple[Any, ...], step: Step) -> tuple[Policy, tuple[str, ...]]:
    """What yadage's and REANA's `resources` ask for, and the names of those that nothing here provides.

    Raises SpecError for a quantity that is none.
    """
    found: dict[str, Any] = {}
    unknown: list[str] = []
    for entry in entries:
        for key, value in entry.items() if isinstance(entry, Mapping) else ((str(entry), True),):
            try:
                if key == "kubernetes_memory_limit":
                    found["memory"] = int(_positive(quantity(value)))
                elif key == "kubernetes_cpu_limit":
                    found["cpus"] = _positive(quantity(value))
                elif key == "kubernetes_job_timeout":
                    found["timeout"] = _positive(float(value))
                elif key not in ("kubernetes_uid", "compute_backend", "unpacked_img") and not key.endswith("_request"):
                    unknown.append(key)
            except (ValueError, TypeError):
                raise SpecError(
                    f"the resource {key} of {step.id} is {value!r}",
                    where=step.spec.where,
                    hint="as in 4Gi, 500m or 3600",
                ) from None
    return Policy(**found), tuple(unknown)


def _positive(number: float) -> float:
    """A limit of 0 would be none at all to docker. Raises ValueError."""
    if not 0 < number < math.inf:
        raise ValueError(number)
    return number
