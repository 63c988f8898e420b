"""Stages that need not run at REANA: they are left out, and what the others take of them is sent along.

Their files are here already; or they start no process and only publish, which REANA's engine cannot do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.backends import Work
from recast_dm.engine import key, outcome, publishers, values
from recast_dm.engine.cache import Entry
from recast_dm.engine.publishers import Files
from recast_dm.errors import RecastError, SpecError
from recast_dm.images.placed import Placed
from recast_dm.model import INIT, DockerEnvironment, Image, Stage, Step, StepId, StepSpec, Value, Workflow

INPUTS = "inputs"
"""The directory of a workspace with the init files."""
PLACE = "reused"
"""The directory of a workspace with files that earlier runs made: `reused/<stage>/<index>/…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A workflow without the stages that are sent along, and what is sent in their place.

    `parameters` are init parameters by their names, `files` what they name in the workspace.
    """

    document: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    steps: tuple[StepId, ...] = ()
    stages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A step that need not run: its files are here, or (None) it makes none."""

    step: Step
    entry: Entry | None
    published: Value


def reused(
    work: Work,
    document: dict[str, Any],
    steps: Sequence[Step],
    placed: Mapping[str, Placed],
    kept: Callable[[str], Entry | None],
) -> Reused:
    """Leaves out the stages of which every step is kept and whose outputs can be named. Not all of them."""
    found = _kept(work, steps, placed, kept)
    planned: dict[str, list[Step]] = {}
    for step in steps:
        planned.setdefault(step.id.stage, []).append(step)
    whole = {
        stage.name
        for stage in work.workflow.stages
        if isinstance(stage.body, StepSpec)
        and planned.get(stage.name)
        and all(step.id in found for step in planned[stage.name])
    }
    left_out = _nameable(whole, work.workflow.stages, document)
    _demand_processes(work.workflow, left_out)
    if not left_out or len(left_out) == len(work.workflow.stages):
        return Reused(document=document)
    return _without(document, left_out, found)


def _demand_processes(workflow: Workflow, left_out: set[str]) -> None:
    for name, spec in workflow.step_specs():
        if not spec.starts_something and name not in left_out:
            raise SpecError(
                f"the stage {name!r} starts no process, and what it publishes is not known before the workflow runs: "
                "REANA's engine would try to start one",
                where=spec.where,
                hint="give it a process",
            )


def _kept(
    work: Work, steps: Sequence[Step], placed: Mapping[str, Placed], kept: Callable[[str], Entry | None]
) -> dict[StepId, _Kept]:
    """The steps that are kept, of those whose inputs are."""
    trees: dict[StepId, str] = {INIT: store.init_tree(work.initdir).sha256 if work.initdir else store.Tree(()).sha256}
    found: dict[StepId, _Kept] = {}
    for step in steps:
        if step.spec.init:
            continue
        if not step.spec.starts_something:
            if (said := publishers.prepublish(step)) is not None:
                trees[step.id] = store.Tree(()).sha256
                found[step.id] = _Kept(step, None, said)
            continue
        if not all(source in trees for source in step.sources()):
            continue
        try:
            entry = kept(key.of(key.parts(step, _image(step, work, placed), trees)))
            if entry is None:
                continue
            published = outcome.published(step, Files(entry.tree.names()), entry.place, entry.execution)
        except RecastError:
            continue
        trees[step.id] = entry.tree.sha256
        found[step.id] = _Kept(step, entry, published)
    return found


def _image(step: Step, work: Work, placed: Mapping[str, Placed]) -> Image | None:
    environment = step.spec.environment
    if not isinstance(environment, DockerEnvironment):
        return None
    known = placed.get(environment.reference)
    return known.image if known else work.pinned.get(environment.reference)


# --- what stands for an output ----------------------------------------------------------------------------------------


def _nameable(whole: set[str], stages: Sequence[Stage], document: Mapping[str, Any]) -> set[str]:
    """The stages of which every use, by those that stay, can be told in other words."""
    while True:
        stay = [each for stage, each in zip(stages, document["stages"], strict=True) if stage.name not in whole]
        named = {name for name in whole if all(_uses_plainly(name, each) for each in stay)}
        if named == whole:
            return named
        whole = named  # what stays now may use another one oddly


def _uses_plainly(name: str, stage: Mapping[str, Any]) -> bool:
    """Whether a stage's document speaks of another stage only in dependencies and in selectors of one output."""
    scheduler = stage["scheduler"]
    dependencies = stage.get("dependencies", [])
    listed = isinstance(dependencies, list)
    if any(name in word and not (listed and word == name) for word in strings(dependencies)):
        return False
    odd: list[Any] = [each for key_, each in stage.items() if key_ not in ("name", "dependencies", "scheduler")]
    odd += [scheduler] if scheduler.get("scheduler_type") == "jq-stage" else []
    if any(name in word for word in strings(odd)):
        return False
    return all(_is_plain(each, name) for each in _selectors(scheduler.get("parameters")) if _names(each, name))


def strings(value: Any) -> list[str]:
    """Every text in a document; the names of its entries are none."""
    if isinstance(value, str):
        return [value]
    nested = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [word for each in nested for word in strings(each)]


def _selectors(value: Any) -> list[Any]:
    """Every mapping below the parameters that selects outputs."""
    if not isinstance(value, Mapping):
        return [each for item in value for each in _selectors(item)] if isinstance(value, list) else []
    if {"step", "stages", "steps"} & set(value):
        return [value]
    return [each for item in value.values() for each in _selectors(item)]


def _names(value: Mapping[str, Any], name: str) -> bool:
    return any(name in str(value.get(word, "")) for word in ("step", "stages", "steps"))


def _is_plain(value: Mapping[str, Any], name: str) -> bool:
    words = {"step", "stages", "steps"} & set(value)
    return len(words) == 1 and set(value) <= {*words, "output"} and "output" in value and value[words.pop()] == name


def _without(document: dict[str, Any], left_out: set[str], found: Mapping[StepId, _Kept]) -> Reused:
    document = deepcopy(document)
    document["stages"] = [each for each in document["stages"] if each["name"] not in left_out]
    sent = _Sent(found)
    for each in document["stages"]:
        dependencies = each.get("dependencies", [])
        if isinstance(dependencies, list):
            renamed = [INIT.stage if word in left_out else word for word in dependencies]
            each["dependencies"] = list(dict.fromkeys(renamed))
        if "parameters" in each["scheduler"]:
            each["scheduler"]["parameters"] = sent.renamed(each["scheduler"]["parameters"], left_out)
    steps = tuple(step for step in found if step.stage in left_out)
    return Reused(
        document=document, parameters=sent.parameters, files=sent.files, steps=steps, stages=frozenset(left_out)
    )


@dataclass(slots=True)
class _Sent:
    """The init parameters that stand for outputs, as they are needed."""

    found: Mapping[StepId, _Kept]
    parameters: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def renamed(self, value: Any, left_out: set[str]) -> Any:
        """A part of the parameters whose selectors of stages that are left out select init parameters."""
        if isinstance(value, list):
            return [self.renamed(item, left_out) for item in value]
        if not isinstance(value, Mapping):
            return value
        name = (
            next((value[word] for word in ("step", "stages", "steps") if value.get(word) in left_out), None)
            if (all(isinstance(value.get(word, ""), str) for word in ("step", "stages", "steps")))
            else None
        )
        if name is None:
            return {key_: self.renamed(item, left_out) for key_, item in value.items()}
        return {"step": INIT.stage, "output": self._parameter(name, value["output"], single="step" in value)}

    def _parameter(self, stage: str, output: str, *, single: bool) -> str:
        name = f"{PLACE}_{stage}_{output}"
        steps = sorted(step for step in self.found if step.stage == stage)
        outputs = [self._value(step, output) for step in steps]
        self.parameters[name] = outputs[0] if single else outputs
        return name

    def _value(self, step: StepId, output: str) -> Any:
        kept = self.found[step]
        published = kept.published
        value = published.get(output) if isinstance(published, Mapping) else None
        if kept.entry is not None:
            place = kept.entry.place
            self.files |= {f"{_there(step)}/{file.path}": place / file.path for file in kept.entry.tree.files}
        return values.thaw(value, lambda path: path.render({d.step: _there(d.step) for d in path.dirs()}))


def _there(step: StepId) -> str:
    """Where the files of a step, or the init files, lie in the workspace."""
    return INPUTS if step == INIT else f"{PLACE}/{step}"
