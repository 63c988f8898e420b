"""What to execute, and under which policy: retries, time, cores and memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from recast_dm.errors import SpecError
from recast_dm.model import DockerEnvironment, Image, Step, StepId, Workflow
from recast_dm.runtimes import Limits

Ask: TypeAlias = Callable[[StepId, str, Path, bool], Any]
"""Asks a person to do what a step's instructions say in a directory; with True, for what is published then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a step is treated: how often it is tried again, how long it may take (seconds), what it may use.

    None is whatever the next wider policy says.
    """

    retries: int | None = None
    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None

    def over(self, wider: Policy) -> Policy:
        """This policy, with what it leaves open taken from a wider one."""
        return Policy(
            retries=wider.retries if self.retries is None else self.retries,
            timeout=wider.timeout if self.timeout is None else self.timeout,
            cpus=wider.cpus if self.cpus is None else self.cpus,
            memory=wider.memory if self.memory is None else self.memory,
        )

    def limits(self) -> Limits:
        limits = Limits()
        if self.cpus is not None:
            limits = replace(limits, cpus=self.cpus)
        return limits if self.memory is None else replace(limits, memory=self.memory)


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


_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kKMGTP]i?)?")
_UNITS = {"": 1.0, "m": 1e-3} | {
    prefix + binary: (1024.0 if binary else 1000.0) ** power
    for power, prefix in ((1, "k"), (1, "K"), (2, "M"), (3, "G"), (4, "T"), (5, "P"))
    for binary in ("", "i")
}


def quantity(text: object) -> float:
    """A number as Kubernetes writes it. Raises ValueError.

    >>> quantity("2Gi"), quantity("500m"), quantity(4)
    (2147483648.0, 0.5, 4.0)
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(text)
    return float(found[1]) * _UNITS[found[2] or ""]


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
                    found["memory"] = int(quantity(value))
                elif key == "kubernetes_cpu_limit":
                    found["cpus"] = quantity(value)
                elif key == "kubernetes_job_timeout":
                    found["timeout"] = float(value)
                elif key not in ("kubernetes_uid", "compute_backend", "unpacked_img") and not key.endswith("_request"):
                    unknown.append(key)
            except (ValueError, TypeError):
                raise SpecError(
                    f"the resource {key} of {step.id} is {value!r}",
                    where=step.spec.where,
                    hint="as in 4Gi, 500m or 3600",
                ) from None
    return Policy(**found), tuple(unknown)
