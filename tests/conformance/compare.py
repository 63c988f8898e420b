"""What two engines made of one workflow, side by side.

`upstream_side` and `our_side` bring both answers to one form; `differences` says in words where they part. In text
files the host directories of steps are replaced by the steps' names first, so that a command that writes down its own
path compares equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recast_dm.errors import RecastError
from recast_dm.model import INIT, StepId, Value

NOT_KNOWN = "not known before it has run"


@dataclass(frozen=True, slots=True)
class SeenStep:
    """A step. `published` is None where it is not `known`; `files` gives the hash of each output file's content."""

    parameters: Value
    depends_on: tuple[StepId, ...]
    known: bool
    published: Value
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A workflow that was expanded, or executed with success. `waiting` are the stages that never became ready."""

    steps: Mapping[StepId, SeenStep]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A workflow that was refused, or that failed: why."""

    why: str


def attempt(engine_: Callable[[], Seen | Refused]) -> Seen | Refused:
    """What an engine makes of a workflow; its errors are an answer, all others are a defect."""
    try:
        return engine_()
    except RecastError as error:
        return Refused(str(error))


# --- side by side -----------------------------------------------------------------------------------------------------


def differences(theirs: Seen | Refused, ours: Seen | Refused) -> list[str]:
    """Where two answers part, in words; nothing when they agree. Two refusals agree."""
    if isinstance(theirs, Refused) and isinstance(ours, Refused):
        return []
    if isinstance(theirs, Refused):
        return [f"upstream refuses: {theirs.why}"]
    if isinstance(ours, Refused):
        return [f"we refuse: {ours.why}"]
    return list(_of_runs(theirs, ours))


def _of_runs(theirs: Seen, ours: Seen) -> Iterator[str]:
    if missing := sorted(set(theirs.steps) - set(ours.steps)):
        yield f"only upstream has the steps {_names(missing)}"
    if surplus := sorted(set(ours.steps) - set(theirs.steps)):
        yield f"only we have the steps {_names(surplus)}"
    if theirs.waiting != ours.waiting:
        yield f"stages that wait: {', '.join(theirs.waiting)}, ours {', '.join(ours.waiting)}"
    for step in sorted(set(theirs.steps) & set(ours.steps)):
        for difference in _of_steps(theirs.steps[step], ours.steps[step], is_init=step == INIT):
            yield f"{step}: {difference}"


def _of_steps(theirs: SeenStep, ours: SeenStep, *, is_init: bool) -> Iterator[str]:
    if not is_init and exactly(theirs.parameters) != exactly(ours.parameters):
        yield f"parameters {theirs.parameters!r}, ours {ours.parameters!r}"
    if theirs.depends_on != ours.depends_on:
        yield f"depends on {_names(theirs.depends_on)}, ours on {_names(ours.depends_on)}"
    told, found = (step.published if step.known else NOT_KNOWN for step in (theirs, ours))
    if exactly(told) != exactly(found):
        yield f"publishes {told!r}, ours {found!r}"
    for path in sorted({*theirs.files, *ours.files}):
        if theirs.files.get(path) != ours.files.get(path):
            yield f"the file {path}: {theirs.files.get(path, 'none')}, ours {ours.files.get(path, 'none')}"


def exactly(value: Value) -> object:
    """A value that equals another only if their types do too: 1, 1.0 and true differ in a command."""
    if isinstance(value, tuple | list):
        return tuple(exactly(item) for item in value)
    if isinstance(value, Mapping):
        return {key: exactly(item) for key, item in value.items()}
    return (type(value).__name__, value)


def content(path: Path, places: Mapping[str, StepId]) -> str:
    """The hash of a file's content; in a text, a directory of a step is the step's name."""
    raw = path.read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return hashlib.sha256(raw).hexdigest()
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, f"<{places[place]}>")
    return hashlib.sha256(text.encode()).hexdigest()


def _names(steps: Collection[StepId]) -> str:
    return ", ".join(str(step) for step in steps) or "nothing"
