"""What `capture` puts together: an analysis, its images, a run, and where everything goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recast_dm import reinterpret, store
from recast_dm.capsule import Capsule, packing
from recast_dm.capsule.capture import Contents, capture, refuse_foreign
from recast_dm.cli import chosen, execution, options, view
from recast_dm.cli.progress import Shown
from recast_dm.errors import StorageError, UsageError
from recast_dm.images import engine, platforms, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.model import Workflow
from recast_dm.reinterpret import preserve as references
from recast_dm.runtimes import Runtime
from recast_dm.spec import analysis as analyses
from recast_dm.spec.analysis import Analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user wants of a capture."""

    images: tuple[str, ...] = ()
    performed: bool = True
    strict: bool = False
    by_reference: int = 0
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Preserved:
    """A capsule that was written: where, and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def size(self) -> int:
        """In bytes."""
        files = [self.path] if self.path.is_file() else [file for _, file in store.walk(self.path)]
        return sum(file.stat().st_size for file in files)


def directory_of(word: str) -> Path:
    """The directory of the analysis that a word means: a path, its recast.yml, or a name of the catalogue."""
    place = Path(chosen.subject(word))
    if packing.is_capsule(place):
        raise UsageError(
            f"{place} is a capsule already", hint="`recast-dm cp` copies it; name the directory of an analysis"
        )
    if place.name == analyses.MANIFEST and place.is_file():
        return place.parent
    if not place.is_dir():
        what = "is not a directory" if place.exists() else "does not exist"
        raise UsageError(f"{place} {what}", hint=f"name a directory with a {analyses.MANIFEST}")
    return place


def preserve(directory: Path, output: Path, settings: execution.Settings, asked: Asked, observer: Shown) -> Preserved:
    """Captures an analysis. Its images come from where the user says, else from the runtime."""
    analysis = analyses.load(directory)
    if output.suffix not in packing.SUFFIXES:
        return Preserved(output, _capture(analysis, output, settings, asked, observer).manifest)
    refuse_foreign(output, analysis)
    packing.refuse_foreign(output)
    with store.unfinished(output) as place:
        capsule = _capture(analysis, place / output.stem, settings, asked, observer)
        packing.pack(capsule.path, output, partial(observer.count, "packing"))
        return Preserved(output, capsule.manifest)


def _capture(analysis: Analysis, output: Path, settings: execution.Settings, asked: Asked, observer: Shown) -> Capsule:
    refuse_foreign(output, analysis)
    initdata = reinterpret.example_inputs(analysis)
    runtime = execution.runtime_for(analysis.workflow, settings)
    with shared_blobs() as shared:
        images = _images(analysis.workflow, asked.images, runtime, shared)
        perform = None
        if asked.performed:
            run_directory = options.run_directory(settings.workdir)
            backend = execution.local(runtime, settings)
            perform = references.reference_run(analysis, initdata, images, backend, run_directory, observer)
        about = runtime.about() if runtime else None
        contents = Contents(
            analysis=analysis,
            example=initdata,
            images=images,
            shared=shared,
            runtime=f"{about.name} {about.version}" if about else "none",
            perform=perform,
            by_reference=asked.by_reference,
            strict=asked.strict,
            allowed=asked.allowed,
        )
        try:
            return capture(contents, output, view.say, observer.count)
        finally:
            if asked.performed:
                options.link_latest(run_directory)


def _images(workflow: Workflow, asked: tuple[str, ...], runtime: Runtime | None, shared: Blobs) -> tuple[Stored, ...]:
    references = workflow.images()
    if not references:
        return ()
    name = runtime.about().name if runtime else "docker"
    wanted = asked or (name if name in engine.ENGINES else "docker",)
    images = sources.collect(references, [sources.source(each) for each in wanted], shared)
    for each in images:
        if not platforms.fits(each.image.platform):
            view.say(
                f"warning: {each.image.reference} is for {each.image.platform}, this machine is {platforms.here()}"
            )
    return images


@contextmanager
def shared_blobs() -> Iterator[Blobs]:
    """The image layers that all capsules of this user share; of this capture alone where nothing can be kept."""
    place = options.DEFAULTS.cache_dir / "images"
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
