"""What our engine makes of a workflow, in the form that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import engine, images, runtimes, spec
from recast_dm.backends.local import Local
from recast_dm.engine.execute import Finished
from recast_dm.model import INIT, StepId
from recast_dm.runtimes.fake import FakeRuntime
from tests.conformance.compare import Seen, SeenStep, content


def expanded(workflow: Path, initdata: Mapping[str, Any], initdir: Path | None) -> Seen:
    files = files_below(initdir)
    steps, waiting = engine.plan(spec.load(workflow), initdata, files)
    init = engine.publish_init(initdata, files)
    seen = {INIT: SeenStep(dict(initdata), (), True, init, {})}
    for step in steps:
        published = engine.prepublish(step)
        depends_on = tuple(sorted(step.depends_on))
        seen[step.id] = SeenStep(step.parameters, depends_on, published is not None, published, {})
    return Seen(seen, tuple(sorted(waiting)))


def executed(workflow: Path, initdata: Mapping[str, Any], initdir: Path | None, directory: Path) -> Seen:
    """Our run in `directory`: host processes, and docker where the workflow needs it. A run that fails raises."""
    loaded = spec.load(workflow)
    runtime = runtimes.find("docker") if loaded.images() else FakeRuntime({})
    pinned = {image.reference: image for image in images.pin(loaded.images(), runtime.image)}
    finished = Local(runtime=runtime, jobs=2, cache=None, allow_host=True).execute(
        loaded,
        initdata,
        initdir=initdir,
        pinned=pinned,
        relaxations={},
        directory=directory,
        about={},
        observer=lambda _: None,
    )
    init = engine.publish_init(initdata, files_below(initdir))
    seen = {INIT: SeenStep(dict(initdata), (), True, init, {})}
    hosts = _seen_on_the_host(finished, initdir)
    for step in finished.steps:
        record = next((record for record in finished.records if record.step == step.id), None)
        published = record.published if record else engine.prepublish(step)
        place = finished.directory / step.id.stage / str(step.id.index)
        own = (
            {where: StepId.parse(name) for name, where in record.execution.get("places", {}).items()} if record else {}
        )
        files = {
            file.path: content(place / file.path, {**hosts, **own}) for file in (record.tree.files if record else ())
        }
        seen[step.id] = SeenStep(step.parameters, tuple(sorted(step.depends_on)), True, published, files)
    return Seen(seen, ())


def _seen_on_the_host(finished: Finished, initdir: Path | None) -> dict[str, StepId]:
    """Every directory that a command of this machine may have seen."""
    places = {str(initdir.resolve()): INIT} if initdir else {}
    for record in finished.records:
        seen = record.execution.get("places", {}).items()
        places |= {place: StepId.parse(name) for name, place in seen if str(finished.directory) in place}
    return places


def files_below(initdir: Path | None) -> list[str]:
    return [str(path.relative_to(initdir)) for path in initdir.rglob("*") if path.is_file()] if initdir else []
