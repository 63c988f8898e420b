"""Giving a runtime the images that it lacks: out of a capsule, or from where else on this machine they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from recast_dm.errors import IntegrityError, ToolMissing
from recast_dm.images import Lookup, here, preserved_name
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.stores import Store
from recast_dm.model import Image

Told = Callable[[Sequence[str], str], None]
"""Hears which images are about to be given, and where they come from."""


def provide(pinned: Mapping[str, Image], root: Path, store: Store, lookup: Lookup, told: Told) -> None:
    """Gives a store those of the pinned images that it lacks, out of an OCI layout; `told` hears which, before.

    They get a name of their own there, and the one that the workflow uses when that means nothing yet. Raises
    IntegrityError for an image whose bytes have changed, ToolMissing when the store will not take it.
    """
    missing = {reference: image for reference, image in pinned.items() if here(image, lookup) is None}
    if not missing:
        return
    held = {each.image.reference: each for each in Layout(root).images()}
    wanted = [_held(held, image) for image in missing.values()]
    told(tuple(missing), "the capsule")
    store.give(root, wanted, [_names(each.image, lookup) for each in wanted])
    for image in missing.values():
        if here(image, lookup) is None:
            raise ToolMissing(f"{store.name} loaded {image.reference}, and does not find it by its layers")


def bring(
    references: Iterable[str], store: Store, lookup: Lookup, others: Iterable[Store], shared: Blobs, told: Told
) -> None:
    """Gives a store those images that it lacks and another one here has, without a registry.

    What no store has is left to whoever needs it; a store that does not answer has nothing. Raises StorageError.
    """
    missing = [reference for reference in references if lookup(reference) is None]
    for other in others if missing else ():
        try:
            found = other.take(missing, shared)
        except ToolMissing:
            continue
        if found:
            told(tuple(found), other.name)
            store.give(shared.root, list(found.values()), [[reference] for reference in found])
        missing = [reference for reference in missing if reference not in found]


def _held(held: Mapping[str, Stored], image: Image) -> Stored:
    found = held.get(image.reference)
    if found is None or found.image.diff_ids != image.diff_ids:
        raise IntegrityError(f"the capsule's images do not hold the captured {image.reference}")
    return found


def _names(image: Image, lookup: Lookup) -> list[str]:
    free = lookup(image.reference) is None and "@" not in image.reference
    return [preserved_name(image), *([image.reference] if free else [])]
