"""The two crates there are: of a capsule's `data/`, and of an exported run."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.capsule import citation
from recast_dm.capsule.crate import about, run, workflow
from recast_dm.capsule.crate.entities import METADATA, RUN_CRATES, WORKFLOW_CRATE, Crate, ref, refs
from recast_dm.capsule.crate.recorded import Performed, moment
from recast_dm.capsule.crate.run import Execution, Place
from recast_dm.engine import history
from recast_dm.engine.rundir import RUN_SCHEMA, STEP_SCHEMA
from recast_dm.errors import LockedError, UsageError
from recast_dm.model import INIT, Image, StepId
from recast_dm.spec.analysis import Analysis

ANALYSIS, IMAGES, SOURCE, SBOM = "analysis", "images", "source", "sbom"
LIKELIHOOD, REFERENCE = "likelihood", "reference"
RUN, RECORDS, LOGS, OUTPUTS = "run/run.json", "run/records", "run/logs", "outputs"


# --- a capsule --------------------------------------------------------------------------------------------------------


def of_capsule(
    root: Path,
    analysis: Analysis,
    images: Sequence[Image],
    *,
    captured: str,
    initdata: Mapping[str, Any],
    tree: store.Tree | None = None,
    identifiers: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """The metadata of a capsule's `data/` directory, which holds everything else already.

    `captured` is an ISO 8601 time, `initdata` the init parameters of the captured point. `tree` are the files below
    `root` where they have been hashed already; without it they are listed, and only sizes are known. `identifiers` are
    other names of files, by their paths: the SWHIDs and the commit of a git bundle.
    """
    files = {file.path: file for file in (tree or _listed(root)).files if file.path != METADATA}
    crate = Crate()
    terms = about.licence(crate, citation.licence(analysis))
    steps = list(_recorded(root, files))
    main = workflow.describe(
        crate,
        analysis.workflow,
        name=analysis.title,
        version=analysis.version,
        size=files[workflow.FILE].size if workflow.FILE in files else None,
        performed={step.step.names for step in steps} if steps else None,
        images=[image.document() for image in images],
        licence=terms,
    )
    mentions = []
    if steps:
        found = store.read_json(root / RUN, RUN_SCHEMA)
        place = _in_capsule(analysis, steps, frozenset(files))
        mentions = run.describe(crate, Execution(about=found, steps=steps, initdata=initdata, place=place))
        workflow.connect(crate, analysis.workflow)
    _files(crate, files, images, identifiers or {})
    return crate.document(
        (*RUN_CRATES, WORKFLOW_CRATE) if steps else (WORKFLOW_CRATE,),
        name=analysis.title,
        description=f"The analysis {analysis.name}, preserved by recast-dm to be run again.",
        datePublished=captured,
        version=analysis.version,
        license=terms,
        author=about.authors(crate, analysis.authors),
        citation=about.references(crate, analysis),
        mainEntity=ref(main),
        mentions=mentions,
    )


def _listed(root: Path) -> store.Tree:
    """The files below a directory by their sizes alone."""
    return store.Tree(tuple(store.File(path, place.stat().st_size, "") for path, place in store.walk(root)))


def _recorded(root: Path, files: Mapping[str, store.File]) -> Iterator[Performed]:
    """The steps of a capsule's reference run, in the order of their names."""
    for step in sorted(StepId.parse(_step_name(path)) for path in files if path.startswith(f"{RECORDS}/")):
        record = record_path(step)
        papers = tuple(path for path in (record, log_path(step)) if path in files)
        yield Performed(step=step, record=store.read_json(root / record, STEP_SCHEMA), papers=papers)


def _step_name(path: str) -> str:
    return path.removeprefix(f"{RECORDS}/").removesuffix(".json")


def record_path(step: StepId) -> str:
    """Where a step's record lies in a crate."""
    return f"{RECORDS}/{step}.json"


def log_path(step: StepId) -> str:
    """Where a step's log lies in a crate."""
    return f"{LOGS}/{str(step).replace('/', '.')}.txt"


def _in_capsule(analysis: Analysis, steps: Sequence[Performed], files: frozenset[str]) -> Place:
    """Where a capsule keeps files of its reference run: reference outputs, likelihood and patch, init files."""
    places: dict[str, str] = {}
    for step, output, path in _published(analysis):
        record = next((s.record for s in steps if s.step == step), None)
        published = record["published"] if record else None
        if path in files and isinstance(published, Mapping) and isinstance(published.get(output), str):
            places[published[output]] = path
    for performed in steps:
        for file in performed.record["outputs"] if performed.record else ():
            names = (f"{REFERENCE}/{spelled}/{file['path']}" for spelled in _spellings(performed.step))
            if kept := next((name for name in names if name in files), None):
                places[f"{performed.step}/{file['path']}"] = kept
    initdir = analysis.initdir.relative_to(analysis.directory).as_posix() if analysis.initdir else None

    def place(path: str) -> str | None:
        if initdir is not None and path.startswith(f"{INIT}/"):
            kept = f"{ANALYSIS}/{initdir}/{path.removeprefix(f'{INIT}/')}"
            return kept if kept in files else None
        return places.get(path)

    return place


