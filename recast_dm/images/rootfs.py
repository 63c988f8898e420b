"""Images unpacked, each once for its layers, and what they are called here: the store of runtimes without an engine.

ROOT/trees/<hex>          an image's files; the name is the hash of its diff_ids in their order
ROOT/names/<hex>.json     of a name or an id: the image's config, as text, and the engine that the name was taken from
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recast_dm import store
from recast_dm.errors import RecastError, storage_error
from recast_dm.images.blobs import Layer
from recast_dm.images.layout import Stored, image_of
from recast_dm.images.unpack import unpack
from recast_dm.model import Image

MOUNT_POINTS = ("/dev", "/inputs", "/proc", "/scratch", "/sys", "/tmp", "/workdir")  # noqa: S108  # the container's
"""Every tree has these directories, so that a container can see it as it is, read-only."""
HOSTS = Path(__file__).with_name("hosts")
"""A container's /etc/hosts: it is alone with itself. Engines write it too, whatever the image has there."""

ROOTFS = "rootfs"
"""Where they lie below the cache directory."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a name means: an image, and its config byte for byte.

    `origin` is the engine whose name this is: what it means there may change. None for a name that was given here.
    """

    image: Image
    config: bytes
    origin: str | None


class Rootfs:
    """Unpacked images below a directory. Safe to use from several threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self, image: Image) -> Path:
        """Where an image's files lie, once they are unpacked."""
        return self.root / "trees" / store.digest(list(image.diff_ids)).removeprefix("sha256:")

    def named(self, name: str) -> Named | None:
        """What a name or an id means; None for an image that is not here, and for a note that cannot be read."""
        note = self._note(name)
        found = self._read(note)
        if found is not None:
            with contextlib.suppress(OSError):
                os.utime(note)  # it is used: see `uses`
        return found

    def find(self, name: str) -> Image | None:
        """The unpacked image of that name or id."""
        found = self.named(name)
        return None if found is None else found.image

    def uses(self) -> Iterator[tuple[Path, Image | None]]:
        """Each note of a name, with the image that it means; None where that is not here any more."""
        for note in sorted((self.root / "names").glob("*.json")):
            found = self._read(note)
            yield note, None if found is None else found.image

    def _read(self, note: Path) -> Named | None:
        try:
            document = store.read_document(note)
            content, origin = str(document["config"]).encode(), document.get("origin")
            image, _ = image_of(str(document["name"]), content)
        except (OSError, RecastError, KeyError, TypeError):
            return None
        return Named(image, content, None if origin is None else str(origin)) if self.tree(image).is_dir() else None

    def add(
        self, layout: Path, stored: Stored, config: bytes, names: Sequence[str], *, origin: str | None = None
    ) -> Image:
        """Unpacks an image of an OCI layout, unless it is here already, and gives it names beside its id.

        Raises IntegrityError for layers that have changed, StorageError where they find no room.
        """
        image, _ = image_of(stored.image.reference, config)
        target = self.tree(image)
        with store.alone(target, f"unpack images in {self.root}", strictly=False):
            if not target.is_dir():
                _make(layout, stored.layers, target)
        for name in (image.image_id, *names):
            note = {"name": name, "config": config.decode(), **({"origin": origin} if origin else {})}
            store.write_atomic(self._note(name), store.canonical(note))
        return replace(image, registry_digest=stored.image.registry_digest)

    def _note(self, name: str) -> Path:
        return self.root / "names" / f"{store.sha256_name(name.encode()).removeprefix('sha256:')}.json"


def _make(layout: Path, layers: Sequence[Layer], target: Path) -> None:
    """A tree that is there is whole, also after a power cut. What unpackers that were killed left goes first."""
    store.tidy(target.parent)
    with store.unfinished(target) as place:
        tree = place / "tree"
        unpack(layout, layers, tree)
        try:
            for name in MOUNT_POINTS:
                _directory(tree / name.removeprefix("/"))
            _hosts(tree / "etc")
            _flush(place)
            tree.rename(target)
        except OSError as error:
            if not target.is_dir():  # where there are no locks, somebody else may have been faster
                raise storage_error(error, f"unpack an image into {target}") from None
        store.fsync_directory(target.parent)


def _directory(path: Path) -> None:
    """Where a container finds something of ours, whatever the image has there."""
    if path.is_symlink() or not path.is_dir():
        store.remove(path)
        path.mkdir(mode=0o755)


def _hosts(etc: Path) -> None:
    if not etc.is_symlink() and not etc.is_file():
        etc.mkdir(exist_ok=True)
        store.remove(etc / "hosts")
        (etc / "hosts").write_bytes(HOSTS.read_bytes())


def _flush(place: Path) -> None:
    """Has the filesystem of a directory on the disk: thousands of files at once, where each alone takes its time."""
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(directory) != 0:
            raise OSError(ctypes.get_errno(), "cannot write what is unpacked to the disk")
    finally:
        os.close(directory)
