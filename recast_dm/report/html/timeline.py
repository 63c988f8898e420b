"""When the steps of a run worked, as a picture: a bar a step, or a bar a stage where there are many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recast_dm.engine.history import Run, StageHistory, StepHistory
from recast_dm.report.html.elements import Element, h

MOST = 40
"""Steps that are drawn one by one."""
ROW, LEFT, RIGHT, WIDTH = 22, 190, 70, 900


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of the picture: from when to when (s since the run began), and how it came about."""

    label: str
    began: float
    ended: float
    kind: str
    note: str


def bars(run: Run) -> tuple[Bar, ...]:
    """The rows: steps in the order in which they began, or stages in that of the workflow."""
    start = run.began or 0.0
    timed = [step for step in run.steps if step.ended is not None]
    if len(timed) <= MOST:
        return tuple(_step(step, start) for step in sorted(timed, key=lambda s: (s.began or s.ended or 0.0, s.id)))
    found = [_stage(stage, start) for stage in run.stages()]
    return tuple(bar for bar in found if bar is not None)


def _step(step: StepHistory, start: float) -> Bar:
    ended = (step.ended or start) - start  # what was not started, but taken from the cache, has no other time
    began = ended - (step.seconds or 0.0) if step.began is None else step.began - start
    kind = step.state if step.state != "finished" else step.how or "ran"
    note = f"{step.seconds:.1f} s" if step.seconds is not None and step.how == "ran" else kind
    return Bar(str(step.id), max(began, 0.0), max(ended, 0.0), kind, note)


def _stage(stage: StageHistory, start: float) -> Bar | None:
    times = [(s.ended if s.began is None else s.began, s.ended) for s in stage.steps if s.ended is not None]
    if not times:
        return None
    work = sum(step.seconds or 0.0 for step in stage.steps if step.how == "ran")
    note = f"{work:.0f} s in all"
    began, ended = min(b for b, _ in times) - start, max(e for _, e in times) - start
    return Bar(f"{stage.name} \u00d7 {len(stage.steps)}", max(began, 0.0), ended, stage.state, note)


def picture(run: Run) -> Element | None:
    """The timeline; None for a run whose steps say no times."""
    rows = bars(run)
    if not rows:
        return None
    whole = max(*(bar.ended for bar in rows), 0.001)
    height = len(rows) * ROW + 34
    scale = (WIDTH - LEFT - RIGHT) / whole

    ticks = [_tick(second, LEFT + second * scale, height) for second in marks(whole)]
    lines = [_row(n, bar, scale) for n, bar in enumerate(rows)]
    label = f"timeline of {len(rows)} rows over {whole:.1f} seconds; the table of steps has the numbers"
    return h(
        "div",
        h("svg", ticks, lines, viewBox=f"0 0 {WIDTH} {height}", class_="timeline", role="img", aria_label=label),
        class_="wide",
        tabindex="0",
        role="group",
        aria_label="timeline",
    )


def _row(n: int, bar: Bar, scale: float) -> Element:
    y = n * ROW + 4
    width = max((bar.ended - bar.began) * scale, 2.0)
    x = LEFT + bar.began * scale
    return h(
        "g",
        h("text", _short(bar.label), x=str(LEFT - 8), y=str(y + 13), text_anchor="end"),
        h("rect", class_=f"bar {bar.kind}", x=f"{x:.1f}", y=str(y), width=f"{width:.1f}", height=str(ROW - 6), rx="2"),
        h("text", bar.note, x=f"{x + width + 5:.1f}", y=str(y + 13), class_="small"),
    )


def _short(label: str) -> str:
    return label if len(label) <= 26 else f"\u2026{label[-25:]}"


def _tick(second: float, x: float, height: int) -> Element:
    return h(
        "g",
        h("line", class_="grid", x1=f"{x:.1f}", x2=f"{x:.1f}", y1="0", y2=str(height - 28)),
        h("text", f"{second:g} s", x=f"{x:.1f}", y=str(height - 12), text_anchor="middle", class_="small"),
    )


def marks(whole: float) -> Sequence[float]:
    """Round seconds along the axis, about six of them.

    >>> marks(60.0)
    [0, 10, 20, 30, 40, 50, 60]
    """
    rough = whole / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    found = [n * step for n in range(int(whole / step + 1e-9) + 1)]
    return [int(each) if each == int(each) else round(each, 6) for each in found]
