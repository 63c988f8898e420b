"""Images by what they contain: pinned at capture, found again by image id or by layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from recast_dm import store
from recast_dm.errors import IntegrityError, ToolMissing
from recast_dm.model import Image

Lookup = Callable[[str], Image | None]
"""A runtime's `image`: what a reference or a local id names there."""


def pin(references: Iterable[str], lookup: Lookup) -> tuple[Image, ...]:
    """The three identities of each image. Raises ToolMissing that names those that are not here."""
    found = {reference: lookup(reference) for reference in references}
    missing = [reference for reference, image in found.items() if image is None]
    if missing:
        what = f"the image {missing[0]} is" if len(missing) == 1 else f"the images {', '.join(missing)} are"
        raise ToolMissing(f"{what} not here", hint="\n".join(_get(reference) for reference in missing))
    return tuple(image for image in found.values() if image is not None)


def find(pinned: Image, lookup: Lookup) -> Image:
    """The local image that is the pinned one.

    Raises ToolMissing when it is not here, IntegrityError when its name means another image.
    """
    found = here(pinned, lookup)
    if found is not None:
        return found
    if lookup(pinned.reference) is None:
        raise ToolMissing(
            f"the image {pinned.reference} ({pinned.image_id[:19]}) is not here", hint=_get(pinned.reference)
        )
    raise IntegrityError(
        f"{pinned.reference} here is not the image that was captured: its layers or its settings differ",
        hint="load the captured image, or capture again with the one that is here",
    )


def here(pinned: Image, lookup: Lookup) -> Image | None:
    """The local image that is the pinned one: by id, by the name that we load it under, or by its own name."""
    for name in (pinned.image_id, preserved_name(pinned), pinned.reference):
        found = lookup(name)
        if found is not None and same(found, pinned):
            return replace(found, reference=pinned.reference)
    return None


def preserved_name(image: Image) -> str:
    """The name under which an image of a capsule is loaded: one for all that are the same by layers and settings."""
    return f"recast-dm/preserved:{store.digest([image.diff_ids, image.config])[:24]}"


def same(here: Image, pinned: Image) -> bool:
    """Whether an image is the pinned one: by its layers, and by what it sets where that was captured."""
    return here.diff_ids == pinned.diff_ids and (not pinned.config or here.config == pinned.config)


def _get(reference: str) -> str:
    if reference.startswith("recast-dm/"):
        return "in a checkout of recast-dm, `make images` builds it"
    return f"`docker pull {reference}`, or `docker load` an archive that holds it"
