"""Capture: an analysis directory becomes a capsule, whole or not at all."""

from __future__ import annotations

import contextlib
import getpass
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from recast_dm import __version__, store
from recast_dm.capsule import bag, citation, crate, gates, inputs, instructions, layout, packing, source, target
from recast_dm.capsule.gates.files import is_left_out
from recast_dm.capsule.opening import Capsule, open_capsule
from recast_dm.errors import IntegrityError, RecastError, UsageError
from recast_dm.images import layout as image_layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.spec.analysis import Analysis, rules_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The run that an analysis was captured with: its directory, and what of it the capsule keeps.

    `outputs` are the files that the rules compare, by their paths in the run directory; `likelihood` what the run
    published as `workspace` and `patch`; `records` those of its steps, in an order in which they can be run.
    """

    directory: Path
    records: tuple[Mapping[str, Any], ...]
    outputs: tuple[str, ...]
    likelihood: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a capsule. `example` are the complete init parameters of the captured point.

    `perform` makes the reference run, with the images in the OCI layout that it is given. `allowed` are the names of
    what looks like a secret and is none.
    """

    analysis: Analysis
    example: Mapping[str, Any]
    images: tuple[Stored, ...]
    shared: Blobs
    runtime: str
    perform: Callable[[Path], Reference] | None = None
    by_reference: int = inputs.LARGEST
    strict: bool = False
    allowed: frozenset[str] = frozenset()


