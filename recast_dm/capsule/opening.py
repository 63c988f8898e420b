"""Opening a capsule: nothing in it is used before its hash is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.capsule import layout
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

    def pinned(self) -> dict[str, Image]:
        """The captured images by the reference that the workflow uses."""
        return {image.reference: image for image in self.images}


def open_capsule(path: Path) -> Capsule:
    """The capsule at `path`, every file hashed. Raises UsageError (no capsule there) and IntegrityError."""
    if not (path / layout.MANIFEST).is_file():
        raise UsageError(f"{path} is not a capsule", hint="`recast-dm capture ANALYSIS -o X.capsule` makes one")
    manifest = store.read_json(path / layout.MANIFEST, layout.SCHEMA)
    if found := schemas.problem("capsule-1", manifest):
        raise IntegrityError(f"{path / layout.MANIFEST} is damaged: {found[1]}")
    _check(path, manifest)
    analysis = analyses.load(path / manifest["analysis"], workflow=path / manifest["workflow"])
    return Capsule(
        path=path,
        digest=manifest["digest"],
        analysis=analysis,
        initdata=manifest["example"]["initdata"],
        images=tuple(Image.from_document(image) for image in manifest["images"]),
    )


def _check(path: Path, manifest: Mapping[str, Any]) -> None:
    """The digest covers the manifest, the manifest covers every file, and there is no file besides."""
    if layout.digest(manifest) != manifest["digest"]:
        raise IntegrityError(f"the digest of {path} is not that of its manifest", hint="the capsule was changed")
    said = store.Tree.from_document(manifest["files"])
    found = store.tree_of(path / "data")
    here = {f"data/{file.path}": file for file in found.files}
    for file in said.files:
        if file.path not in here:
            raise IntegrityError(f"{path} lacks {file.path}", hint="the capsule is incomplete: copy it again")
        if here[file.path].sha256 != file.sha256:
            raise IntegrityError(f"{file.path} in {path} has changed: its hash is not the captured one")
        if here[file.path].executable != file.executable:
            raise IntegrityError(f"{file.path} in {path} has changed: its mode is not the captured one")
    if extra := sorted(set(here) - said.names()):
        raise IntegrityError(f"{path} holds {extra[0]}, which was not captured")
