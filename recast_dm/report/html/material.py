"""What a report is made of, gathered from a run directory, a scan document or a capsule."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recast_dm import schemas, store
from recast_dm.curves import Curve, verdict
from recast_dm.curves.verdict import Verdict
from recast_dm.engine import history
from recast_dm.engine.history import Run, StepHistory
from recast_dm.engine.rundir import RUN_SCHEMA, STEP_SCHEMA
from recast_dm.errors import IntegrityError, RecastError
from recast_dm.model import StepId
from recast_dm.reinterpret import subject
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.points import point_of
from recast_dm.reinterpret.result import RESULT, answer
from recast_dm.report import likelihood, originals
from recast_dm.report.likelihood import Likelihood
from recast_dm.report.originals import Original
from recast_dm.report.scan import Scan

if TYPE_CHECKING:
    from recast_dm.capsule import Capsule
    from recast_dm.capsule.catalogue.listing import Listed

FEW = 100
"""Steps of a run whose files are looked through."""
Known = Callable[[], "Iterable[Listed]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything there is to report of; what is not there is None or empty, and its sections are left out.

    `limit` is a `recast-dm/limit/1` document or the part of one that is about the point, `verdict` what curves of other
    experiments say of it. `records` are those of the finished steps. `curves` are limits for the planes of a scan;
    `relic` asks for the line of the observed density.
    """

    kind: Literal["run", "scan", "capsule"]
    source: str
    name: str
    title: str
    references: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    limit: Mapping[str, Any] | None = None
    scan: Scan | None = None
    run: Run | None = None
    records: Mapping[StepId, Mapping[str, Any]] = field(default_factory=dict)
    original: Original | None = None
    likelihood: Likelihood | None = None
    images: tuple[Mapping[str, Any], ...] = ()
    captured: Mapping[str, Any] | None = None
    verdict: Verdict | None = None
    curves: tuple[Curve, ...] = ()
    relic: bool = False


def of_run(run: Run, known: Known) -> Material:
    """What a run directory holds; its capsule, where it can be found, says what is original. Raises IntegrityError."""
    original = originals.find(run.about.get("capsule"), known)
    document = _result(run)
    if document is None and original is not None and original.analysis is not None:
        document = _answered(run, original)
    records = {step.id: record for step in run.steps if (record := run.record(step.id))}
    return Material(
        kind="run",
        source=str(run.directory),
        name=str(run.about.get("analysis") or run.directory.name),
        title=str((document or {}).get("title") or _title(original) or run.about.get("analysis") or run.directory.name),
        references=_references(document, original),
        model=run.about.get("model"),
        limit=document,
        run=run,
        records=records,
        original=original,
        likelihood=likelihood.of_run(run, original.statistics if original else None),
        images=_images(records.values()),
        verdict=_verdict(run),
    )


def of_scan(scan: Scan, place: Path, known: Known, curves: Iterable[Curve] = ()) -> Material:
    """What a scan document says, and what its run directory holds where that still exists.

    `curves` are the published limits that its planes show.
    """
    run = _run_of(scan, place)
    records = {step.id: record for step in run.steps if (record := run.record(step.id))} if run else {}
    return Material(
        kind="scan",
        source=str(place),
        name=str(scan.document["analysis"]),
        title=str(scan.document["title"]),
        references=scan.document["references"],
        model=scan.model,
        scan=scan,
        run=run,
        records=records,
        original=originals.find(scan.document["capsule"], known),
        images=tuple(scan.document["images"]),
        curves=tuple(curves),
    )


def of_capsule(capsule: Capsule) -> Material:
    """What a capsule holds: the run that it was captured with, its likelihood, and its reference results."""
    analysis = capsule.analysis
    records = _captured_records(capsule.path / "data" / "run" / "records")
    return Material(
        kind="capsule",
        source=str(capsule.path),
        name=analysis.name,
        title=analysis.title,
        references=analysis.references,
        model=analysis.example.model,
        limit=_reference(capsule),
        run=_captured_run(capsule, records),
        records=records,
        original=Original(path=capsule.path, manifest=capsule.manifest, analysis=analysis),
        likelihood=likelihood.of_directory(capsule.path / "data" / "likelihood", analysis.statistics),
        images=tuple(capsule.manifest["images"]),
        captured=_captured(capsule.path / "captured.json"),
    )


def digest(material: Material) -> str | None:
    """The digest of the capsule that everything was made of; None for what was made of an analysis directory."""
    if material.original is not None:
        return material.original.digest
    if material.scan is not None:
        return material.scan.document["capsule"]  # type: ignore[no-any-return]  # checked by its schema
    return material.run.about.get("capsule") if material.run else None


# --- a run -----------------------------------------------------------------------------------------------------------


