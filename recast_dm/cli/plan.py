"""`--dry-run`: what a run would do, as a table or a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recast_dm import images, runtimes
from recast_dm.cli import view
from recast_dm.engine.cache import StepCache
from recast_dm.engine.forecast import Forecast, Planned, forecast
from recast_dm.engine.request import Request
from recast_dm.errors import RecastError
from recast_dm.model import StepId
from recast_dm.reinterpret import Subject
from recast_dm.runtimes import About, Runtime

if TYPE_CHECKING:
    from recast_dm.cli.execution import Settings


def show(subject: Subject, settings: Settings, cache: StepCache | None) -> None:
    """Prints the plan of a run."""
    runtime = _runtime(subject, settings)
    request = Request(
        workflow=subject.workflow,
        initdata=subject.initdata,
        initdir=subject.initdir,
        images=_images(subject, runtime),
        relaxations=subject.relaxations,
        policies=subject.policies,
        policy=settings.policy,
    )
    seen = _performed(forecast(request, settings.workdir, cache))
    about = runtime.about() if runtime and settings.backend == "local" else None
    if settings.json:
        view.document(_document(subject, seen, about))
    else:
        view.out(_table(subject, seen))
        for line in _started_by(about):
            view.out(line)


def _runtime(subject: Subject, settings: Settings) -> Runtime | None:
    """What would start the containers, where there are any and something can; else it is said where it matters."""
    unpinned = _unpinned(subject)
    if not unpinned and (settings.backend != "local" or not subject.workflow.images()):
        return None
    try:
        return runtimes.find(settings.runtime)
    except RecastError as error:
        if unpinned:
            _say_unknown(error)
        return None


def _started_by(about: About | None) -> Iterator[str]:
    if about is not None:
        yield f"started by {about.name} {about.version}"
        if about.lacking:
            yield f"  weaker than docker as root: {', '.join(about.lacking)}"


def _images(subject: Subject, runtime: Runtime | None) -> dict[str, Any]:
    """The images as far as they can be known; without a runtime, those that a capsule pins."""
    found: dict[str, Any] = dict(subject.pinned)
    if runtime is not None:
        try:
            found |= {image.reference: image for image in images.pin(_unpinned(subject), runtime.image)}
        except RecastError as error:
            _say_unknown(error)
    return found


def _unpinned(subject: Subject) -> list[str]:
    return [name for name in subject.workflow.images() if name not in subject.pinned]


def _say_unknown(error: RecastError) -> None:
    view.say(f"note: {error.message}: nobody can tell which steps are cached")


def _performed(seen: Forecast) -> Forecast:
    """A forecast without the init steps of sub-workflows: what waits for one waits for what that waits for.

    An init step that waits for nothing more is no part of a forecast.
    """
    known = {planned.step.id: planned.step for planned in seen.steps}

    def needs(sources: tuple[StepId, ...]) -> Iterator[StepId]:
        for source in sources:
            if source in known:
                yield from needs(known[source].depends_on) if known[source].spec.init else (source,)

    steps = []
    for planned in seen.steps:
        if not planned.step.spec.init:
            sources = tuple(dict.fromkeys(needs(planned.step.depends_on)))
            steps.append(replace(planned, step=replace(planned.step, depends_on=sources)))
    return replace(seen, steps=tuple(steps))


def _document(subject: Subject, seen: Forecast, about: About | None) -> dict[str, Any]:
    return {
        "schema": "recast-dm/plan/1",
        "analysis": subject.name,
        "steps": [_step(planned) for planned in seen.steps],
        "waiting": [{"stage": unready.stage, "why": unready.why} for unready in seen.waiting],
        "relaxations": {stage: list(each) for stage, each in subject.relaxations.items()},
        "runtime": None
        if about is None
        else {"name": about.name, "version": about.version, "lacking": list(about.lacking)},
    }


def _step(planned: Planned) -> dict[str, Any]:
    return {
        "step": str(planned.step.id),
        "prospect": planned.prospect,
        "in": planned.step.spec.runs_in,
        "depends_on": [str(source) for source in planned.step.depends_on],
        "key": planned.key,
    }


def _table(subject: Subject, seen: Forecast) -> str:
    stages: dict[str, list[Planned]] = {}
    for planned in seen.steps:
        stages.setdefault(planned.step.id.stage, []).append(planned)
    rows = []
    for stage, steps in stages.items():
        counts = Counter(planned.prospect for planned in steps)
        what = ", ".join(f"{counts[each]} {each}" for each in ("kept", "cached", "runs", "waits") if counts[each])
        relaxed = ", ".join(steps[0].step.relaxations)
        rows.append((stage, str(len(steps)), what, steps[0].step.spec.runs_in or "", relaxed))
    known = "1 step is known" if len(seen.steps) == 1 else f"{len(seen.steps)} steps are known"
    lines = [f"{subject.name}: {known}", ""]
    if rows:
        lines.append(view.table(rows, head=("stage", "steps", "what happens", "in", "relaxations")))
    lines += [f"{unready.stage} waits: {unready.why}" for unready in seen.waiting]
    return "\n".join(lines)
