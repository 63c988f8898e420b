"""Progress: a live table on a terminal, one line an event elsewhere (and a sign of life every ten seconds)."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from recast_dm.cli import view
from recast_dm.engine import events
from recast_dm.engine.request import Ask, stopping
from recast_dm.errors import Interrupted, SpecError, StepFailed
from recast_dm.model import StepId
from recast_dm.spec import text

HEARTBEAT = 10.0
WIDE = 100
"""Columns of a terminal that has room for what steps say."""
NAME = 20
"""Columns that the name of a stage should have; cached and elapsed give way to it."""
LEAST = 8
"""Columns for which even running and failed give way."""
GAP = 2
MANY = 20
"""Kept or cached steps in a row of which each gets a line; what comes after them is counted."""
SHOWN = 5
"""Running steps that a sign of life names."""
PATIENCE = 0.1
"""Seconds between two looks at whether a run that asks somebody is to stop."""
TITLES = ("done", "cached", "running", "failed", "elapsed")
_HOW = {"ran": "finished", "cached": "cached", "kept": "kept"}


@dataclass
class StageState:
    """How far a stage is. Times are of the monotonic clock."""

    total: int = 0
    finished: int = 0
    again: int = 0
    failed: int = 0
    running: dict[StepId, float] = field(default_factory=dict)
    began: float | None = None
    ended: float = 0.0
    way: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`fit`, `scan/1/fit`, or `scan/*/fit` for several."""
        return "/".join(self.way)

    def join(self, step: StepId) -> None:
        """Takes in a step's way to its stage: what differs from the others becomes `*`."""
        way = tuple(step.stage.split("/"))
        self.way = tuple(a if a == b else "*" for a, b in zip(self.way, way, strict=True)) if self.way else way

    def elapsed(self, now: float) -> float:
        if self.began is None:
            return 0.0
        return (now if self.running else self.ended) - self.began


@dataclass
class State:
    """What is known of a run so far; filled by events from any thread. Stages go by `StepId.names`."""

    began: float = field(default_factory=time.monotonic)
    stages: dict[str, StageState] = field(default_factory=dict)
    said: dict[str, tuple[StepId, str]] = field(default_factory=dict)
    hows: Counter[str] = field(default_factory=Counter)
    total: int = 0
    complete: bool = False
    doing: str = ""
    done: int = 0

    def count(self, what: str, count: int) -> None:
        """So many bytes more of something long that is no step."""
        self.done = count + (self.done if what == self.doing else 0)
        self.doing = what

    def counted(self) -> str:
        return f"{self.doing}: {view.size(self.done)}" if self.doing else ""

    def take(self, event: events.Event) -> None:
        if isinstance(event, events.StepsPlanned):
            for step in event.steps:
                self._stage(step.id).total += 1
            self.total += len(event.steps)
            self.complete = event.complete
        elif isinstance(event, events.StepStarted):
            stage, now = self._stage(event.step), time.monotonic()
            self.doing = ""
            stage.running[event.step] = now
            stage.began = stage.began or now
        elif isinstance(event, events.StepSaid):
            self.said[event.step.names] = (event.step, event.line)
        elif isinstance(event, events.StepFinished):
            stage = self._end(event.step)
            stage.finished += 1
            stage.again += event.how != "ran"
            self.hows[_HOW[event.how]] += 1
        elif isinstance(event, events.StepEnded):
            self._end(event.step).failed += 1

    def _stage(self, step: StepId) -> StageState:
        stage = self.stages.setdefault(step.names, StageState())
        stage.join(step)
        return stage

    def _end(self, step: StepId) -> StageState:
        stage = self._stage(step)
        stage.running.pop(step, None)
        stage.ended = time.monotonic()
        return stage

    def running(self) -> list[tuple[StepId, float]]:
        return [item for stage in self.stages.values() for item in stage.running.items()]

    def last_line(self, step: StepId) -> str:
        who, line = self.said.get(step.names, (None, ""))
        return line if who == step else ""

    def totals(self) -> str:
        return f"{self.hows.total()}/{self.total}{'' if self.complete else '+'}"


class _Count:
    """How much of something long has been done: on a terminal as it grows, elsewhere a line now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = 0
        self._lock = threading.Lock()
        self._live = sys.stderr is not None and sys.stderr.isatty()
        self._next = time.monotonic() + (PATIENCE if self._live else HEARTBEAT)

    def __call__(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now >= self._next:
                self._next = now + (PATIENCE if self._live else HEARTBEAT)
                self._say("" if self._live else "\n")

    def _say(self, end: str) -> None:
        start = "\r\033[K" if self._live else ""
        with contextlib.suppress(OSError, ValueError):
            print(f"{start}{self._what}: {view.size(self._done)}", end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._live:
            with contextlib.suppress(OSError, ValueError):
                print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def count(what: str, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Gives what is told how many bytes more have been done; None where nobody wants to know."""
    if quiet:
        yield None
        return
    counting = _Count(what)
    try:
        yield counting
    finally:
        counting.close()