def _published(analysis: Analysis) -> Iterator[tuple[StepId, str, str]]:
    if analysis.statistics is not None:
        for output, name in ((analysis.statistics.likelihood, "workspace"), (analysis.statistics.patch, "patch")):
            yield StepId(output.stage), output.output, f"{LIKELIHOOD}/{name}.json"


def _spellings(step: StepId) -> Iterator[str]:
    """The ways in which recast.yml may write a step's directory, as yadage does or as it is here.

    >>> list(_spellings(StepId("fit"))), list(_spellings(StepId("fit", 2)))
    (['fit/0', 'fit_0', 'fit'], ['fit/2', 'fit_2'])
    """
    pairs = re.findall(r"([^/]+)/(\d+)", str(step))
    ways = [[f"{name}/{n}", f"{name}_{n}", *([name] if n == "0" else [])] for name, n in pairs]
    return ("/".join(way) for way in itertools.product(*ways))


def _files(
    crate: Crate,
    files: Mapping[str, store.File],
    images: Sequence[Image],
    identifiers: Mapping[str, Sequence[str]],
) -> None:
    """Every file that nothing else has described. The images' layout is one thing: the bag has each of its blobs."""
    if any(path.startswith(f"{IMAGES}/") for path in files):
        held = refs(about.image(crate, image.document()) for image in images)
        crate.add_directory(IMAGES, name="container images", description="one OCI image layout", about=held)
    sboms = {_plain(image.reference): about.image(crate, image.document()) for image in images}
    for path, file in files.items():
        if path.startswith(f"{IMAGES}/"):
            continue
        more: dict[str, Any] = {"identifier": list(identifiers.get(path, ()))}
        if path.startswith(f"{SOURCE}/"):
            more |= {"kind": ["File", "SoftwareSourceCode"], "description": "the git history of the analysis"}
        if path.startswith(f"{SBOM}/") and (image := sboms.get(_plain(Path(path).name.removesuffix(".cdx.json")))):
            more["about"] = ref(image)
        crate.add_file(path, size=file.size, sha256=file.sha256, **more)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)


# --- a run ------------------------------------------------------------------------------------------------------------


def of_run(directory: Path) -> bytes:
    """The metadata of a run that is exported: paths are those that the files get in the crate, not in the directory.

    Outputs lie below `outputs/<stage>/<index>/`, the rest as in a capsule: `workflow.yml`, `run/run.json`,
    `run/records/…`, `run/logs/…`. Raises UsageError for a run of which nothing can be said.
    """
    found = history.read(directory)
    plan = history.workflow(directory)
    if found.locked:
        raise LockedError(f"a runner works in {directory}", hint="wait until it has finished")
    if plan is None:
        raise UsageError(
            f"{directory} does not hold its workflow: an earlier version made it",
            hint="run it again with --workdir: finished steps are kept, and the workflow is written down",
        )
    known = {names for names, _ in plan.step_specs()}
    steps = [step for step in _performed(found) if step.step.names in known]  # not what an earlier workflow left
    if not steps:
        raise UsageError(f"{directory} holds no step that was started", hint="`recast-dm status` says what happened")
    crate = Crate()
    images = [step.record["execution"].get("image") for step in steps if step.record is not None]
    name = " ".join(str(found.about[key]) for key in ("analysis", "model") if found.about.get(key)) or directory.name
    performed = {step.step.names for step in steps}
    main = workflow.describe(
        crate, plan, name=name, version=None, size=None, performed=performed, images=filter(None, images)
    )
    execution = Execution(
        about=found.about,
        steps=steps,
        initdata=found.about.get("initdata", {}),
        place=lambda path: None if path.startswith(f"{INIT}/") else f"{OUTPUTS}/{path}",
        error=found.message,
        failed=found.state != "finished",
    )
    mentions = run.describe(crate, execution)
    workflow.connect(crate, plan)
    crate.add_file(RUN, size=None, description="what this run is of")
    return crate.document(
        (*RUN_CRATES, WORKFLOW_CRATE),
        name=f"a run of {name}",
        description=f"The run {found.about.get('id', '')} of {name}, made by recast-dm: outputs, records and logs.",
        datePublished=moment(found.ended if found.ended is not None else found.at),
        license=about.licence(crate, None),
        mainEntity=ref(main),
        mentions=mentions,
    )


def _performed(found: history.Run) -> Iterator[Performed]:
    """The steps of a run that have finished or failed, in its order."""
    for step in found.steps:
        record = found.record(step.id) if step.state == "finished" else None
        if record is None and step.state != "failed":
            continue
        papers = [record_path(step.id)] if record else []
        papers += [log_path(step.id)] if step.log else []
        error = step.message or step.reason
        yield Performed(
            step=step.id, record=record, error=error, began=step.began, ended=step.ended, papers=tuple(papers)
        )
