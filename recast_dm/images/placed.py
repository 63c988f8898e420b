"""Where a registry holds an image, by its digest: what a cluster can pull."""

from __future__ import annotations

from dataclasses import dataclass

from recast_dm.model import Image


@dataclass(frozen=True, slots=True)
class Placed:
    """An image, and the reference by which a registry gives exactly it.

    >>> image = Image(reference="recast-dm/toy:1.0", image_id="sha256:00", diff_ids=(), platform="linux/amd64")
    >>> Placed("registry.example.org/recast-dm/toy@sha256:00", image).name
    'registry.example.org/recast-dm/toy'
    """

    reference: str
    image: Image

    @property
    def name(self) -> str:
        return self.reference.partition("@")[0]
