"""What to execute, and under which policy: retries, time, cores and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from recast_dm import config
from recast_dm.model import DockerEnvironment, Image, Policy, Step, StepId, Workflow
from recast_dm.runtimes import Limits

Ask: TypeAlias = Callable[[StepId, str, Path, bool], Any]
"""Asks a person to do what a step's instructions say in a directory; with True, for what is published then.

It waits for a person as long as the run goes on: when `stopping` says so, it raises Interrupted.
"""
stopping: ContextVar[Callable[[], bool]] = ContextVar("stopping", default=lambda: False)
"""Within an Ask: whether the run that asks is being stopped."""


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
            asked = environment.asked
        return self.policies.get(step.id.names, Policy()).over(asked).over(self.policy)


def limits(policy: Policy) -> Limits:
    """What one container may use under a policy; it never gets more cores than there are."""
    found = Limits()
    if policy.cpus is not None:
        found = replace(found, cpus=min(policy.cpus, float(config.processors())))
    return found if policy.memory is None else replace(found, memory=policy.memory)
