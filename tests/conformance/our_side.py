"""What our engine makes of a workflow, in the form that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import engine, runtimes, spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine.execute import Finished
from recast_dm.engine.expand import Expansion
from recast_dm.engine.publishers import Files
from recast_dm.model import INIT, Step, StepId, Value, Workflow
from tests.conformance.compare import Seen, SeenStep, content


def expanded(workflow: Path, initdata: Mapping[str, Any], initdir: Path | None) -> Seen:
    expansion = _begun(spec.load(workflow), initdata, initdir)
    steps = expansion.advance()
    expansion.demand_no_errors()
    published = _published(expansion)
    seen = {INIT: _init(initdata, published)} | {step.id: _seen(step, published, {}) for step in steps}
    return Seen(seen, tuple(sorted(unready.stage for unready in expansion.waiting)))


def executed(workflow: Path, initdata: Mapping[str, Any], initdir: Path | None, directory: Path) -> Seen:
    """Our run in `directory`: host processes, and docker where the workflow needs it. A run that fails raises."""
    loaded = spec.load(workflow)
    runtime = runtimes.find("docker") if loaded.images() else None
    work = Work(workflow=loaded, initdata=initdata, initdir=initdir)
    local = Local(runtime=runtime, jobs=2, cache=None, allow_host=True)
    finished = local.execute(work, directory=directory, observer=lambda _: None)
    published = _published(_replayed(loaded, initdata, initdir, finished))
    files = _files(finished, initdir)
    seen = {step.id: _seen(step, published, files.get(step.id, {})) for step in finished.steps}
    return Seen({INIT: _init(initdata, published), **seen}, ())


def _begun(workflow: Workflow, initdata: Mapping[str, Any], initdir: Path | None) -> Expansion:
    files = _files_below(initdir)
    return Expansion(workflow, engine.publish_init(initdata, files), {}, files=files)


def _replayed(workflow: Workflow, initdata: Mapping[str, Any], initdir: Path | None, finished: Finished) -> Expansion:
    """The expansion of a run that is over: it knows what the init steps of sub-workflows published."""
    expansion = _begun(workflow, initdata, initdir)
    waiting = {record.step: record for record in finished.records}
    while new := expansion.advance():
        for step in new:
            if record := waiting.pop(step.id, None):
                expansion.publish(step.id, record.published, Files(record.tree.names()))
    return expansion


def _published(expansion: Expansion) -> Mapping[StepId, Value]:
    return expansion._published


def _init(initdata: Mapping[str, Any], published: Mapping[StepId, Value]) -> SeenStep:
    return SeenStep(dict(initdata), (), True, published[INIT], {})


def _seen(step: Step, published: Mapping[StepId, Value], files: Mapping[str, str]) -> SeenStep:
    depends_on = tuple(sorted(step.depends_on))
    return SeenStep(step.parameters, depends_on, step.id in published, published.get(step.id), files)


def _files(finished: Finished, initdir: Path | None) -> dict[StepId, dict[str, str]]:
    """The contents of every step's files, the directories that commands have seen being the steps'."""
    hosts = {str(initdir.resolve()): INIT} if initdir else {}
    own: dict[StepId, dict[str, StepId]] = {}
    for record in finished.records:
        places = record.execution.get("places", {})
        own[record.step] = {place: StepId.parse(name) for name, place in places.items()}
        hosts |= {place: step for place, step in own[record.step].items() if str(finished.directory) in place}
    return {
        record.step: {
            file.path: content(
                finished.directory / record.step.stage / str(record.step.index) / file.path,
                {**hosts, **own[record.step]},
            )
            for file in record.tree.files
        }
        for record in finished.records
    }


def _files_below(initdir: Path | None) -> list[str] | None:
    return [str(path.relative_to(initdir)) for path in initdir.rglob("*") if path.is_file()] if initdir else None
