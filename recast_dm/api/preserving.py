"""Preserving an analysis, and finding out whether what was preserved is still what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recast_dm import reinterpret, store
from recast_dm.api.opening import Preserved, load, resolved
from recast_dm.api.settings import Settings, cache_directory, config, link_latest
from recast_dm.capsule import Capsule, packing
from recast_dm.capsule import verify as verification
from recast_dm.capsule.capture import Contents, refuse_foreign
from recast_dm.capsule.capture import capture as write
from recast_dm.capsule.comparison.compare import Agreement
from recast_dm.capsule.inputs import LARGEST
from recast_dm.capsule.verify import Check
from recast_dm.errors import StorageError, UsageError
from recast_dm.images import engine, platforms, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.reinterpret import preserve as references
from recast_dm.reinterpret import verification as starting
from recast_dm.runtimes import Runtime
from recast_dm.spec import analysis as analyses
from recast_dm.spec.analysis import Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What `verify` found: each check with its problems, and (after a rerun) each output beside what it was."""

    capsule: Path
    checks: tuple[Check, ...]
    outputs: tuple[Agreement, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{check.name}: {problem}" for check in self.checks for problem in check.problems)


def capture(
    analysis: str | Path,
    output: str | Path,
    *,
    performed: bool = True,
    images: tuple[str, ...] = (),
    strict: bool = False,
    allowed: frozenset[str] = frozenset(),
    by_reference: int = LARGEST,
    settings: Settings | None = None,
) -> Preserved:
    """Preserves the analysis in a directory as a capsule (a directory, or one `.capsule.zip` or `.capsule.tar` file).

    `performed` runs it, for reference outputs; `images` say where images are (docker unless told otherwise), `allowed`
    names what only looks like a secret, `strict` refuses what git does not know; inputs of more than `by_reference`
    bytes are kept by hash and address. Raises UsageError for a secret, or when something else is at `output`.
    """
    settings, place = settings or Settings(), Path(output)
    found = analyses.load(directory_of(analysis))
    wanted = _Wanted(performed, images, strict, allowed, by_reference)
    if place.suffix not in packing.SUFFIXES:
        _capture(found, place, wanted, settings)
        return load(place)
    refuse_foreign(place, found)
    packing.refuse_foreign(place)
    with store.unfinished(place) as directory:
        capsule = _capture(found, directory / place.stem, wanted, settings)
        packing.pack(capsule.path, place)
    return load(place)


def directory_of(analysis: str | Path) -> Path:
    """The directory of the analysis that is meant: a path, its recast.yml, or a name of the catalogue."""
    place = Path(resolved(str(analysis)))
    if packing.is_capsule(place):
        raise UsageError(f"{place} is a capsule already", hint="name the directory of an analysis")
    if place.name == analyses.MANIFEST and place.is_file():
        return place.parent
    if not place.is_dir():
        what = "is not a directory" if place.exists() else "does not exist"
        raise UsageError(f"{place} {what}", hint=f"name a directory with a {analyses.MANIFEST}")
    return place


def verify(
    capsule: str | Path,
    *,
    depth: str = "default",
    digest: str | None = None,
    settings: Settings | None = None,
) -> Verified:
    """Whether a capsule is what was captured: its `bytes`; by default also whether its images start; with `rerun`
    also what it gives. `digest` (`sha256:…`) is the one that it must have.

    What is wrong is in the answer; only what makes an answer impossible is raised.
    """
    if depth not in ("bytes", "default", "rerun"):
        raise UsageError(f"there is no depth {depth!r}", hint="bytes, default or rerun")
    wanted = None if digest is None else verification.read_digest(digest)
    place = Path(resolved(str(capsule)))
    checks = [verification.check_bytes(place, cache_directory())]
    outputs: tuple[Agreement, ...] = ()
    if checks[0].ok:
        manifest = packing.read_manifest(place)
        checks += [verification.check_digest(manifest, wanted), *verification.check_structure(place, manifest)]
        if depth == "rerun" and not manifest["reference"]["made"]:
            raise UsageError(f"{place} was captured without a run: there is nothing to compare a rerun with")
    if all(check.ok for check in checks) and depth != "bytes":
        more, outputs = _started(load(place), settings or Settings(), rerun=depth == "rerun")
        checks += more
    return Verified(capsule=place, checks=tuple(checks), outputs=outputs)


# --- how --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    performed: bool
    images: tuple[str, ...]
    strict: bool
    allowed: frozenset[str]
    by_reference: int


def _capture(analysis: Analysis, output: Path, wanted: _Wanted, settings: Settings) -> Capsule:
    refuse_foreign(output, analysis)
    initdata = reinterpret.example_inputs(analysis)
    runtime = settings.runtime_for(analysis.workflow)
    directory = settings.directory()
    with shared_blobs() as shared:
        images = _images(analysis, wanted.images, runtime, shared, settings.told)
        perform = None
        if wanted.performed:
            backend = settings.backend(analysis.workflow)
            perform = references.reference_run(analysis, initdata, images, backend, directory, settings.observer)
        about = runtime.about() if runtime else None
        contents = Contents(
            analysis=analysis,
            example=initdata,
            images=images,
            shared=shared,
            runtime=f"{about.name} {about.version}" if about else "none",
            perform=perform,
            by_reference=wanted.by_reference,
            strict=wanted.strict,
            allowed=wanted.allowed,
        )
        try:
            return write(contents, output, settings.told)
        finally:
            link_latest(directory)


def _images(
    analysis: Analysis,
    asked: tuple[str, ...],
    runtime: Runtime | None,
    shared: Blobs,
    told: Callable[[str], None],
) -> tuple[Stored, ...]:
    references = analysis.workflow.images()
    if not references:
        return ()
    name = runtime.about().name if runtime else "docker"
    wanted = asked or (name if name in engine.ENGINES else "docker",)
    images = sources.collect(references, [sources.source(each) for each in wanted], shared)
    for each in images:
        if not platforms.fits(each.image.platform):
            told(f"{each.image.reference} is for {each.image.platform}, this machine is {platforms.here()}")
    return images


@contextmanager
def shared_blobs() -> Iterator[Blobs]:
    """The image layers that all capsules of this user share; of this capture alone where nothing can be kept."""
    place = config().cache_dir / "images"
    try:
        for needed in (place, place / "layers", place / "blobs" / "sha256"):
            with tempfile.TemporaryFile(dir=store.make_directory(needed)):
                pass  # another user may have made it
    except (StorageError, OSError):
        with tempfile.TemporaryDirectory(prefix="recast-dm-images-") as directory:
            yield Blobs(Path(directory))
    else:
        shared = Blobs(place)
        shared.tidy()
        with shared.in_use():
            yield shared


def _started(capsule: Preserved, settings: Settings, *, rerun: bool) -> tuple[list[Check], tuple[Agreement, ...]]:
    """What is found by starting something."""
    held = capsule.subject.capsule
    assert held is not None  # noqa: S101  # its bytes were checked
    checks = [verification.check_specification(held.path, held.manifest)]
    runtime = settings.runtime_for(held.analysis.workflow)
    if runtime is not None:
        checks.append(starting.check_images(held, runtime, settings.observer))
    if not rerun or not all(check.ok for check in checks):
        return checks, ()
    directory = settings.directory()
    backend = settings.backend(held.analysis.workflow)
    try:
        _, agreements = starting.rerun(capsule.subject, backend, directory, settings.observer)
    finally:
        link_latest(directory)
    lost = tuple(f"{each.path}: {each.detail or each.measure}" for each in agreements if not each.agrees)
    agreed = sum(each.agrees for each in agreements)
    return [*checks, Check("rerun", f"{agreed} of {len(agreements)} outputs agree", lost)], agreements
