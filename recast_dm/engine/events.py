"""What happens during a run, told to observers. The core never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from recast_dm.model import Step, StepId

How: TypeAlias = Literal["ran", "cached", "kept"]
"""`ran` in a container now; `cached`: outputs of equal work elsewhere; `kept`: finished earlier in this run."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    directory: Path
    runtime: str


@dataclass(frozen=True, slots=True)
class ImagesLoading:
    """A runtime lacks images that are at hand: they are given to it before the run starts."""

    references: tuple[str, ...]
    runtime: str
    origin: str = "the capsule"


@dataclass(frozen=True, slots=True)
class StepsPlanned:
    """New steps are known. `complete` says that no stage waits for another's files any more.

    `inits` are the init steps of sub-workflows: they only publish parameters, and nobody has to perform them.
    """

    steps: tuple[Step, ...]
    complete: bool
    inits: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A process was started: in a container of `image`, or (None) on this machine.

    `batch` says where the step stands among those that this start does one after the other, and how many they are.
    """

    step: StepId
    image: str | None
    log: Path
    batch: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class StepSaid:
    """A line of a step's output."""

    step: StepId
    line: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    step: StepId
    how: How
    seconds: float


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step ended without success; `reason` is `exit code 3`, `killed`, `out of memory`, `timeout`, or nothing."""

    step: StepId
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A step failed and is tried again: for the `attempt`-th of at most `attempts` times."""

    step: StepId
    reason: str
    attempt: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Instructed:
    """A step tells a person what to do in `place`."""

    step: StepId
    instructions: str
    place: Path


@dataclass(frozen=True, slots=True)
class Warned:
    message: str


@dataclass(frozen=True, slots=True)
class Noted:
    """How far something is that is more than one run."""

    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    directory: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run ended without success, and not because it was interrupted."""

    message: str


Event: TypeAlias = (
    RunStarted
    | ImagesLoading
    | StepsPlanned
    | StepStarted
    | StepSaid
    | StepRetried
    | StepFinished
    | StepEnded
    | Instructed
    | Warned
    | Noted
    | RunFinished
    | RunFailed
)
Observer: TypeAlias = Callable[[Event], None]