class Lines:
    """One line an event, for logs and CI; many steps that are only found again are counted."""

    def __init__(self) -> None:
        self._state = State()
        self._again: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._pulse = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Lines:
        self._pulse.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pulse.join()

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            self._state.take(event)
            texts = self._texts(event)
            for text in texts:  # inside, so that no two lines change places
                view.say(text)

    def count(self, what: str, count: int) -> None:
        """Something long that is no step has got on by so many bytes."""
        with self._lock:
            self._state.count(what, count)

    def _texts(self, event: events.Event) -> list[str]:
        again = event.how if isinstance(event, events.StepFinished) and event.how != "ran" else None
        if again:
            self._again[_HOW[again]] += 1
            if self._again.total() > MANY:
                return []
        text = self._text(event)
        if not text or again:
            return [text] if text else []
        counted = self._again.total() - MANY
        self._again.clear()
        said = [f"  ...       and {counted} more, finished before  [{self._state.totals()}]"] if counted > 0 else []
        return [*said, text]

    def _text(self, event: events.Event) -> str:
        hows = self._state.hows
        match event:
            case events.RunStarted():
                text = f"run directory {event.directory} ({event.runtime})"
            case events.ImagesLoading():
                text = _loading(event)
            case events.StepStarted():
                text = _started(event)
            case events.StepFinished():
                text = f"  {_HOW[event.how]:<9} {event.step}  {event.seconds:.1f} s  [{self._state.totals()}]"
            case events.StepEnded():
                text = f"  failed    {event.step}" + (f"  ({event.reason})" if event.reason else "")
            case events.StepRetried():
                text = f"  again     {event.step}  after {event.reason} ({event.attempt} of {event.attempts})"
            case events.Instructed():
                text = f"  to do     {event.step}: {event.instructions}  [in {event.place}]"
            case events.Warned() | events.Noted():
                text = _told(event)
            case events.RunFinished():
                text = f"finished in {event.seconds:.1f} s: " + ", ".join(f"{n} {how}" for how, n in hows.items())
            case _:
                text = ""
        return text

    def _beat(self) -> None:
        before = ""
        while not self._stop.wait(HEARTBEAT):
            with self._lock:
                now = time.monotonic()
                running = [
                    f"{step} {now - since:.0f} s" + (f" ({said[:60]})" if (said := self._state.last_line(step)) else "")
                    for step, since in self._state.running()
                ]
                running[SHOWN:] = [f"and {len(running) - SHOWN} more"] if len(running) > SHOWN else []
                counted = self._state.counted()
                if not running and counted != before:
                    running = [counted]
                before = counted
                if running:
                    view.say(f"  ...       {', '.join(running)}")


def _started(event: events.StepStarted) -> str:
    """One line for each start, also of one that does many steps; they are told in turn."""
    place, size = event.batch
    more = f" and {size - 1} more together" if size > 1 else ""
    where = f"in {event.image}" if event.image else "on this machine"
    return f"  running   {event.step}{more}  {where}" if place == 0 else ""


class Live:
    """A table that is drawn again and again: one row a stage."""

    shown: ClassVar[Live | None] = None
    """The one on the terminal, which makes room for questions."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._state = State()
        self._lock = threading.Lock()
        self._console = Console(stderr=True, highlight=False)
        if self._console.no_color:  # rich would still write bold and dim
            self._console = Console(stderr=True, highlight=False, color_system=None)
        self._live = RichLive(get_renderable=self._draw, console=self._console, refresh_per_second=4)

    def __enter__(self) -> Live:
        self._live.__enter__()
        Live.shown = self
        return self

    def __exit__(self, *exception: Any) -> None:
        Live.shown = None
        self._live.__exit__(*exception)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Draws nothing meanwhile; nor afterwards, when the run stops."""
        self._live.stop()
        try:
            yield
        finally:
            if not stopping.get()():
                self._live.start()

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            self._state.take(event)
        if isinstance(event, events.RunStarted):
            self._say(f"run directory {event.directory} ({event.runtime})")
        if isinstance(event, events.ImagesLoading):
            self._say(_loading(event))
        if isinstance(event, events.Instructed):
            self._say(f"to do: {event.step}: {event.instructions}  [in {event.place}]")
        if isinstance(event, events.Warned | events.Noted):
            self._say(_told(event))

    def count(self, what: str, count: int) -> None:
        with self._lock:
            self._state.count(what, count)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        with self._lock:
            state, now = self._state, time.monotonic()
            rows = list(state.stages.items())
            room = max(3, self._console.height - 4)
            if len(rows) > room:  # what runs is what one looks for
                rows = [row for row in rows if row[1].running or row[1].failed][:room] or rows[-room:]
            lines = table(
                [(stage.name, _numbers(stage, now), state.said.get(key, (None, ""))[1]) for key, stage in rows],
                self._console.width,
            )
            lines.append(
                ", ".join(filter(None, (f"{state.totals()} steps, {now - state.began:.0f} s", state.counted())))
            )
        styles = ["bold", *[""] * (len(lines) - 2), "dim"]
        return Group(
            *(Text(line, style, no_wrap=True, overflow="crop") for line, style in zip(lines, styles, strict=True))
        )


