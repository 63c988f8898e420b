"""Opening a capsule: nothing in it is used before its hash is checked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.capsule import bag, fixity, layout, packing
from recast_dm.capsule.inputs import Referenced
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.model import Image
from recast_dm.spec import analysis as analyses

VERIFIED, UNPACKED = "verified", "capsules"
"""Directories of a cache: what was hashed, and capsules that are one file, by what they hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """A capsule whose bytes are what its manifest says."""

    path: Path
    digest: str
    analysis: analyses.Analysis
    initdata: Mapping[str, Any]
    images: tuple[Image, ...]
    manifest: Mapping[str, Any]

    def pinned(self) -> dict[str, Image]:
        """The captured images by the reference that the workflow uses."""
        return {image.reference: image for image in self.images}

    @property
    def layout(self) -> Path | None:
        """The OCI layout with the bytes of its images; capsules of format 1 have none."""
        return self.path / layout.IMAGES if self.manifest["schema"] == layout.SCHEMA else None

    @property
    def referenced(self) -> tuple[Referenced, ...]:
        """The inputs that it keeps by reference."""
        return tuple(Referenced.from_document(each) for each in self.manifest.get("inputs", ()))


def open_capsule(path: Path | str, cache: Path | None = None, progress: bag.Progress | None = None) -> Capsule:
    """The capsule in a directory or a file, every byte of it checked.

    `cache` is a directory in which it is remembered which large files have been hashed (they are hashed again when
    somebody has touched them), and in which a capsule that is one file is unpacked. Without one, everything is hashed
    anew, and a file has to be unpacked first. `progress` is told how many bytes more have been hashed. Raises
    UsageError (no capsule there) and IntegrityError.
    """
    path = Path(path)
    seen = fixity.Seen(cache / VERIFIED) if cache else None
    if not path.is_dir() and packing.is_capsule(path):
        if cache is None or seen is None:
            hint = f"`recast-dm unpack {path}` makes a directory of it; or let RECAST_DM_CACHE_DIR be writable"
            raise UsageError(f"{path} is a capsule in one file, and there is no cache to unpack it in", hint=hint)
        return _open_file(path, cache, seen, progress)
    manifest = packing.read_manifest(path)
    demand(path, fixity.problems(path, manifest, seen=seen, progress=progress))
    return of_manifest(path, manifest)


def _open_file(path: Path, cache: Path, seen: fixity.Seen, progress: bag.Progress | None) -> Capsule:
    """A capsule in one file: checked where it is, then unpacked once for each content."""
    key = checked_key(path, seen, progress)
    directory = cache / UNPACKED / key / f"{path.stem.removesuffix('.capsule')}.capsule"
    with contextlib.suppress(OSError):
        os.utime(directory.parent)  # it is used: `gc` leaves it
    if not directory.is_dir():
        with packing.Archive(path) as archive:
            archive.unpack(directory)
    return open_capsule(directory, cache)


def checked_key(path: Path, seen: fixity.Seen | None, progress: bag.Progress | None = None) -> str:
    """The key of a capsule in one file, after a check of every byte unless `seen` knows it. Raises IntegrityError."""
    key = seen.key(path) if seen else None
    if key is None:
        found, key = fixity.archive_problems(path, seen, progress)
        demand(path, found)
    return key


def demand(path: Path, found: Sequence[str]) -> None:
    """Raises IntegrityError for a capsule of which something is wrong."""
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise IntegrityError(
            f"{path} is not as it was captured: {found[0]}{more}",
            hint="`recast-dm verify --bytes` lists everything; copy the capsule again from where it is sound",
        )


def of_manifest(path: Path, manifest: Mapping[str, Any]) -> Capsule:
    """The capsule that a checked manifest describes."""
    analysis = analyses.load(path / manifest["analysis"], workflow=path / manifest["workflow"])
    return Capsule(
        path=path,
        digest=manifest["digest"],
        analysis=analysis,
        initdata=manifest["example"]["initdata"],
        images=tuple(Image.from_document(image) for image in manifest["images"]),
        manifest=manifest,
    )
