"""A source of images for unit tests: each is one file that holds its own name, with real hashes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from functools import lru_cache

from recast_dm import store
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.model import Image


@lru_cache
def _content(reference: str) -> tuple[bytes, bytes]:
    """An image's config and its one layer."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("image")
        info.size = len(reference.encode())
        archive.addfile(info, io.BytesIO(reference.encode()))
    layer = tar.getvalue()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [store.sha256_name(layer)]},
    }
    return store.canonical(config), layer


def image(reference: str) -> Image:
    """What an engine would say of it."""
    return layout.image_of(reference, _content(reference)[0])[0]


class FakeSource:
    """Has the images that it is told of."""

    def __init__(self, references: Iterable[str]) -> None:
        self._references = frozenset(references)

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        found = {}
        for reference in self._references.intersection(references):
            config, layer = _content(reference)
            shared.add(config)
            found[reference] = layout.stored(reference, config, [shared.add_layer(lambda data=layer: io.BytesIO(data))])  # type: ignore[misc]  # bound at once
        return found
