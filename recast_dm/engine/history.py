"""A run directory read back: what state the run and its steps are in, while it runs and afterwards.

The records say what is finished, the journal how and when, the lock whether somebody works there now. A run whose
runner died is `stopped`, whatever it wrote last. Nothing here writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm import store
from recast_dm.engine.events import How
from recast_dm.engine.rundir import RUN_SCHEMA, STEP_SCHEMA, WORKFLOW, WORKFLOW_SCHEMA
from recast_dm.errors import IntegrityError, UsageError, storage_error
from recast_dm.model import StepId, Workflow
from recast_dm.spec import relaxations as relaxing

State: TypeAlias = Literal["created", "queued", "pending", "running", "finished", "failed", "stopped"]
"""REANA's words. A step is `pending` while it waits for others, `queued` while it waits for a free place."""

_HOWS: Mapping[str, How] = {"ran": "ran", "cached": "cached", "kept": "kept"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHistory:
    """What became of one step. Times are seconds since 1970; `seconds` is how long this start of the run spent on it.

    `where` is its image, or `host`. `log` is the newest one, if the step was ever started in this run directory.
    """

    id: StepId
    state: State
    how: How | None = None
    depends_on: tuple[StepId, ...] = ()
    where: str | None = None
    began: float | None = None
    ended: float | None = None
    seconds: float | None = None
    reason: str = ""
    message: str = ""
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHistory:
    """A stage's steps together; the same stage of several sub-workflows is one, `scan/*/fit`."""

    name: str
    steps: tuple[StepHistory, ...]
    elapsed: float | None

    def count(self, state: State) -> int:
        return sum(step.state == state for step in self.steps)

    def done(self, how: How) -> int:
        return sum(step.how == how for step in self.steps)

    @property
    def state(self) -> State:
        return combined(step.state for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it is now. `complete`: every step is known. `at` is when this was read."""

    directory: Path
    about: Mapping[str, Any]
    state: State
    locked: bool
    complete: bool
    began: float | None
    ended: float | None
    message: str
    at: float
    steps: tuple[StepHistory, ...]
    warnings: tuple[str, ...]

    @property
    def elapsed(self) -> float | None:
        """Seconds of the last start, until now if it runs."""
        if self.began is None:
            return None
        return (self.at if self.ended is None else self.ended) - self.began

    def step(self, name: str) -> StepHistory:
        """The step of that name; a stage's name alone means its only step. Raises UsageError."""
        wanted = name.strip("/")
        found = [s for s in self.steps if str(s.id) == wanted] or [s for s in self.steps if s.id.stage == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"the stage {wanted} has {len(found)} steps", hint=f"name one: {found[0].id} … {found[-1].id}"
            )
        raise UsageError(f"{self.directory} has no step {name!r}", hint=self._suggestion(wanted))

    def _suggestion(self, name: str) -> str:
        from recast_dm.spec.shape import did_you_mean  # its parser is not needed otherwise

        names = [str(step.id) for step in self.steps]
        said = did_you_mean(name, names)
        if said.startswith("did you mean"):
            return said
        stages = did_you_mean(name, {step.id.stage for step in self.steps})
        return stages if stages.startswith("did you mean") or len(names) > 20 else said

    def stages(self) -> tuple[StageHistory, ...]:
        """The stages in the order of the workflow."""
        groups: dict[str, list[StepHistory]] = {}
        for step in self.steps:
            groups.setdefault(step.id.names, []).append(step)
        return tuple(
            StageHistory(name=_stage_name(steps), steps=tuple(steps), elapsed=self._elapsed(steps))
            for steps in groups.values()
        )

    def _elapsed(self, steps: Iterable[StepHistory]) -> float | None:
        times = [
            (s.began, s.ended if s.ended is not None else self.ended or self.at) for s in steps if s.began is not None
        ]
        return max(end for _, end in times) - min(begin for begin, _ in times) if times else None

    def record(self, step: StepId) -> dict[str, Any] | None:
        """The record of a step that has finished, or None. Raises IntegrityError."""
        path = self.directory / ".records" / step.stage / f"{step.index}.json"
        return store.read_json(path, STEP_SCHEMA) if path.exists() else None

    def replaced(self, step: StepId) -> dict[str, Any] | None:
        """The record that the newest one has replaced, where the run directory still holds it."""
        for attempt in reversed(attempts(self.directory, step)):
            if (attempt / "replaced.json").is_file():
                return store.read_json(attempt / "replaced.json", STEP_SCHEMA)
        return None

    def logs(self, step: StepId) -> tuple[Path, ...]:
        """The logs of a step's attempts, oldest first."""
        return tuple(attempt / "log" for attempt in attempts(self.directory, step) if (attempt / "log").is_file())


_ORDER: tuple[State, ...] = ("failed", "running", "stopped", "queued", "pending", "created")


def combined(states: Iterable[State]) -> State:
    """The state of several steps together: what wants attention most.

    >>> combined(["finished", "running", "queued"]), combined(["finished", "finished"])
    ('running', 'finished')
    """
    found = set(states)
    return next((state for state in _ORDER if state in found), "finished")


def _stage_name(steps: Iterable[StepHistory]) -> str:
    """`fit`, `scan/1/fit`, or `scan/*/fit` for several."""
    ways = list(dict.fromkeys(step.id.stage for step in steps))
    if len(ways) == 1:
        return ways[0]
    columns = zip(*(way.split("/") for way in ways), strict=True)
    return "/".join(parts[0] if len(set(parts)) == 1 else "*" for parts in columns)


def is_run(directory: Path) -> bool:
    return (directory / "run.json").is_file() or (directory / ".records").is_dir()


def runs_in(place: Path) -> tuple[Path, ...]:
    """The run directories in a directory, oldest first; links to them do not count."""
    try:
        found = [path for path in place.iterdir() if path.is_dir() and not path.is_symlink() and is_run(path)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise storage_error(error, f"list {place}") from None
    return tuple(sorted(found, key=lambda path: (_modified(path), path.name)))


def _modified(path: Path) -> float:
    try:
        return (path / "run.json").stat().st_mtime
    except OSError:
        return 0.0


def attempts(directory: Path, step: StepId) -> tuple[Path, ...]:
    """The directories of the attempts at a step, oldest first."""
    return tuple(_attempts(directory).get(_dotted(step), ()))


def _attempts(directory: Path) -> dict[str, list[Path]]:
    """The directories of all attempts, by what their names begin with."""
    found: dict[str, list[tuple[int, Path]]] = {}
    try:
        for path in (directory / ".attempts").iterdir():
            name, _, number = path.name.rpartition(".")
            if number.isdecimal():
                found.setdefault(name, []).append((int(number), path))
    except OSError:
        return {}
    return {name: [path for _, path in sorted(paths)] for name, paths in found.items()}


def _dotted(step: StepId) -> str:
    return str(step).replace("/", ".")


def locked(directory: Path) -> bool:
    """Whether a runner works in a directory now.

    It is asked by taking the lock for a moment, shared: /proc/locks does not show the runners of other containers.
    """
    try:
        descriptor = os.open(directory / ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a filesystem without locks
        return False
    finally:
        os.close(descriptor)
    return False


def read(directory: Path) -> Run:
    """The run in a directory as it is now. Raises UsageError (no run there) and IntegrityError."""
    if not is_run(directory):
        raise UsageError(f"{directory} is not a run directory", hint="`recast-dm ls` lists those below build/runs")
    busy = locked(directory)  # asked first: a run that ends meanwhile has then written so
    about = store.read_json(directory / "run.json", RUN_SCHEMA) if (directory / "run.json").is_file() else {}
    told = _Told()
    for event in journal(directory):
        told.take(event)
    return _Reading(directory, told, busy, time.time(), _attempts(directory)).run(about)


def workflow(directory: Path) -> Workflow | None:
    """The workflow that a run directory says it runs; None in one that was made before they said so."""
    from recast_dm.spec import yadage  # its parser is not needed otherwise

    if not (directory / WORKFLOW).is_file():
        return None
    document = store.read_json(directory / WORKFLOW, WORKFLOW_SCHEMA)
    return yadage.read_flattened(document["workflow"], relaxing.raw_stages(document["relaxations"]), WORKFLOW)


def journal(directory: Path) -> Iterator[dict[str, Any]]:
    """The events of every start of a run. Lines that were not written whole are left out."""
    try:
        lines = (directory / ".events.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise IntegrityError(f"cannot read {directory / '.events.jsonl'}: {error.strerror}") from None
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


@dataclass(slots=True)
class _Last:
    """What the journal said of a step in the last start."""

    event: str
    began: float | None = None
    ended: float | None = None
    seconds: float | None = None
    reason: str = ""
    message: str = ""


@dataclass(slots=True)
class _Told:
    """The journal taken in: the plan of every start, and what happened in the last."""

    plan: dict[StepId, Mapping[str, Any]] = field(default_factory=dict)
    inits: dict[StepId, tuple[StepId, ...]] = field(default_factory=dict)
    current: set[StepId] = field(default_factory=set)
    steps: dict[StepId, _Last] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    complete: bool = False
    began: float | None = None
    latest: float | None = None
    finished: float | None = None
    failed: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        at = _number(event.get("time"))
        self.latest = at if at is not None else self.latest
        match event["event"]:
            case "run-started":
                self._start(at)
            case "planned":
                self._plan(event)
            case "warning":
                self.warnings.append(str(event.get("message", "")))
            case "run-failed":
                self.failed = str(event.get("message", ""))
            case "run-finished":
                self.finished = at
            case _:
                self._step(event, at)

    def _start(self, at: float | None) -> None:
        self.current, self.steps, self.warnings = set(), {}, []
        self.complete, self.began, self.finished, self.failed = False, at, None, None

    def _plan(self, event: Mapping[str, Any]) -> None:
        self.complete = bool(event.get("complete", False))
        for planned in _items(event.get("steps")):
            if (step := _step_id(planned.get("step"))) is None:
                continue
            if planned.get("init"):
                self.inits[step] = _sources(planned)
            else:
                self.plan[step] = planned
                self.current.add(step)

    def _step(self, event: Mapping[str, Any], at: float | None) -> None:
        step = _step_id(event.get("step"))
        name = event["event"]
        if step is None:
            return
        if name == "started":
            before = self.steps.get(step)
            self.steps[step] = _Last("started", began=before.began if before and before.began else at)
        elif name in _HOWS or name == "failed":
            last = self.steps.setdefault(step, _Last(name))
            last.event, last.ended, last.seconds = name, at, _number(event.get("seconds"))
            last.reason, last.message = str(event.get("reason", "")), str(event.get("message", ""))

    def needs(self, step: StepId) -> tuple[StepId, ...]:
        """The steps that one waits for; for the init step of a sub-workflow, those that it waits for in turn."""
        found: dict[StepId, None] = {}
        waiting = list(_sources(self.plan.get(step, {})))
        while waiting:
            source = waiting.pop(0)
            if source in self.inits:
                waiting[:0] = self.inits[source]
            else:
                found[source] = None
        return tuple(found)

    def known(self) -> tuple[StepId, ...]:
        """The steps of the run: those of the last start; of earlier ones too, when it did not come to all."""
        whole = self.complete and self.finished is not None
        return tuple(step for step in self.plan if step in self.current or not whole)


def _sources(planned: Mapping[str, Any]) -> tuple[StepId, ...]:
    named = planned.get("depends_on")
    found = map(_step_id, named if isinstance(named, list) else ())
    return tuple(step for step in found if step is not None)


def _number(value: Any) -> float | None:
    return value if isinstance(value, float) else float(value) if isinstance(value, int) and value < 2**53 else None


def _items(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _step_id(value: Any) -> StepId | None:
    try:
        return StepId.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


@dataclass(slots=True)
class _Reading:
    """The journal and the records of one directory, put together."""

    directory: Path
    told: _Told
    busy: bool
    at: float
    attempts: Mapping[str, list[Path]]

    def run(self, about: Mapping[str, Any]) -> Run:
        told = self.told
        recorded = set(_recorded(self.directory))
        order = told.known() or tuple(sorted(recorded))
        missing = tuple(sorted(recorded - set(order) - set(told.plan)))  # the journal was lost in part
        steps = self._settled(tuple(self._step(step, step in recorded) for step in (*order, *missing)))
        state = self._state(steps)
        return Run(
            directory=self.directory,
            about=about,
            state=state,
            locked=self.busy,
            complete=told.complete,
            began=told.began,
            ended=None if state == "running" else told.finished or told.latest,
            message=told.failed or "",
            at=self.at,
            steps=steps,
            warnings=tuple(told.warnings),
        )

    def _state(self, steps: tuple[StepHistory, ...]) -> State:
        if self.told.finished is not None:
            return "finished"
        if self.busy:
            return "running"
        if self.told.failed is not None or any(step.state == "failed" for step in steps):
            return "failed"
        return "stopped" if steps or self.told.began is not None else "created"

    def _step(self, step: StepId, recorded: bool) -> StepHistory:
        last = self.told.steps.get(step)
        plan = self.told.plan.get(step, {})
        state, how = self._outcome(last, recorded)
        tried = reversed(self.attempts.get(_dotted(step), []))
        log = next((attempt / "log" for attempt in tried if (attempt / "log").is_file()), None)
        return StepHistory(
            id=step,
            state=state,
            how=how,
            depends_on=self.told.needs(step),
            where=plan.get("in"),
            began=last.began if last else None,
            ended=last.ended if last else None,
            seconds=last.seconds if last else None,
            reason=last.reason if last else "",
            message=last.message if last else "",
            log=log,
        )

    def _outcome(self, last: _Last | None, recorded: bool) -> tuple[State, How | None]:
        """What is recorded is finished; a step that was started and is not, runs or was stopped."""
        if last is not None and last.event == "failed":
            return "failed", None
        if recorded and last is not None:
            return "finished", _HOWS.get(last.event, "ran")
        if recorded and not self.busy:
            return "finished", None  # by an earlier start; the last did not come to it
        if last is not None and last.event == "started":
            return ("running" if self.busy else "stopped"), None
        return "pending", None

    def _settled(self, steps: tuple[StepHistory, ...]) -> tuple[StepHistory, ...]:
        """While somebody works, a step whose inputs are there waits only for a free place."""
        if not self.busy:
            return steps
        waiting = {step.id for step in steps if step.state != "finished"}
        return tuple(
            replace(step, state="queued") if step.state == "pending" and waiting.isdisjoint(step.depends_on) else step
            for step in steps
        )


def _recorded(directory: Path) -> Iterator[StepId]:
    records = directory / ".records"
    for path in records.rglob("*.json"):
        step = _step_id(str(path.relative_to(records))[: -len(".json")])
        if step is not None and not path.name.startswith("."):
            yield step