def _numbers(stage: StageState, now: float) -> tuple[str, ...]:
    counts = (stage.again, len(stage.running), stage.failed)
    elapsed = f"{stage.elapsed(now):.0f} s" if stage.began is not None else ""
    return (f"{stage.finished}/{stage.total}", *(str(n or "") for n in counts), elapsed)


def table(rows: Sequence[tuple[str, Sequence[str], str]], width: int) -> list[str]:
    """Stages with their numbers and last lines, as wide as the terminal; names are cut, numbers never.

    Where names would have too little room, columns are left out: what is empty first.

    >>> print("\\n".join(table([("scan/*/fit", ("12/400", "", "4", "1", "12 s"), "")], 60)))
    stage       done    cached  running  failed  elapsed
    scan/*/fit  12/400                4       1     12 s
    >>> print("\\n".join(table([("scan/*/fit", ("12/400", "", "4", "1", "12 s"), "")], 34)))
    stage      done    running  failed
    scan…/fit  12/400        4       1
    """
    from rich.cells import cell_len, set_cell_size

    widths = [max(map(len, column)) for column in zip(TITLES, *(numbers for _, numbers, _ in rows), strict=True)]
    longest = max([len("stage"), *(cell_len(name) for name, _, _ in rows)])
    empty = [n for n in (3, 1) if not any(numbers[n] for _, numbers, _ in rows)]
    kept = list(range(len(TITLES)))
    for n in dict.fromkeys([*empty, 4, 1, 2, 3]):
        if width - sum(widths[k] + GAP for k in kept) >= min(
            longest, LEAST if n in (2, 3) and n not in empty else NAME
        ):
            break
        kept.remove(n)
    room = max(1, min(longest, width - sum(widths[k] + GAP for k in kept)))
    said = width - room - sum(widths[k] + GAP for k in kept) - GAP
    lines = []
    for name, numbers, line in [("stage", TITLES, "last line"), *rows]:
        cells = [set_cell_size(middle(name, room), room)]
        cells += [numbers[k].ljust(widths[k]) if k == 0 else numbers[k].rjust(widths[k]) for k in kept]
        if width >= WIDE and said >= NAME:
            cells.append(set_cell_size(_plain(line), said))
        lines.append((" " * GAP).join(cells).rstrip())
    return lines


def middle(text: str, room: int) -> str:
    """A text cut in its middle, where it has no room.

    >>> middle("scan/*/likelihood", 12), middle("fit", 12)
    ('scan/*…ihood', 'fit')
    """
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"


def _plain(text: str) -> str:
    """A line without what would move the cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _loading(event: events.ImagesLoading) -> str:
    return f"loading {', '.join(event.references)} from {event.origin} into {event.runtime}"


def _told(event: events.Warned | events.Noted) -> str:
    return f"warning: {event.message}" if isinstance(event, events.Warned) else event.message


class Silent:
    """No progress; warnings are still said."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Warned):
            view.say(f"warning: {event.message}")

    def count(self, _what: str, _count: int) -> None:
        return


Shown: TypeAlias = Lines | Live | Silent


def observer(*, quiet: bool) -> Shown:
    """The progress view for where stderr goes."""
    if quiet:
        return Silent()
    return Live() if sys.stderr is not None and sys.stderr.isatty() else Lines()


def asker() -> Ask | None:
    """Asks the person at the terminal, where there is one."""
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return _ask


def _ask(step: StepId, instructions: str, place: Path, wants_value: bool) -> Any:
    shown = Live.shown
    with shown.paused() if shown is not None else contextlib.nullcontext():
        view.say(f"\n{step} needs you:\n{instructions}\nits files belong into {place}")
        if not wants_value:
            _answer(step, "press Enter when it is done: ")
            return None
        while True:
            try:
                value = text.parse(_answer(step, "what does it publish, as JSON or YAML? ")).plain()
            except SpecError as error:
                view.say(f"that cannot be read: {error.message}")
                continue
            if isinstance(value, dict):
                return value
            view.say("that is no mapping of names to values, such as {limit: 0.5}")


def _answer(step: StepId, question: str) -> str:
    """A line from the terminal. Nobody can interrupt a thread that reads, so it looks again and again."""
    view.say(question)
    terminal, answer = sys.stdin.fileno(), b""
    while not answer.endswith(b"\n"):
        if stopping.get()():
            raise Interrupted(f"{step} was interrupted")
        if select.select([terminal], [], [], PATIENCE)[0]:
            read = os.read(terminal, 4096)
            if not read:
                break
            answer += read
    if not answer:
        raise StepFailed("nobody answered", hint="finished steps are kept")
    return answer.decode(errors="replace").strip()
