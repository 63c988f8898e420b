"""Our work in REANA's words: what its engine runs gives what ours would give, or is refused before anything is sent.

REANA's yadage engine puts values into commands as text, and does not look at an environment's variables, script, start
directory and mounts. `commands` writes these into the command, `environments` names images by their digests and gives
limits as REANA reads them, `reused` leaves out stages whose files can be sent along.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recast_dm import store
from recast_dm.backends import Work
from recast_dm.backends.reana.translate.reused import INPUTS as INPUTS  # for others, too
from recast_dm.backends.reana.translate.reused import reused, strings
from recast_dm.backends.reana.translate.stages import Stages
from recast_dm.engine import expand, values
from recast_dm.engine.cache import Entry
from recast_dm.engine.publishers import publish_init
from recast_dm.errors import SpecError
from recast_dm.images.placed import Placed
from recast_dm.model import INIT, Step, StepId, paths_in

VERSION = "0.9.0"
"""The oldest REANA that can run what is made here."""
WORKFLOW = "workflow/workflow.yml"
MANIFEST = "reana.yaml"
NOTE = "recast-dm/note.json"
"""Beside the workflow lies what it was made of (`note`)."""
RESERVED = (INPUTS, "workflow", "recast-dm", "reused", "_yadage", MANIFEST)
"""Names in a workspace that no stage may have: REANA puts a stage's files into a directory of its name."""
OPEN = "REANA's containers have a network, and may write into each other's directories"
Kept = Callable[[str], Entry | None]
"""What is kept under a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A workflow for REANA.

    `specification` is reana.yaml as it is sent (`workflow.specification` is None, as the official client has it: the
    engine reads the file of the workspace); `files` are those of the workspace; `parameters` what the run starts with;
    `notes` what is otherwise there, for the user; `reused` the steps whose files are sent along; `images` the names of
    the workflow with the references there.
    """

    specification: Mapping[str, Any]
    files: Mapping[str, Path | bytes]
    parameters: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    reused: tuple[StepId, ...] = ()
    images: Mapping[str, str] | None = None

    @property
    def digest(self) -> str:
        """Of everything that is sent."""
        sent = {path: _sha256(each) for path, each in self.files.items()}
        return store.digest({"specification": self.specification, "files": sent})


def translate(
    work: Work, *, images: Mapping[str, Placed], results: Mapping[str, str], kept: Kept = lambda _: None
) -> Translated:
    """Translates work whose images a registry holds. Raises SpecError for what REANA cannot run as we do."""
    files = _init_files(work)
    names = frozenset(path.removeprefix(f"{INPUTS}/") for path in files)
    _demand_names(work)
    steps, waiting = expand.plan(work.workflow, work.initdata, names if work.initdir else None, work.relaxations)
    stages = Stages(work, images, _by_stage(steps))
    document = stages.rewritten()
    along = reused(work, document, steps, images, kept)
    init = publish_init(work.initdata, names if work.initdir else None)
    parameters = {**values.thaw(init, lambda path: path.render({INIT: INPUTS})), **along.parameters}
    _demand_unlike_files(work.initdata, init, [*files, *along.files])
    outputs = [path for path in results.values() if not _of_stage(path, along.stages)]
    workflow_file = yaml.safe_dump(along.document, sort_keys=False, width=120).encode()
    everything: dict[str, Path | bytes] = {**files, **along.files, WORKFLOW: workflow_file}
    workflow = {"type": "yadage", "file": WORKFLOW}
    specification = {
        "version": VERSION,
        "inputs": {"files": sorted([*everything, NOTE]), "parameters": parameters},
        "workflow": workflow,
        "outputs": {"files": outputs} if outputs else {"directories": [each.name for each in work.workflow.stages]},
    }
    everything[MANIFEST] = yaml.safe_dump(specification, sort_keys=False, width=120).encode()
    made = ", ".join(waiting)
    unknown = (f"what {made} takes is made while the workflow runs, and cannot be checked before",) if made else ()
    return Translated(
        specification={**specification, "workflow": {**workflow, "specification": None}},
        files=everything,
        parameters=parameters,
        notes=(*dict.fromkeys(stages.notes), *unknown, OPEN),
        reused=along.steps,
        images={name: placed.reference for name, placed in images.items()},
    )


def _by_stage(steps: Sequence[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in expand.steps_of(steps):
        found.setdefault(step.id.names, []).append(step)
    return found


def _of_stage(path: str, stages: Collection[str]) -> bool:
    """Whether a result is a file of one of these stages: `make/out.txt`, or `make_3/out.txt` of a scattered one."""
    head = path.partition("/")[0]
    return head in stages or re.sub(r"_\d+$", "", head) in stages


def _init_files(work: Work) -> dict[str, Path | bytes]:
    if work.initdir is None:
        return {}
    return {f"{INPUTS}/{name}": work.initdir / name for name in sorted(store.init_names(work.initdir))}


def _demand_names(work: Work) -> None:
    for stage in work.workflow.stages:
        if stage.name in RESERVED:
            raise SpecError(
                f"a stage {stage.name!r} would get the directory of the same name at REANA, which has another use",
                where=stage.where,
                hint="rename the stage",
            )


def _demand_unlike_files(initdata: Mapping[str, Any], init: Mapping[str, Any], files: Sequence[str]) -> None:
    """REANA takes any init parameter that is the name of a file in the workspace for that file."""
    places = {MANIFEST, WORKFLOW, *files}
    places |= {str(parent) for each in list(places) for parent in Path(each).parents} - {"."}
    for name, value in initdata.items():
        if any(True for _ in paths_in(init[name])):
            continue
        odd = next((text for text in strings(value) if text.strip("/") in places), None)
        if odd is not None:
            raise SpecError(
                f"the init parameter {name!r} holds {odd!r}, which at REANA is the name of a file that is sent along",
                hint="there it would become that file's path; choose another value",
            )


def _sha256(content: Path | bytes) -> str:
    return store.sha256_file(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
