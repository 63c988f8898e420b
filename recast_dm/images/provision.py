"""Giving an engine the images that a capsule holds, when it does not have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recast_dm.config import Config
from recast_dm.errors import IntegrityError, ToolMissing
from recast_dm.images import Lookup, engine, here, preserved_name
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.rootfs import Rootfs
from recast_dm.model import Image

SANDBOX = "sandbox"
"""The runtime that has no store of images but ours."""


def provide(
    pinned: Mapping[str, Image],
    root: Path,
    runtime: str,
    lookup: Lookup,
    told: Callable[[Sequence[str]], None] = lambda _: None,
) -> None:
    """Loads those of the pinned images that an engine lacks out of an OCI layout; `told` hears which, before.

    They get a name of their own there, and the one that the workflow uses when that means nothing yet. Raises
    IntegrityError for an image whose bytes have changed, ToolMissing when the engine will not take it.
    """
    missing = {reference: image for reference, image in pinned.items() if here(image, lookup) is None}
    if not missing or runtime not in (*engine.ENGINES, SANDBOX):
        return
    held = {each.image.reference: each for each in Layout(root).images()}
    wanted = [_held(held, image) for image in missing.values()]
    told(tuple(missing))
    names = [_names(each.image, lookup) for each in wanted]
    if runtime == SANDBOX:
        _unpack(root, wanted, names)
    else:
        engine.load(runtime, root, wanted, names)
    for image in missing.values():
        if here(image, lookup) is None:
            raise ToolMissing(f"{runtime} loaded {image.reference}, and does not find it by its layers")


def _unpack(root: Path, wanted: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
    here = Rootfs(Config.from_environment().cache_dir / "rootfs")
    for each, called in zip(wanted, names, strict=True):
        here.add(root, each, Layout(root).blob(each.image.image_id), called)


def _held(held: Mapping[str, Stored], image: Image) -> Stored:
    found = held.get(image.reference)
    if found is None or found.image.diff_ids != image.diff_ids:
        raise IntegrityError(f"the capsule's images do not hold the captured {image.reference}")
    return found


def _names(image: Image, lookup: Lookup) -> list[str]:
    free = lookup(image.reference) is None and "@" not in image.reference
    return [preserved_name(image), *([image.reference] if free else [])]
