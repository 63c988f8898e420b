"""A workflow's document, rewritten stage by stage for REANA's engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from recast_dm.backends import Work
from recast_dm.backends.reana.translate import commands, environments
from recast_dm.errors import SpecError
from recast_dm.images.placed import Placed
from recast_dm.model import Cases, DockerEnvironment, Policy, Stage, Step, StepSpec, SubWorkflow, Workflow
from recast_dm.spec.relaxations import RAW


@dataclass(slots=True)
class Stages:
    """The rewriting of a workflow: `steps` are known before anything runs, by the names of their stages."""

    work: Work
    placed: Mapping[str, Placed]
    steps: Mapping[str, Sequence[Step]]
    notes: list[str] = field(default_factory=list)

    def rewritten(self) -> dict[str, Any]:
        """The document of the whole workflow. Raises SpecError for what REANA cannot run."""
        return self._workflow(self.work.workflow, self.work.workflow.source, "")

    def _workflow(self, workflow: Workflow, source: Mapping[str, Any], above: str) -> dict[str, Any]:
        document = deepcopy(dict(source))
        for stage, each in zip(workflow.stages, document["stages"], strict=True):
            self._stage(stage, each["scheduler"], f"{above}{stage.name}")
        return document

    def _stage(self, stage: Stage, scheduler: dict[str, Any], name: str) -> None:
        needs = [self._body(each, holder, name) for each, holder in _bodies(stage, scheduler)]
        if any(needs):
            if not isinstance(scheduler.get("parameters"), dict):
                raise SpecError(f"the stage {name!r} cannot be told its own directory at REANA", where=stage.where)
            scheduler["parameters"][commands.HERE] = "{workdir}"

    def _body(self, body: StepSpec | SubWorkflow, holder: dict[str, Any], name: str) -> bool:
        """Rewrites a step or workflow in its place; whether it needs to know its own directory."""
        if isinstance(body, SubWorkflow):
            holder["workflow"] = self._workflow(body.workflow, holder["workflow"], f"{name}/")
            return False
        if body.instructions is not None:
            raise SpecError(
                f"the stage {name!r} waits for a person: nobody can answer it at REANA",
                where=body.where,
                hint="`recast-dm run` asks here",
            )
        if not body.starts_something:
            return False  # it is left out, or refused (`reused`)
        return self._step(body, holder["step"], name)

    def _step(self, spec: StepSpec, document: dict[str, Any], name: str) -> bool:
        policy = self.work.policies.get(name, Policy())
        found = environments.environment(name, spec, document["environment"], policy, self.placed)
        environment = spec.environment
        assert isinstance(environment, DockerEnvironment)  # noqa: S101  # the others were refused
        known = self.placed.get(environment.reference)
        image = known.image if known else self.work.pinned.get(environment.reference)
        if image is None and environment.workdir is None:
            self.notes.append(f"{name}: {environment.reference} is not known here: its command starts in /")
        raw = RAW in self.work.relaxations.get(name, ())
        process = commands.rewritten(name, spec, self.steps.get(name, ()), image, raw=raw)
        document["environment"], document["process"] = dict(found.document), dict(process.process)
        self.notes += [*found.notes, *process.notes]
        return process.with_workdir


def _bodies(stage: Stage, scheduler: dict[str, Any]) -> Iterator[tuple[StepSpec | SubWorkflow, dict[str, Any]]]:
    """What a stage may do, each with the part of the document that holds it."""
    if isinstance(stage.body, Cases):
        yield from zip((case.body for case in stage.body.cases), scheduler["cases"], strict=True)
    else:
        yield stage.body, scheduler
