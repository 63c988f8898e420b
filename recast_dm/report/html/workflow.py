"""How a run went: the graph of its steps, its timeline, a table of steps, and what they said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.engine.history import Run, StageHistory, StepHistory
from recast_dm.model import StepId
from recast_dm.report import graph, svg
from recast_dm.report.html import timeline
from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.material import Material
from recast_dm.report.html.pictures import address
from recast_dm.report.html.tables import mark, note, table

FEW_STEPS, MOST_STEPS = 24, 1000
"""Steps that are listed at once; more are listed by their stages, with so many of the steps folded in."""
MOST_LOGS = 60
HEAD, TAIL = 4_000, 12_000
"""Characters of a log that are kept from its beginning and from its end."""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def picture(material: Material) -> Element | None:
    """The graph of the steps, or of the stages where nothing has run."""
    run, original = material.run, material.original
    if run is not None and run.steps:
        drawn = graph.of_run(run)
    elif original is not None and original.analysis is not None:
        drawn = graph.of_workflow(original.analysis.workflow, material.name)
    else:
        return None
    image = h("img", src=address(svg.svg(drawn).encode(), "svg+xml"), alt=drawn.description(), class_="dag")
    return h("div", image, class_="wide", tabindex="0", role="group", aria_label="graph")


def steps(run: Run, records: Mapping[StepId, Mapping[str, Any]]) -> Child:
    """The steps with their times, below the stages of a long run. `records` know what a cached step once took."""
    rows = [_step(step, records.get(step.id)) for step in run.steps[:MOST_STEPS]]
    found = table(("step", "state", "how", "work, s", "in"), rows, numeric=(3,))
    if len(run.steps) <= FEW_STEPS:
        return found
    stages = [_stage(stage) for stage in run.stages()]
    left = len(run.steps) - len(rows)
    more = note(f"{left} more are in the run directory: `recast-dm status` counts them.") if left else None
    return [
        table(("stage", "state", "steps", "ran", "cached", "kept", "elapsed, s"), stages, numeric=range(2, 7)),
        h("details", h("summary", "Every step", h("small", f" {len(run.steps)} steps")), found, more),
    ]


def _step(step: StepHistory, record: Mapping[str, Any] | None) -> list[Child]:
    taken = record["execution"]["seconds"] if record else step.seconds
    seconds = "" if taken is None else f"{taken:.1f}"
    return [str(step.id), _state(step), step.how or "", seconds, step.where or ""]


def _state(step: StepHistory | StageHistory) -> Element:
    good = {"finished": True, "failed": False}.get(step.state)
    reason = f": {step.reason}" if isinstance(step, StepHistory) and step.reason else ""
    return mark(good, f"{step.state}{reason}")


def _stage(stage: StageHistory) -> list[Child]:
    counts = [len(stage.steps), stage.done("ran"), stage.done("cached"), stage.done("kept")]
    elapsed = "" if stage.elapsed is None else f"{stage.elapsed:.1f}"
    return [stage.name, _state(stage), *map(str, counts), elapsed]


def progress(run: Run) -> Child:
    return timeline.picture(run) or note("The steps of this run say no times.")


def logs(run: Run) -> Child:
    """What the steps said, each folded in; those that failed first. Long ones lose their middle."""
    spoken = [step for step in run.steps if step.log is not None and step.log.is_file()]
    chosen = sorted(spoken, key=lambda step: step.state != "failed")[:MOST_LOGS]
    shown = list(_logs(chosen))
    if not shown:
        return note("No step of this run wrote anything that is kept here; steps from the cache ran elsewhere.")
    left = len(spoken) - len(chosen)
    more = (
        note(f"{left} more logs are in the run directory: `recast-dm logs RUN STEP` shows them.") if left > 0 else None
    )
    return [shown, more]


def _logs(found: Sequence[StepHistory]) -> Iterator[Element]:
    for step in found:
        text = _text(step.log) if step.log else ""
        if text:
            size = f" {len(text.splitlines())} lines"
            opened = "" if step.state == "failed" else None
            yield h("details", h("summary", str(step.id), h("small", size)), h("pre", text), open=opened)


def _text(log: Path) -> str:
    """A log as text, without what only moves or colours a terminal."""
    try:
        size = log.stat().st_size
        with log.open("rb") as file:
            head = file.read(2 * (HEAD + TAIL))
        tail = store.tail(log, 2 * TAIL) if size > len(head) else b""
    except OSError:
        return ""
    first, last = (_ESCAPES.sub("", part.decode("utf-8", "replace")).replace("\r", "\n") for part in (head, tail))
    if not last and len(first) <= HEAD + TAIL:
        return first.strip("\n")
    return f"{first[:HEAD]}\n\u2026 the middle of {size} bytes is left out \u2026\n{(last or first)[-TAIL:]}".strip(
        "\n"
    )
