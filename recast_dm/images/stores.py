"""Where a runtime has its images: in an engine's own store, or unpacked below our cache directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recast_dm.images import engine
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.rootfs import Rootfs
from recast_dm.images.sources import FromEngine, FromUnpacked, Source, unpacked_here

SANDBOX = "sandbox"
NAMES = (*engine.ENGINES, SANDBOX)
"""The stores of this machine, in the order in which an image is looked for."""


class Store(Source, Protocol):
    """A source that runtimes start images from, and that takes some in."""

    @property
    def name(self) -> str: ...

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        """Puts images of an OCI layout there, each under names. Raises IntegrityError, StorageError, ToolMissing."""
        ...


@dataclass(frozen=True, slots=True)
class EngineStore(FromEngine):
    """The images of docker, or of podman."""

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        engine.load(self.name, layout, images, names)


@dataclass(frozen=True, slots=True)
class UnpackedStore(FromUnpacked):
    """Images that are unpacked here, for the sandbox and apptainer."""

    name: str = SANDBOX

    def give(self, layout: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
        for each, called in zip(images, names, strict=True):
            self.rootfs.add(layout, each, Layout(layout).blob(each.image.image_id), called)


def others(own: Store) -> list[Store]:
    """The stores of this user beside one of them."""
    return [store(name, unpacked_here()) for name in NAMES if name != own.name]


def store(name: str, rootfs: Rootfs) -> Store:
    """The store of that name. `rootfs` are the unpacked images here."""
    return UnpackedStore(rootfs) if name == SANDBOX else EngineStore(name)
