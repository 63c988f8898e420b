"""Opening a capsule: nothing in it is used before its hash is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.capsule import fixity, layout
from recast_dm.capsule.inputs import Referenced
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.model import Image
from recast_dm.spec import analysis as analyses


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


def is_capsule(path: Path) -> bool:
    return (path / layout.MANIFEST).is_file()


def open_capsule(path: Path, seen: fixity.Seen | None = None) -> Capsule:
    """The capsule in a directory, every file hashed. Raises UsageError (no capsule there) and IntegrityError.

    With `seen`, large files that were hashed before and have not been touched since are not hashed again.
    """
    if not is_capsule(path):
        raise UsageError(f"{path} is not a capsule", hint="`recast-dm capture ANALYSIS -o X.capsule` makes one")
    manifest = read_manifest(path)
    found = fixity.problems(path, manifest, seen=seen)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise IntegrityError(
            f"{path} is not as it was captured: {found[0]}{more}",
            hint="`recast-dm verify --bytes` lists everything; copy the capsule again from where it is sound",
        )
    return of_manifest(path, manifest)


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


def read_manifest(path: Path) -> dict[str, Any]:
    """capsule.json of a capsule in a directory, of any format; nothing else is looked at. Raises IntegrityError."""
    return checked_manifest(store.read_document(path / layout.MANIFEST), str(path / layout.MANIFEST))


def checked_manifest(document: Any, where: str) -> dict[str, Any]:
    """A manifest that is one of ours, and complete."""
    said = document.get("schema") if isinstance(document, dict) else None
    kind = {layout.SCHEMA: "capsule-2", layout.FIRST_SCHEMA: "capsule-1"}.get(str(said))
    if kind is None:
        raise IntegrityError(
            f"{where} has the schema {said!r}, not {layout.SCHEMA!r}",
            hint="was it written by a later version of recast-dm, or changed by hand?",
        )
    if found := schemas.problem(kind, document):
        raise IntegrityError(f"{where} is damaged: {found[1]}")
    return dict(document)
