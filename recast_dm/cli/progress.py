"""Progress: a live table on a terminal, one line an event elsewhere (and a sign of life every ten seconds)."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.cli import view
from recast_dm.engine import events
from recast_dm.engine.request import Ask
from recast_dm.errors import SpecError, StepFailed
from recast_dm.model import StepId
from recast_dm.spec import text

HEARTBEAT = 10.0
WIDE = 100
"""Columns of a terminal that has room for what steps say."""
MANY = 20
"""Kept or cached steps in a row of which each gets a line; what comes after them is counted."""
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

    def elapsed(self, now: float) -> float:
        if self.began is None:
            return 0.0
        return (now if self.running else self.ended) - self.began


@dataclass
class State:
    """What is known of a run so far; filled by events from any thread."""

    began: float = field(default_factory=time.monotonic)
    stages: dict[str, StageState] = field(default_factory=dict)
    said: dict[str, tuple[StepId, str]] = field(default_factory=dict)
    hows: Counter[str] = field(default_factory=Counter)
    total: int = 0
    complete: bool = False

    def take(self, event: events.Event) -> None:
        if isinstance(event, events.StepsPlanned):
            for step in event.steps:
                self._stage(step.id).total += 1
            self.total += len(event.steps)
            self.complete = event.complete
        elif isinstance(event, events.StepStarted):
            stage, now = self._stage(event.step), time.monotonic()
            stage.running[event.step] = now
            stage.began = stage.began or now
        elif isinstance(event, events.StepSaid):
            self.said[event.step.stage] = (event.step, event.line)
        elif isinstance(event, events.StepFinished):
            stage = self._end(event.step)
            stage.finished += 1
            stage.again += event.how != "ran"
            self.hows[_HOW[event.how]] += 1
        elif isinstance(event, events.StepEnded):
            self._end(event.step).failed += 1

    def _stage(self, step: StepId) -> StageState:
        return self.stages.setdefault(step.stage, StageState())

    def _end(self, step: StepId) -> StageState:
        stage = self._stage(step)
        stage.running.pop(step, None)
        stage.ended = time.monotonic()
        return stage

    def running(self) -> list[tuple[StepId, float]]:
        return [item for stage in self.stages.values() for item in stage.running.items()]

    def last_line(self, step: StepId) -> str:
        who, line = self.said.get(step.stage, (None, ""))
        return line if who == step else ""

    def totals(self) -> str:
        return f"{self.hows.total()}/{self.total}{'' if self.complete else '+'}"


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
            case events.StepStarted():
                text = f"  running   {event.step}  {f'in {event.image}' if event.image else 'on this machine'}"
            case events.StepFinished():
                text = f"  {_HOW[event.how]:<9} {event.step}  {event.seconds:.1f} s  [{self._state.totals()}]"
            case events.StepEnded():
                text = f"  failed    {event.step}" + (f"  ({event.reason})" if event.reason else "")
            case events.StepRetried():
                text = f"  again     {event.step}  after {event.reason} ({event.attempt} of {event.attempts})"
            case events.Instructed():
                text = f"  to do     {event.step}: {event.instructions}  [in {event.place}]"
            case events.Warned():
                text = f"warning: {event.message}"
            case events.RunFinished():
                text = f"finished in {event.seconds:.1f} s: " + ", ".join(f"{n} {how}" for how, n in hows.items())
            case _:
                text = ""
        return text

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with self._lock:
                now = time.monotonic()
                running = [
                    f"{step} {now - since:.0f} s" + (f" ({said[:60]})" if (said := self._state.last_line(step)) else "")
                    for step, since in self._state.running()
                ]
                if running:
                    view.say(f"  ...       {', '.join(running)}")


class Live:
    """A table that is drawn again and again: one row a stage."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._state = State()
        self._lock = threading.Lock()
        self._console = Console(stderr=True)
        self._live = RichLive(get_renderable=self._draw, console=self._console, refresh_per_second=4)

    def __enter__(self) -> Live:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._live.__exit__(*exception)

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            self._state.take(event)
        if isinstance(event, events.RunStarted):
            self._console.print(f"run directory {event.directory} ({event.runtime})", highlight=False)
        if isinstance(event, events.Warned):
            self._console.print(f"warning: {event.message}", highlight=False)

    def _draw(self) -> Any:
        from rich.markup import escape
        from rich.table import Table

        with self._lock:
            state, now = self._state, time.monotonic()
            shown = Table(box=None, padding=(0, 2, 0, 0), expand=False)
            shown.add_column("stage", no_wrap=True, overflow="ellipsis", ratio=2)
            for title in ("done", "cached", "running", "failed", "elapsed"):
                shown.add_column(title, justify="right", no_wrap=True)
            wide = self._console.width >= WIDE
            if wide:
                shown.add_column("last line", no_wrap=True, overflow="ellipsis")
            rows = list(state.stages.items())
            room = max(3, self._console.height - 4)
            if len(rows) > room:  # what runs is what one looks for
                rows = [row for row in rows if row[1].running or row[1].failed][:room] or rows[-room:]
            for name, stage in rows:
                row = [
                    escape(name),
                    f"{stage.finished}/{stage.total}",
                    str(stage.again or ""),
                    str(len(stage.running) or ""),
                    str(stage.failed or ""),
                    f"{stage.elapsed(now):.0f} s" if stage.began is not None else "",
                ]
                shown.add_row(*row, *([escape(state.said.get(name, (None, ""))[1][:60])] if wide else []))
            shown.caption = f"{state.totals()} steps, {now - state.began:.0f} s"
        return shown


class Silent:
    """No progress; warnings are still said."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Warned):
            view.say(f"warning: {event.message}")


def observer(*, quiet: bool) -> Lines | Live | Silent:
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
    view.say(f"\n{step} needs you:\n{instructions}\nits files belong into {place}")
    if not wants_value:
        _answer("press Enter when it is done: ")
        return None
    while True:
        answer = _answer("what does it publish, as JSON or YAML? ")
        try:
            return text.parse(answer).plain()
        except SpecError as error:
            view.say(f"that cannot be read: {error.message}")


def _answer(question: str) -> str:
    view.say(question)
    answer = sys.stdin.readline()
    if not answer:
        raise StepFailed("nobody answered", hint="finished steps are kept")
    return answer.strip()