def _result(run: Run) -> dict[str, Any] | None:
    """The document that a run left of its limit, checked; None where it made none."""
    file = run.directory / RESULT
    if not file.is_file():
        return None
    document = store.read_document(file)
    if not isinstance(document, dict) or document.get("schema") != "recast-dm/limit/1":
        return None
    if found := schemas.problem("limit-1", document):
        raise IntegrityError(f"{file} is not a limit document: {found[1]}")
    return document


def _answered(run: Run, original: Original) -> dict[str, Any] | None:
    """The limit of a run that left no document: read from its limit stage, as its capsule says."""
    analysis = original.analysis
    if analysis is None or run.state != "finished":
        return None
    with contextlib.suppress(RecastError):
        model = run.about.get("model")
        point = point_of(model, run.about.get("parameters") or {})[0] if model else None
        found = answer(subject.of_analysis(analysis, {}), point, Outputs(run.directory))
        if found is not None:
            order = point.order if point else None
            return {"analysis": analysis.name, "model": model, "order": order, **found.document()}
    return None


def _verdict(run: Run) -> Verdict | None:
    """What curves say of the run's point, where its analysis is such a comparison. Raises StatisticsError."""
    found = likelihood.files_with(run, verdict.SCHEMA.encode()) if len(run.steps) <= FEW else []
    return verdict.read(found[0]) if len(found) == 1 else None


def _title(original: Original | None) -> str | None:
    return str(original.manifest["title"]) if original else None


def _references(document: Mapping[str, Any] | None, original: Original | None) -> Mapping[str, str]:
    if document and document.get("references"):
        return dict(document["references"])
    return original.analysis.references if original and original.analysis else {}


def _images(records: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    found = (record["execution"].get("image") for record in records)
    return tuple({image["image_id"]: image for image in found if image}.values())


# --- a scan ----------------------------------------------------------------------------------------------------------


def _run_of(scan: Scan, place: Path) -> Run | None:
    """The run of a scan: the directory that its document lies in, or the one that it names."""
    named = scan.document["run_dir"]
    beside = place if place.is_dir() else place.parent
    for directory in (beside, Path(named) if named else beside):
        if history.is_run(directory):
            return history.read(directory)
    return None


# --- a capsule -------------------------------------------------------------------------------------------------------


def _captured(file: Path) -> dict[str, Any] | None:
    document = store.read_document(file) if file.is_file() else None
    return document if isinstance(document, dict) else None


def _captured_records(place: Path) -> dict[StepId, dict[str, Any]]:
    found = {}
    for file in sorted(place.rglob("*.json")):
        record = store.read_json(file, STEP_SCHEMA)
        found[StepId.parse(record["step"])] = record
    return found


def _captured_run(capsule: Capsule, records: Mapping[StepId, Mapping[str, Any]]) -> Run | None:
    """The run that a capsule keeps, as if it were read from its directory."""
    directory = capsule.path / "data" / "run"
    if not records or not (directory / "run.json").is_file():
        return None
    steps = tuple(sorted((_step(directory, step, record) for step, record in records.items()), key=_begin))
    return Run(
        directory=directory,
        about=store.read_json(directory / "run.json", RUN_SCHEMA),
        state="finished",
        locked=False,
        complete=True,
        began=min((step.began for step in steps if step.began is not None), default=None),
        ended=max((step.ended for step in steps if step.ended is not None), default=None),
        message="",
        at=0.0,
        steps=steps,
        warnings=(),
    )


def _begin(step: StepHistory) -> tuple[float, StepId]:
    return step.began or 0.0, step.id


def _step(directory: Path, step: StepId, record: Mapping[str, Any]) -> StepHistory:
    execution = record["execution"]
    began = datetime.fromisoformat(execution["started"]).timestamp()
    log = directory / "logs" / f"{str(step).replace('/', '.')}.txt"
    image = execution.get("image")
    return StepHistory(
        id=step,
        state="finished",
        how="cached" if record["reused"] else "ran",
        depends_on=tuple(StepId.parse(name) for name in record["depends_on"] if not name.startswith("init/")),
        where=image["reference"] if image else None,
        began=began,
        ended=began + execution["seconds"],
        seconds=execution["seconds"],
        log=log if log.is_file() else None,
    )


def _reference(capsule: Capsule) -> dict[str, Any] | None:
    """The limit that the capsule was captured with."""
    example = capsule.analysis.example
    with contextlib.suppress(RecastError):
        point = point_of(example.model, example.parameters or {})[0] if example.model else None
        found = answer(subject.of_capsule(capsule), point, Outputs(capsule.path / "data" / "reference"))
        if found is not None:
            order = point.order if point else None
            return {"analysis": capsule.analysis.name, "model": example.model, "order": order, **found.document()}
    return None
