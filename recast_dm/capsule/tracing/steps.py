"""Steps: the commands that belong together, which files each one needs and gives, and from whom.

Commands that a pipe connects are one step. A file that a step reads comes from the last step that wrote it before; what
was there before everything is an input. What a step writes and reads by itself is nobody's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from recast_dm.capsule.tracing.commands import Access, Command

IGNORED = ("/proc/", "/sys/", "/dev/")


@dataclass(slots=True)
class Use:
    """A file that a step needs: `producer` is the step that wrote it, None for a file that was there before.

    `named` is every name that it was opened by; `changed` says that the step changes it, moves it or removes it.
    """

    path: str
    producer: int | None
    named: dict[str, None] = field(default_factory=dict)
    changed: bool = False


@dataclass(slots=True)
class Step:
    """Commands in the order in which they were started."""

    commands: list[Command]
    uses: dict[str, Use] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    """What it leaves, each with the name that it gave to it."""
    made: dict[str, None] = field(default_factory=dict)
    listed: dict[str, None] = field(default_factory=dict)
    wanted: dict[str, None] = field(default_factory=dict)
    """The outputs that a later step needs, or that are there in the end."""

    @property
    def time(self) -> int:
        return self.commands[0].time


@dataclass(slots=True)
class Flow:
    """All steps of a script; `crossed` are files that steps which ran at the same time gave to each other."""

    steps: list[Step]
    crossed: dict[str, None] = field(default_factory=dict)
    last: dict[str, int | None] = field(default_factory=dict)
    """Who wrote a file last; None where it was removed."""


def flow(
    commands: Sequence[Command],
    before: Callable[[str], bool],
    after: Callable[[str], bool],
    within: Callable[[str], bool],
) -> Flow:
    """The steps of a script. `before` and `after` say whether a file was there before, and is there in the end.

    `within` says whether a path is one that results are expected at: below the script's working directory.
    """
    found = Flow([Step(group) for group in _groups(commands)])
    accesses = [
        (access, n) for n, step in enumerate(found.steps) for command in step.commands for access in command.accesses
    ]
    reader = _Reader(found, before)
    for access, n in sorted(accesses, key=lambda pair: pair[0].time):
        if (not access.path.startswith(IGNORED) and "/__pycache__/" not in access.path) or access.what == "read":
            reader.take(access, n)
    _want(found, after, within)
    return found


def _groups(commands: Sequence[Command]) -> list[list[Command]]:
    """Commands that a pipe connects, directly or by way of others."""
    group = {n: {n} for n in range(len(commands))}
    for n, one in enumerate(commands):
        for m, other in enumerate(commands):
            if one.reads_pipe and one.reads_pipe in other.writes_pipes and group[n] is not group[m]:
                joined = group[n] | group[m]
                for member in joined:
                    group[member] = joined
    seen = {id(members): sorted(members) for members in group.values()}
    ordered = sorted(seen.values())
    return [[commands[n] for n in members] for members in ordered]


class _Reader:
    """Takes accesses in the order of time, and knows for every file who wrote it last."""

    def __init__(self, found: Flow, before: Callable[[str], bool]) -> None:
        self._flow = found
        self._before = before

    def take(self, access: Access, n: int) -> None:
        step = self._flow.steps[n]
        match access.what:
            case "read":
                self._use(n, access)
            case "list":
                step.listed[access.path] = None
            case "make":
                step.made[access.path] = None
            case "remove":
                self._remove(n, access)
            case "change":
                if access.path not in step.outputs and self._exists(access.path):
                    self._use(n, access).changed = True
                self._output(n, access.path, access.named)
            case "write":
                if access.origin:
                    self._rename(n, access)
                else:
                    self._output(n, access.path, access.named)

    def _exists(self, path: str) -> bool:
        if path in self._flow.last:
            return self._flow.last[path] is not None
        return self._before(path)

    def _output(self, n: int, path: str, named: str) -> None:
        step = self._flow.steps[n]
        if path in step.uses:
            step.uses[path].changed = True  # a link to an input must not be written through
        step.outputs[path] = named
        self._flow.last[path] = n

    def _use(self, n: int, access: Access) -> Use:
        step, path = self._flow.steps[n], access.path
        if path in step.outputs:
            return Use(path, n)
        use = step.uses.get(path)
        if use is None:
            producer = self._flow.last.get(path)
            use = Use(path, producer)
            if producer is not None and producer > n:
                self._flow.crossed[path] = None
            else:
                step.uses[path] = use
        use.named[access.named] = None
        return use

    def _remove(self, n: int, access: Access) -> None:
        step = self._flow.steps[n]
        if access.path in step.outputs:
            del step.outputs[access.path]
        else:
            self._use(n, access).changed = True
        self._flow.last[access.path] = None

    def _rename(self, n: int, access: Access) -> None:
        """A file, or a directory with all that is known to be in it."""
        inside = [path for path in self._flow.last if path.startswith(f"{access.origin}/")]
        for path in inside or [access.origin]:
            there = access.path + path.removeprefix(access.origin)
            if self._flow.last.get(path, 0) is None and inside:
                continue
            self._remove(n, Access("remove", path, path, access.time))
            self._output(n, there, there)


def _want(found: Flow, after: Callable[[str], bool], within: Callable[[str], bool]) -> None:
    """Looks back from the end: what nobody needs, and is not there any more, is not published."""
    for n in reversed(range(len(found.steps))):
        step = found.steps[n]
        for path in step.outputs:
            if found.last.get(path) == n and within(path) and after(path):
                step.wanted[path] = None
        if not step.wanted:
            continue
        for use in step.uses.values():
            if use.producer is not None and use.path in found.steps[use.producer].outputs:
                found.steps[use.producer].wanted[use.path] = None
