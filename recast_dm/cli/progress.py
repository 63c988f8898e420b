"""Progress: a live table on a terminal, one line an event elsewhere (and a sign of life every ten seconds)."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from recast_dm.cli import view
from recast_dm.engine import events
from recast_dm.model import StepId

HEARTBEAT = 10.0
_HOW = {"ran": "finished", "cached": "cached", "kept": "kept"}


@dataclass
class State:
    """What is known of a run so far; filled by events from any thread."""

    began: float = field(default_factory=time.monotonic)
    planned: dict[str, list[StepId]] = field(default_factory=dict)
    running: dict[StepId, float] = field(default_factory=dict)
    said: dict[StepId, str] = field(default_factory=dict)
    finished: dict[StepId, str] = field(default_factory=dict)
    failed: set[StepId] = field(default_factory=set)
    complete: bool = False

    def take(self, event: events.Event) -> None:
        if isinstance(event, events.StepsPlanned):
            for step in event.steps:
                self.planned.setdefault(step.id.stage, []).append(step.id)
            self.complete = event.complete
        elif isinstance(event, events.StepStarted):
            self.running[event.step] = time.monotonic()
        elif isinstance(event, events.StepSaid):
            self.said[event.step] = event.line
        elif isinstance(event, events.StepFinished):
            self.running.pop(event.step, None)
            self.finished[event.step] = event.how
        elif isinstance(event, events.StepEnded):
            self.running.pop(event.step, None)
            self.failed.add(event.step)

    def totals(self) -> str:
        total = sum(len(steps) for steps in self.planned.values())
        return f"{len(self.finished)}/{total}{'' if self.complete else '+'}"


class Lines:
    """One line an event, for logs and CI."""

    def __init__(self) -> None:
        self._state = State()
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
            text = self._text(event)
        if text:
            view.say(text)

    def _text(self, event: events.Event) -> str:
        match event:
            case events.RunStarted():
                text = f"run directory {event.directory} ({event.runtime})"
            case events.StepStarted():
                text = f"  running   {event.step}  {f'in {event.image}' if event.image else 'on this machine'}"
            case events.StepFinished():
                text = f"  {_HOW[event.how]:<9} {event.step}  {event.seconds:.1f} s  [{self._state.totals()}]"
            case events.StepEnded():
                text = f"  failed    {event.step}"
            case events.Warned():
                text = f"warning: {event.message}"
            case events.RunFinished():
                hows = Counter(_HOW[how] for how in self._state.finished.values())
                text = f"finished in {event.seconds:.1f} s: " + ", ".join(f"{n} {how}" for how, n in hows.items())
            case _:
                text = ""
        return text

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with self._lock:
                now = time.monotonic()
                running = [
                    f"{step} {now - since:.0f} s" + (f" ({said[:60]})" if (said := self._state.said.get(step)) else "")
                    for step, since in self._state.running.items()
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

        shown = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("stage", "done", "cached", "running", "failed", "last line"):
            shown.add_column(title, justify="left" if title in ("stage", "last line") else "right", no_wrap=True)
        with self._lock:
            state, now = self._state, time.monotonic()
            for stage, steps in state.planned.items():
                done = sum(step in state.finished for step in steps)
                reused = sum(state.finished.get(step) in ("cached", "kept") for step in steps)
                running = [step for step in steps if step in state.running]
                longest = max((now - state.running[step] for step in running), default=0.0)
                said = next((state.said[step] for step in reversed(running) if step in state.said), "")
                shown.add_row(
                    stage,
                    f"{done}/{len(steps)}",
                    str(reused or ""),
                    f"{len(running)} ({longest:.0f} s)" if running else "",
                    str(sum(step in state.failed for step in steps) or ""),
                    escape(said[:60]),
                )
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
