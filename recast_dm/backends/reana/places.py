"""Where REANA's yadage keeps the files of steps, below a workspace: `limit/`, or `generate_3/` of a scattered stage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from recast_dm.backends.reana.translate.reused import PLACE
from recast_dm.backends.reana.values import Job
from recast_dm.model import Cases, Stage, StepId, SubWorkflow, Workflow

_SIDE = re.compile(r"(_packtivity/.*|_yadage_parmount_[^/]*\.txt)")
"""What upstream writes beside a step's outputs."""


def directory(workflow: Workflow, step: StepId) -> str:
    """A step's directory; those of sub-workflows lie in that of the stage.

    >>> from recast_dm.model import Location, Scatter, Stage, SubWorkflow
    >>> here = Location("workflow.yml", 1)
    >>> fit = Stage("fit", (), {}, SubWorkflow(Workflow(()), here), here)
    >>> scan = Stage("scan", (), {}, SubWorkflow(Workflow((fit,)), here), here, Scatter("zip", (), here))
    >>> directory(Workflow((scan,)), StepId("scan/2/fit", 0))
    'scan_2/fit'
    """
    parts = [*step.stage.split("/"), str(step.index)]
    return "/".join(_way(workflow, parts))


def _way(workflow: Workflow, parts: Sequence[str]) -> list[str]:
    name, index, *rest = parts
    stage = workflow.stage(name)
    numbered = stage.scatter is not None or stage.jq is not None
    inner = _way(_inner(stage, rest[0]), rest) if rest else []
    return [f"{name}_{index}" if numbered else name, *inner]


def _inner(stage: Stage, name: str) -> Workflow:
    """The workflow in a stage that has a stage of that name; its cases may be several."""
    bodies = [case.body for case in stage.body.cases] if isinstance(stage.body, Cases) else [stage.body]
    found = (body.workflow for body in bodies if isinstance(body, SubWorkflow))
    return next(each for each in found if any(name == stage.name for stage in each.stages))


def sent(step: StepId) -> str:
    """The directory of a step whose files were sent along.

    >>> sent(StepId("generate", 2))
    'reused/generate/2'
    """
    return f"{PLACE}/{step}"


def output(path: str, place: str) -> bool:
    """Whether a path in a workspace is one of the files that a step left in its directory.

    >>> output("gen/gen.txt", "gen"), output("gen/_packtivity/gen.log", "gen"), output("gen_1/gen.txt", "gen")
    (True, False, False)
    """
    return path.startswith(f"{place}/") and not _SIDE.fullmatch(path.removeprefix(f"{place}/"))


def job_of(jobs: Iterable[Job], place: str) -> Job | None:
    """The job of the step whose files lie at a place: by its name, and where several have it, by its command."""
    name = place.rpartition("/")[2]
    named = [job for job in jobs if job.step == name]
    if len(named) > 1:
        named = [job for job in named if f"/{place}/" in job.command or f"/{place}'" in job.command] or named
    return named[-1] if named else None


def root(jobs: Iterable[Job], identity: str) -> str | None:
    """Where the workspace of a workflow lies at the server, as far as commands tell.

    >>> job = Job(id="1", step="gen", status="finished", command="cat '/var/reana/w/cfe8646a/in' > /tmp/x")
    >>> root([job], "cfe8646a")
    '/var/reana/w/cfe8646a'
    """
    named = re.compile(rf"(/[^\s'\"=:,;]*/{re.escape(identity)})(?=/)")
    return next((found[1] for job in jobs if (found := named.search(job.command))), None)
