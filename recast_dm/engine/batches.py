"""Batches: which steps one start of a program may do together, and what it is told. Pure functions.

recast.yml names the program (`steps.<stage>.batch`). A step may be one of several when its command is nothing but that
program with words behind it, and what it sees is a matter of places only: in a container of its own its directories
are `/workdir` and `/inputs/<n>`; in that of a batch they are `/workdir/<i>` and `/batch/<n>`, each input there once.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from recast_dm import batch
from recast_dm.engine import command
from recast_dm.engine.command import INPUTS, WORKDIR, Invocation
from recast_dm.errors import SpecError
from recast_dm.model import Command, DockerEnvironment, FromYamlPublisher, ManualPublisher, Step, StepId
from recast_dm.spec.relaxations import leaves_the_container
from recast_dm.spec.words import plain_words

MOST = 64
"""Steps of one container: each has some mounts, and what an engine's command line can hold has an end."""
PLACE = "/batch"
FILE = f"{WORKDIR}/jobs.json"
SCRATCH = "/scratch/.batch"

T = TypeVar("T")


def kind(step: Step, program: Sequence[str] | None) -> Hashable | None:
    """What the steps of one batch have in common: the stage, wherever it stands, and its specification.

    None is for a step that needs a start of its own.
    """
    spec = step.spec
    environment = spec.environment
    if not program or not isinstance(environment, DockerEnvironment) or not isinstance(spec.process, Command):
        return None
    if (
        environment.envscript
        or environment.par_mounts
        or spec.instructions is not None
        or leaves_the_container(step.relaxations)
    ):
        return None
    if isinstance(spec.publisher, FromYamlPublisher | ManualPublisher):
        return None  # the file may say places
    try:
        call = command.invocation(step, command.in_container(step))
    except SpecError:
        return None  # a start of its own will say why
    if _words(call, program) is None or dict(call.env) != dict(environment.env) or _below(call.cwd, INPUTS):
        return None
    return step.id.names, id(spec)


def _words(call: Invocation, program: Sequence[str]) -> tuple[str, ...] | None:
    """What stands behind the program in a command that is nothing else."""
    words = plain_words(call.argv[-1])
    if words is None or words[: len(program)] != tuple(program):
        return None
    return words[len(program) :]


def _below(cwd: str | None, place: str) -> bool:
    return cwd is not None and f"{cwd}/".startswith(f"{place}/")


def argv(program: Sequence[str], call: Invocation) -> tuple[str, ...]:
    """The command of a batch, wrapped as that of each of its steps is (`call`)."""
    words = (*program, batch.OPTION, FILE)
    return (*call.argv[: call.argv.index("sh", 3) + 1], *words) if call.scratch else words


def cwd(call: Invocation) -> str | None:
    """Where a batch starts, of which each step would start as `call` says."""
    return WORKDIR if _below(call.cwd, WORKDIR) else call.cwd


@dataclass(frozen=True, slots=True)
class Layout:
    """What the program of a batch is told, and the directories that it sees: each once, by where."""

    jobs: tuple[batch.Job, ...]
    mounts: tuple[tuple[Path, str], ...]


def layout(
    program: Sequence[str], steps: Sequence[Step], inputs: Sequence[Sequence[Path]], calls: Sequence[Invocation]
) -> Layout:
    """The batch of some steps of a kind: their commands for where their directories lie then.

    `inputs` are the directories on the host of each step's inputs, `calls` what a start of its own would be.
    """
    mounts: dict[Path, str] = {}
    jobs = []
    for n, (step, places, call) in enumerate(zip(steps, inputs, calls, strict=True)):
        for place in places:
            mounts.setdefault(place, f"{PLACE}/{len(mounts)}")
        jobs.append(_job(program, step, n, [mounts[place] for place in places], call))
    return Layout(tuple(jobs), tuple(mounts.items()))


def _job(program: Sequence[str], step: Step, n: int, inputs: Sequence[str], call: Invocation) -> batch.Job:
    own = f"{WORKDIR}/{n}"
    places: Mapping[StepId, str] = {step.id: own, **dict(zip(step.input_dirs(), inputs, strict=True))}
    words = _words(command.invocation(step, places), program)
    assert words is not None  # noqa: S101  # `kind` has seen to it
    start = f"{SCRATCH}/{n}" if call.cwd is None or call.scratch else f"{own}{call.cwd.removeprefix(WORKDIR)}"
    return batch.Job(cwd=start, argv=words, log=f"{own}.log", status=f"{own}.status")


@dataclass(slots=True)
class Gathered(Generic[T]):
    """Steps that are ready and may share a start, by their kind.

    They are dealt out like cards: neighbours tend to take equally long.

    >>> gathered = Gathered()
    >>> for number in range(5):
    ...     gathered.add("limit", number)
    >>> gathered.share(2), gathered.share(1), gathered.share(1)
    ([0, 2, 4], [1, 3], [])
    """

    _kinds: dict[Hashable, list[T]] = field(default_factory=dict)

    def add(self, kind: Hashable, item: T) -> None:
        self._kinds.setdefault(kind, []).append(item)

    def share(self, free: int) -> list[T]:
        """What one of so many free places takes: its part of the first kind, at most `MOST`."""
        for kind, items in self._kinds.items():
            parts = max(1, free // len(self._kinds))
            taken = items[::parts][:MOST]
            rest = [item for n, item in enumerate(items) if n % parts or n // parts >= MOST]
            if rest:
                self._kinds[kind] = rest
            else:
                del self._kinds[kind]
            return taken
        return []
