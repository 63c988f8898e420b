"""Steps with the same key in one run: the first is done, the others wait for it and get its files.

Only steps in containers: what a process of this machine, or a person, does besides leaving files cannot be had twice.
"""

from __future__ import annotations

from recast_dm.engine.rundir import Record
from recast_dm.engine.starting import Prepared
from recast_dm.errors import RecastError, StepFailed
from recast_dm.model import DockerEnvironment, Step


class Twins:
    """What is being done, and has been done, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Step]] = {}
        self._done: dict[str, Record] = {}

    def of(self, prepared: Prepared) -> Record | None:
        """The record of a step that has done the same work in this start of the run."""
        return self._done.get(prepared.key)

    def waits(self, prepared: Prepared) -> bool:
        """Whether a step waits for its twin, which is being done; otherwise others wait for it from now on."""
        if not alike(prepared.step):
            return False
        if prepared.key in self._waiting:
            self._waiting[prepared.key].append(prepared.step)
            return True
        self._waiting[prepared.key] = []
        return False

    def ended(self, prepared: Prepared, ending: Record | RecastError) -> list[Step]:
        """The steps that waited for one that ended, or was found finished."""
        if isinstance(ending, Record) and alike(prepared.step):
            self._done.setdefault(prepared.key, ending)
        return self._waiting.pop(prepared.key, [])


def failed_as(step: Step, twin: Step, error: StepFailed) -> StepFailed:
    """The error of a step that is not even tried: its twin has failed by what it did itself."""
    return StepFailed(
        f"the step {step.id} does the same work as {twin.id}, which failed ({error.reason})",
        hint=error.hint,
        step=str(step.id),
        status=error.status,
        reason=error.reason,
    )


def alike(step: Step) -> bool:
    """Whether a step with the key of another is as good as done when that is."""
    spec = step.spec
    return spec.starts_something and isinstance(spec.environment, DockerEnvironment) and spec.instructions is None
