"""What came of a step: what it published, or why it failed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.engine import command, publishers, values
from recast_dm.engine.publishers import Files
from recast_dm.errors import StepFailed
from recast_dm.model import DockerEnvironment, FromYamlPublisher, ManualPublisher, Step, StepId, Value
from recast_dm.runtimes import Job, Outcome
from recast_dm.spec import text

LAST_LINES = 15
FULL = 64 * 1024
"""A filesystem with less free space than this, in bytes, is why a step failed."""


def published(step: Step, files: Files, place: Path, execution: Mapping[str, Any]) -> Value:
    """What a step published; what its files or a person said is looked up."""
    publisher = step.spec.publisher
    said: Value = None
    if isinstance(publisher, ManualPublisher):
        said = values.freeze(execution["said"])
    if isinstance(publisher, FromYamlPublisher):
        said = _said(step, publisher, files, place, execution)
    return publishers.publish(step, files, said)


def _said(step: Step, publisher: FromYamlPublisher, files: Files, place: Path, execution: Mapping[str, Any]) -> Value:
    """A file of a step, its texts that name places as the command saw them being paths."""
    if publisher.yamlfile not in files.names:
        found = ", ".join(sorted(files.names)[:10]) or "nothing"
        raise StepFailed(
            f"the step {step.id} ended well but did not write {publisher.yamlfile!r}, which says what it publishes",
            hint=f"it wrote: {found}",
            step=str(step.id),
        )
    document = text.read(place / publisher.yamlfile, f"{step.id}/{publisher.yamlfile}").plain()
    if isinstance(step.spec.environment, DockerEnvironment):
        places = _seen(command.in_container(step), execution.get("reana", {}).get("places", {}))
    else:
        places = {place: StepId.parse(source) for source, place in execution.get("places", {}).items()}
    return values.map_texts(values.freeze(document), lambda word: values.placed(word, places))


def _seen(inside: Mapping[StepId, str], there: Mapping[str, str]) -> dict[str, StepId]:
    """Where a command saw directories: in a container, or where that was to be seen at a server."""
    places = {place: source for source, place in inside.items()}
    return places | {there[place]: source for place, source in places.items() if place in there}


def failure(step: Step, job: Job, outcome: Outcome) -> StepFailed:
    """A step that did not end well, with the last lines of what it said."""
    lines = last_lines(job.log)
    reason = outcome.reason or f"exit code {outcome.exit_code}"
    ended = f"exit code {outcome.exit_code}, {outcome.reason}" if outcome.reason else reason
    if outcome.reason == "timeout":
        ended = f"timeout: it took more than {job.timeout:g} s"
    said = "".join(f"\n| {line}" for line in lines)
    hint = f"its last lines:{said}\nthe whole log: {job.log}\nfinished steps are kept"
    if job.image is not None and any("read-only file system" in line.lower() for line in lines):
        hint += "\nan image cannot be written to: let the command write below {workdir}, to /tmp, or where it starts"
    return StepFailed(
        f"the step {step.id} failed ({ended})", hint=hint, step=str(step.id), status=outcome.exit_code, reason=reason
    )


def last_lines(log: Path) -> list[str]:
    return store.tail(log).decode("utf-8", "replace").splitlines()[-LAST_LINES:]


def is_full(place: Path) -> bool:
    """Whether a filesystem has no room for more bytes, or for more files."""
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize < FULL or (status.f_files > 0 and status.f_favail == 0)
