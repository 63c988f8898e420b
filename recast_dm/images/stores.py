"""Where a runtime has its images: in an engine's own store, or unpacked below our cache directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recast_dm.images import engine, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.rootfs import Rootfs

SANDBOX = "sandbox"
NAMES = (*engine.ENGINES, SANDBOX)
"""The stores of this machine, in the order in which an image is looked for."""


class Store(Protocol):
    """One place that runtimes start images from."""

    @property
    def name(self) -> str: ...

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        """Puts images of an OCI layout there, each under names. Raises IntegrityError, StorageError, ToolMissing."""
        ...

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        """Keeps those of the images that are there in `shared`. Raises IntegrityError, ToolMissing."""
        ...


@dataclass(frozen=True, slots=True)
class EngineStore:
    """The images of docker, or of podman."""

    name: str

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        engine.load(self.name, layout, images, names)

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        return sources.FromEngine(self.name).take(references, shared)


@dataclass(frozen=True, slots=True)
class UnpackedStore:
    """Images that are unpacked here, for the sandbox and apptainer."""

    rootfs: Rootfs
    name: str = SANDBOX

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        for each, called in zip(images, names, strict=True):
            self.rootfs.add(layout, each, Layout(layout).blob(each.image.image_id), called)

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        """Raises ToolMissing for an image whose layers were given up since it was unpacked."""
        return sources.FromUnpacked(self.rootfs).take(references, shared)


def store(name: str, rootfs: Rootfs) -> Store:
    """The store of that name. `rootfs` are the unpacked images here."""
    return UnpackedStore(rootfs) if name == SANDBOX else EngineStore(name)
