"""Images unpacked, each once for its layers, and what they are called here: the store of runtimes without an engine.

ROOT/trees/<hex>          an image's files; the name is the hash of its diff_ids in their order
ROOT/names/<hex>.json     of a name or an id: the image's config, as text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recast_dm import store
from recast_dm.errors import RecastError
from recast_dm.images.layout import Stored, image_of
from recast_dm.images.unpack import unpack
from recast_dm.model import Image


class Rootfs:
    """Unpacked images below a directory. Safe to use from several threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tree(self, image: Image) -> Path:
        """Where an image's files lie, once they are unpacked."""
        return self.root / "trees" / store.digest(list(image.diff_ids)).removeprefix("sha256:")

    def find(self, name: str) -> Image | None:
        """The unpacked image of that name or id; None as well for a note that cannot be read."""
        try:
            document = store.read_document(self._note(name))
            image, _ = image_of(name, str(document["config"]).encode())
        except (OSError, RecastError, KeyError, TypeError):
            return None
        return image if self.tree(image).is_dir() else None

    def add(self, layout: Path, stored: Stored, config: bytes, names: Sequence[str]) -> Image:
        """Unpacks an image of an OCI layout, unless it is here already, and gives it names beside its id.

        Raises IntegrityError for layers that have changed, StorageError where they find no room.
        """
        image, _ = image_of(stored.image.reference, config)
        target = self.tree(image)
        with store.alone(target, f"unpack images in {self.root}", strictly=False):
            if not target.is_dir():
                place = store.temporary(target)
                try:
                    unpack(layout, stored.layers, place)
                    place.rename(target)
                finally:
                    store.remove(place)
        for name in (image.image_id, *names):
            store.write_atomic(self._note(name), store.canonical({"name": name, "config": config.decode()}))
        return replace(image, registry_digest=stored.image.registry_digest)

    def _note(self, name: str) -> Path:
        return self.root / "names" / f"{store.sha256_name(name.encode()).removeprefix('sha256:')}.json"
