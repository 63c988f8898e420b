"""What `capture` puts together: an analysis, its images, a run, and where everything goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.backends import Backend
from recast_dm.capsule import Capsule, packing
from recast_dm.capsule.capture import Contents, capture, refuse_foreign
from recast_dm.capsule.catalogue import naming
from recast_dm.config import Config
from recast_dm.engine import events
from recast_dm.errors import StorageError, UsageError
from recast_dm.images import platforms, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.model import Workflow
from recast_dm.reinterpret.planned import example_inputs
from recast_dm.reinterpret.preserve import reference_run
from recast_dm.runtimes import Runtime, store_of
from recast_dm.spec import analysis as analyses
from recast_dm.spec.analysis import Analysis

Counted = Callable[[str, int], None]
"""Hears what goes on, and by how many bytes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user wants of a capture. `images` say where images are; the runtime's own where nothing does."""

    images: tuple[str, ...] = ()
    performed: bool = True
    strict: bool = False
    by_reference: int = 0
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a capture or a verification works with.

    The runtime (None where there are no containers), the backend, where a run goes, and who hears of it.
    """

    config: Config
    runtime: Runtime | None
    backend: Backend
    directory: Path
    observer: events.Observer
    told: Callable[[str], None] = lambda _: None
    counted: Counted = lambda _what, _count: None


def directory_of(word: str, config: Config) -> Path:
    """The directory of the analysis that a word means: a path, its recast.yml, or a name of the catalogue."""
    place = Path(naming.meant(word, config))
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


def preserve(analysis: Analysis, output: Path, asked: Asked, means: Means) -> Mapping[str, Any]:
    """Captures an analysis into a directory, or into one file where `output` ends so; gives its manifest."""
    if output.suffix not in packing.SUFFIXES:
        return _capture(analysis, output, asked, means).manifest
    refuse_foreign(output, analysis)
    packing.refuse_foreign(output)
    with store.unfinished(output) as place:
        capsule = _capture(analysis, place / output.stem, asked, means)
        packing.pack(capsule.path, output, partial(means.counted, "packing"))
        return capsule.manifest


def _capture(analysis: Analysis, output: Path, asked: Asked, means: Means) -> Capsule:
    refuse_foreign(output, analysis)
    initdata = example_inputs(analysis)
    with shared_blobs(means.config) as shared:
        images = _images(analysis.workflow, asked.images, shared, means)
        perform = None
        if asked.performed:
            perform = reference_run(analysis, initdata, images, means.backend, means.directory, means.observer)
        about = means.runtime.about() if means.runtime else None
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
        return capture(contents, output, means.told, means.counted)


def _images(workflow: Workflow, asked: tuple[str, ...], shared: Blobs, means: Means) -> tuple[Stored, ...]:
    references = workflow.images()
    if not references:
        return ()
    own = store_of(means.runtime) if means.runtime else None
    wanted: list[sources.Source] = [sources.source(each) for each in asked]
    wanted = wanted or [own or sources.source("docker")]
    images = sources.collect(references, wanted, shared)
    for each in images:
        if not platforms.fits(each.image.platform):
            here = platforms.here()
            means.told(f"warning: {each.image.reference} is for {each.image.platform}, this machine is {here}")
    return images


@contextmanager
def shared_blobs(config: Config) -> Iterator[Blobs]:
    """The image layers that all capsules of this user share; of this capture alone where nothing can be kept."""
    place = config.cache_dir / "images"
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