def capture(
    contents: Contents,
    place: Path,
    note: Callable[[str], None] = lambda _: None,
    told: Callable[[str, int], None] = lambda _what, _count: None,
) -> Capsule:
    """Writes the capsule of an analysis to `place`, replacing the capsule that is there.

    `note` is told what the user should know; `told`, what goes on and by how many bytes more. Raises UsageError when
    something else is at `place`, when a secret would go in, or when `strict` and the analysis holds what git does not
    know.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds")
    analysis = contents.analysis
    refuse_foreign(place, analysis)
    files = _files(analysis)
    hashing = partial(told, "hashing")
    referenced = inputs.referenced(analysis.inputs, files, contents.by_reference, hashing)
    found = _source_of(analysis.directory)
    _demand_committed(found, contents.strict, note)
    with target.new(place) as temporary, _history(found) as history:
        store.make_directory(temporary / "data")
        left_out = {each.path for each in referenced}
        for relative, path in files:
            if relative not in left_out:
                _keep(path, temporary / layout.ANALYSIS / relative)
                told("copying", path.stat().st_size)
        _write_workflow(analysis, temporary)
        image_layout.write(temporary / layout.IMAGES, contents.images, contents.shared)
        inspection = _inspected(contents, temporary, history, note)
        _write_bills(inspection, temporary)
        bundle = _write_bundle(history, temporary, analysis.name)
        reference = contents.perform(temporary / layout.IMAGES) if contents.perform else None
        if reference:
            _write_reference(reference, temporary)
        for name, data in citation.documents(analysis).items():
            (temporary / "data" / name).write_bytes(data)
        payload = _read_payload(temporary, hashing)
        payload = [*payload, _write_crate(contents, payload, temporary, time, found, bundle)]
        manifest = _manifest(contents, reference, payload, referenced, _source(found, history, bundle))
        store.write_atomic(temporary / layout.MANIFEST, store.pretty(manifest))
        store.write_atomic(temporary / layout.CAPTURED, store.pretty(_captured(contents, inspection, time)))
        records = reference.records if reference else ()
        rerun = instructions.text(manifest, contents.images, records, referenced)
        store.write_atomic(temporary / layout.RERUN, rerun.encode())
        bag.close(temporary, payload, _bag_info(manifest))
        store.seal(temporary)
        target.put(temporary, place)
    return open_capsule(place, progress=partial(told, "checking"))


# --- the pieces ------------------------------------------------------------------------------------------------------


def _source_of(directory: Path) -> source.Source | None:
    """Where an analysis comes from; what is not captured, such as runs, need not be committed."""
    found = source.source_of(directory)
    if found is None:
        return None
    top, here = found.top.resolve(), directory.resolve()

    def is_captured(name: str) -> bool:
        path = top / name
        return not any(is_left_out(each) for each in (path, *path.parents) if each.is_relative_to(here))

    return replace(found, dirty=tuple(filter(is_captured, found.dirty)))


def _demand_committed(found: source.Source | None, strict: bool, note: Callable[[str], None]) -> None:
    if found is None:
        if strict:
            raise UsageError("the analysis is not in a git repository", hint="commit it, or leave out --strict")
        return
    if found.dirty:
        what = (
            f"{found.dirty[0]} and {len(found.dirty) - 1} more are" if len(found.dirty) > 1 else f"{found.dirty[0]} is"
        )
        if strict:
            raise UsageError(f"{what} not committed", hint="commit what belongs to the analysis, or leave out --strict")
        note(f"warning: {what} not committed: the capsule holds the files as they are, its git bundle does not")
    if found.shallow:
        note("warning: the git repository is shallow: the capsule holds the analysis, but not its history")


def _files(analysis: Analysis) -> tuple[tuple[str, Path], ...]:
    """The files of an analysis that are captured. Raises UsageError for what cannot be."""
    try:
        found = tuple(store.walk(analysis.directory, is_left_out))
    except IntegrityError as error:
        raise UsageError(f"the analysis cannot be captured: {error.message}", hint=error.hint) from None
    _demand_names((relative for relative, _ in found), "give the file another name")
    return found


def _demand_names(paths: Iterable[str], hint: str) -> None:
    """Raises UsageError for a file that sha512sum, or another program for bags, would not find."""
    for path in paths:
        if problem := bag.name_problem(path):
            raise UsageError(f"{path!r} {problem}: other programs could not check the capsule", hint=hint)


def _write_workflow(analysis: Analysis, root: Path) -> None:
    flattened = yaml.safe_dump(dict(analysis.workflow.source), sort_keys=False, allow_unicode=True)
    (root / layout.WORKFLOW).write_text(flattened, encoding="utf-8")


def _history(found: source.Source | None) -> contextlib.AbstractContextManager[source.History | None]:
    """The history to keep: none where git has only a part of it, or has never heard of the analysis."""
    kept = found is not None and not found.shallow and found.directory is not None
    return source.history(found) if found and kept else contextlib.nullcontext()


def _source(found: source.Source | None, history: source.History | None, bundle: str | None) -> dict[str, Any] | None:
    return found.document(bundle, history.commit if history else None) if found else None


def _write_bundle(history: source.History | None, root: Path, name: str) -> str | None:
    """The git history. Gives the path of the bundle in the capsule."""
    if history is None:
        return None
    place = f"{layout.SOURCE}/{name.replace('/', '-')}.bundle"
    store.make_directory((root / place).parent)
    history.bundle(root / place)
    return place


def _inspected(
    contents: Contents, root: Path, history: source.History | None, note: Callable[[str], None]
) -> gates.Inspection:
    """A look at everything that goes in, before anything is run. Raises UsageError when there is a secret."""
    inspection = gates.inspect(
        contents.analysis.directory,
        contents.analysis.workflow,
        contents.images,
        image_layout.Layout(root / layout.IMAGES).open_layer,
        history=history.texts() if history else (),
        allowed=contents.allowed,
    )
    inspection.refuse_secrets()
    for each in inspection.findings:
        if each.severity != "note":
            note(f"{each.severity}: {each.where}: {each.message}")
    return inspection


def _write_bills(inspection: gates.Inspection, root: Path) -> None:
    for reference, bill in inspection.sboms.items():
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", reference)
        store.write_atomic(root / layout.SBOM / f"{name}.cdx.json", bill)


def _write_crate(
    contents: Contents,
    payload: Sequence[bag.Entry],
    root: Path,
    time: str,
    found: source.Source | None,
    bundle: str | None,
) -> bag.Entry:
    """The RO-Crate of everything else. Gives it hashed."""
    files = (replace(entry.file(), path=entry.path.removeprefix(bag.PAYLOAD)) for entry in payload)
    data = crate.of_capsule(
        root / "data",
        contents.analysis,
        [each.image for each in contents.images],
        captured=time,
        initdata=contents.example,
        tree=store.Tree(tuple(files)),
        identifiers={bundle.removeprefix(bag.PAYLOAD): found.identifiers} if found and bundle else {},
    )
    (root / layout.CRATE).write_bytes(data)
    return bag.read([bag.member(root, layout.CRATE)])[0]


def _write_reference(reference: Reference, root: Path) -> None:
    """The run: what it gave, what it is compared by, and how it went."""
    _demand_names(reference.outputs, "let the step give it another name, or leave it out of `reference` in recast.yml")
    for output in reference.outputs:
        _keep(reference.directory / output, root / layout.REFERENCE / output)
    for name, file in reference.likelihood.items():
        _keep(file, root / layout.LIKELIHOOD / f"{name}.json")
    _keep(reference.directory / "run.json", root / layout.RUN / "run.json")
    for relative, path in store.walk(reference.directory / ".records"):
        _keep(path, root / layout.RUN / "records" / relative)
    for log in sorted(reference.directory.glob(".attempts/*/log"), key=_attempt):  # of many attempts, the last stays
        _keep(log, root / layout.RUN / "logs" / f"{log.parent.name.rpartition('.')[0]}.txt")


def _attempt(log: Path) -> int:
    number = log.parent.name.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


def _keep(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def _read_payload(root: Path, progress: bag.Progress) -> list[bag.Entry]:
    return bag.read((member for member in bag.members(root) if member.path.startswith(bag.PAYLOAD)), progress)


def _manifest(
    contents: Contents,
    reference: Reference | None,
    payload: Sequence[bag.Entry],
    referenced: Sequence[inputs.Referenced],
    came_from: Mapping[str, Any] | None,
) -> dict[str, Any]:
    analysis = contents.analysis
    statistics, initdir = analysis.statistics, analysis.initdir
    kept = sorted(f"{layout.LIKELIHOOD}/{name}.json" for name in reference.likelihood) if reference else []
    manifest: dict[str, Any] = {
        "schema": layout.SCHEMA,
        "name": analysis.name,
        "title": analysis.title,
        "digest": "",
        "workflow": layout.WORKFLOW,
        "analysis": layout.ANALYSIS,
        "initdir": str(Path(layout.ANALYSIS) / initdir.relative_to(analysis.directory)) if initdir else None,
        "example": {
            "initdata": dict(contents.example),
            "model": analysis.example.model,
            "parameters": dict(analysis.example.parameters) if analysis.example.parameters is not None else None,
        },
        "likelihood": {"stage": statistics.likelihood.stage, "output": statistics.likelihood.output, "files": kept}
        if statistics
        else None,
        "reference": {
            "made": reference is not None,
            "rules": [rule.document() for rule in rules_of(analysis)],
            "outputs": [f"{layout.REFERENCE}/{path}" for path in reference.outputs] if reference else [],
        },
        "inputs": [each.document() for each in referenced],
        "source": came_from,
        "images": [_image(each) for each in contents.images],
        "files": [
            {**entry.file().document(), "sha512": entry.sha512} for entry in payload if layout.is_covered(entry.path)
        ],
    }
    return {**manifest, "digest": layout.digest(manifest)}


def _image(each: Stored) -> dict[str, Any]:
    return {**each.image.document(), "layers": [layer.document() for layer in each.layers]}


def _captured(contents: Contents, inspection: gates.Inspection, time: str) -> dict[str, Any]:
    return {
        "schema": layout.CAPTURED_SCHEMA,
        "time": time,
        "host": platform.node(),
        "user": _user(),
        "platform": platform.platform(),
        "recast_dm": __version__,
        "runtime": contents.runtime,
        "allowed_secrets": sorted(contents.allowed),
        "findings": [finding.document() for finding in inspection.findings],
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a uid without a name
        return "unknown"


def _bag_info(manifest: Mapping[str, Any]) -> dict[str, str]:
    title = " ".join(str(manifest["title"]).split())
    return {
        "Bagging-Date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Bag-Software-Agent": f"recast-dm {__version__}",
        "External-Identifier": f"sha256:{manifest['digest']}",
        "External-Description": title,
    }


def refuse_foreign(place: Path, analysis: Analysis) -> None:
    """Only an earlier capsule of the analysis, or an empty place, is overwritten; and a capsule cannot hold itself.

    Raises UsageError.
    """
    if place.resolve().is_relative_to(analysis.directory.resolve()):
        raise UsageError(f"{place} lies in the analysis that it preserves", hint="choose another place with -o")
    target.refuse_foreign(place)
    name = _name_at(place)
    if name not in (None, analysis.name):
        raise UsageError(f"{place} is the capsule of another analysis, {name}", hint="choose another name with -o")


def _name_at(place: Path) -> str | None:
    """The name of the capsule that is there, when there is one that can be read."""
    try:
        return str(packing.read_manifest(place)["name"])
    except RecastError:
        return None
