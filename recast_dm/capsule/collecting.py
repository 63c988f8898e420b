"""Freeing space in the cache directory. Nothing in it is the only copy of anything: what goes is made again.

CACHE/images      blobs that no capsule has a second name of and no unpacked image needs; notes of layers that are gone
CACHE/rootfs      images that were unpacked for the sandbox, and have not been used for long
CACHE/capsules    capsules in one file that were unpacked, and have not been used for long
CACHE/verified    what is remembered of capsules that are gone
CACHE/steps       finished steps that have not been used for long; only when asked for
and anywhere there what a dead writer left half-written.

Others may be at work meanwhile. A blob is removed only while nobody takes any (a lock tells), everything else only an
hour after its last use at the soonest; a directory goes by a rename first, and comes back if it was used just then.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm import store
from recast_dm.capsule.fixity import SEEN_SCHEMA
from recast_dm.capsule.opening import UNPACKED, VERIFIED
from recast_dm.engine.cache import StepCache
from recast_dm.errors import RecastError
from recast_dm.images.blobs import Blobs, is_digest
from recast_dm.images.rootfs import ROOTFS, Rootfs

Kind: TypeAlias = Literal["blob", "note", "image", "capsule", "verified", "step", "temporary"]
HOUR = 3600.0
"""Seconds that everything is left alone: what is being made, or was used just now."""
DAY = 24 * HOUR
"""Seconds after which what is half-written has no writer any more."""
_UNFINISHED = re.compile(r"\..+\.tmp|\.(saved|init)-.+")


@dataclass(frozen=True, slots=True)
class Waste:
    """Something that can go. `size` are the bytes that this frees: those of files with no other name."""

    kind: Kind
    path: Path
    size: int

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": str(self.path), "size": self.size}


@dataclass(frozen=True, slots=True)
class Collected:
    """What went, or would go. `busy`: blobs were left, for somebody was taking some."""

    waste: tuple[Waste, ...]
    busy: bool

    @property
    def size(self) -> int:
        return sum(each.size for each in self.waste)


def collect(cache: Path, *, now: float, unused: float, steps: bool = False, dry_run: bool = False) -> Collected:
    """Removes what nobody needs, or only finds it.

    `unused` are the seconds after which unpacked capsules, unpacked images and (with `steps`) finished steps go.
    """
    before = now - max(unused, HOUR)
    found = _remove(_temporaries(cache, now - DAY), lambda each: _unlink(each.path), dry_run=dry_run)
    old = [*_unpacked(cache, before), *(_steps(cache, before) if steps else ())]
    found += _remove(old, lambda each: _take_away(each.path, before), dry_run=dry_run)
    # the time of a tree is the image's: it says nothing of its use
    found += _remove(_trees(cache, before), lambda each: _take_away(each.path, math.inf), dry_run=dry_run)
    gone = [each.path for each in found]
    found += _remove(_names(cache, {*gone}), lambda each: _unlink(each.path), dry_run=dry_run)
    found += _remove(_verified(cache, gone), lambda each: _unlink(each.path), dry_run=dry_run)
    if not (cache / "images").is_dir():
        return Collected(tuple(found), busy=False)
    images = Blobs(cache / "images")
    with images.alone() as alone:
        if alone:
            kept = _needed(cache, images, {each.path for each in found})
            blobs = _remove(_blobs(images, now - HOUR, kept), lambda each: _unlink(each.path), dry_run=dry_run)
            notes = _notes(images, {each.path for each in blobs})
            found += blobs + _remove(notes, lambda each: _unlink(each.path), dry_run=dry_run)
    return Collected(tuple(found), busy=not alone)


# --- what there is ----------------------------------------------------------------------------------------------------


def _trees(cache: Path, before: float) -> Iterator[Waste]:
    """Unpacked images that nobody has looked for since, by any of their names."""
    rootfs = Rootfs(cache / ROOTFS)
    used: dict[Path, float] = {}
    for note, image in rootfs.uses():
        if image is not None:
            used[rootfs.tree(image)] = max(_used(note), used.get(rootfs.tree(image), 0.0))
    for path in _listed(rootfs.root / "trees"):
        made = max((each.st_ctime for each in _states([path])), default=math.inf)
        if path.is_dir() and not store.is_temporary(path) and used.get(path, made) < before:
            yield Waste("image", path, _size(path))


def _names(cache: Path, gone: set[Path]) -> Iterator[Waste]:
    """Names of unpacked images that are gone."""
    rootfs = Rootfs(cache / ROOTFS)
    for note, image in rootfs.uses():
        if image is None or rootfs.tree(image) in gone:
            yield Waste("note", note, _size(note))


def _needed(cache: Path, images: Blobs, gone: set[Path]) -> set[str]:
    """The blobs of unpacked images: without them, no capsule could be made of one."""
    rootfs, found = Rootfs(cache / ROOTFS), set[str]()
    for _, image in rootfs.uses():
        if image is not None and rootfs.tree(image) not in gone:
            found |= {image.image_id, *filter(None, map(images.noted, image.diff_ids))}
    return found


def _blobs(images: Blobs, before: float, kept: set[str]) -> Iterator[Waste]:
    """Blobs with no second name. Giving one, or taking it away, changes the time of a file: it counts as a use."""
    for path in _listed(images.root / "blobs" / "sha256"):
        for status in _states([path]):
            old = max(status.st_mtime, status.st_ctime) < before
            name = f"sha256:{path.name}"
            if is_digest(name) and status.st_nlink == 1 and old and name not in kept:
                yield Waste("blob", path, status.st_size)


def _notes(images: Blobs, gone: set[Path]) -> Iterator[Waste]:
    for path in _listed(images.root / "layers"):
        try:
            blob = images.path(store.read_document(path)["digest"])
        except (RecastError, KeyError, TypeError):
            blob = None
        if path.suffix == ".json" and (blob is None or blob in gone or not blob.exists()):
            yield Waste("note", path, _size(path))


def _unpacked(cache: Path, before: float) -> Iterator[Waste]:
    for path in _listed(cache / UNPACKED):
        if _used(path) < before and not store.is_temporary(path):
            yield Waste("capsule", path, _size(path))


def _verified(cache: Path, gone: list[Path]) -> Iterator[Waste]:
    for path in _listed(cache / VERIFIED):
        try:
            capsule = Path(store.read_json(path, SEEN_SCHEMA)["capsule"])
        except (RecastError, KeyError, TypeError):
            continue
        if not os.access(capsule, os.F_OK) or any(capsule.is_relative_to(each) for each in gone):
            yield Waste("verified", path, _size(path))


def _steps(cache: Path, before: float) -> Iterator[Waste]:
    for path in StepCache(cache).entries():
        if _used(path) < before:
            yield Waste("step", path, _size(path))


def _temporaries(cache: Path, before: float) -> Iterator[Waste]:
    images = cache / "images"
    places = [
        cache,
        cache / ROOTFS / "trees",
        images,
        images / "blobs" / "sha256",
        images / "layers",
        cache / VERIFIED,
        cache / UNPACKED,
    ]
    for place in [*places, *_listed(cache / UNPACKED), *_listed(cache / "steps" / "1")]:
        for path in _listed(place):
            if _UNFINISHED.fullmatch(path.name) and max(map(_used, _below(path))) < before:
                yield Waste("temporary", path, _size(path))


def _listed(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _below(path: Path) -> list[Path]:
    """A file; or a directory, and everything in it."""
    inside = (Path(directory) / name for directory, names, files in os.walk(path) for name in [*names, *files])
    return [path, *inside]


def _states(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """What the filesystem says of each that is still there."""
    for path in paths:
        with contextlib.suppress(OSError):
            yield path.lstat()


def _used(path: Path) -> float:
    """When it was used last. What is not there any more is in good hands."""
    return next((status.st_mtime for status in _states([path])), math.inf)


def _size(path: Path) -> int:
    return sum(each.st_size for each in _states(_below(path)) if stat.S_ISREG(each.st_mode) and each.st_nlink == 1)


# --- removing ---------------------------------------------------------------------------------------------------------


def _remove(waste: Iterable[Waste], how: Callable[[Waste], bool], *, dry_run: bool) -> list[Waste]:
    """Removes each. Gives those that went, or would."""
    return [each for each in waste if dry_run or how(each)]


def _unlink(path: Path) -> bool:
    store.remove(path)
    return not path.exists()


def _take_away(path: Path, before: float) -> bool:
    """Removes a directory, unless somebody has used it since it was looked at."""
    trash = store.temporary(path)
    try:
        path.rename(trash)
        if trash.stat().st_mtime >= before:
            store.rename_new(trash, path)
    except OSError:
        return False
    used = path.exists()
    store.remove(trash)
    return not used
