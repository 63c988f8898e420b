"""Copies of capsules, from one form to another, without copies of the image layers that lie on the disk already.

A blob becomes a second name (a hard link, else a clone that shares its blocks) of the source's own, or of the one in
the store that all captures share; one that the store has not is added to it. Everything else is copied, and hashed on
its way.

The trade: names of one file are one file. Blobs are read-only, and replacing one leaves the others as they were; but
who writes into one in place, or a disk that loses a sector, damages every capsule with that name at once. Each says so
when it is checked, and what is taken from the store is hashed before; a copy in one file, or on another disk, shares
nothing, and is the one to keep.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.capsule import bag, fixity, layout, packing, target
from recast_dm.capsule.onefile import archive
from recast_dm.capsule.opening import VERIFIED, checked_key, demand
from recast_dm.errors import UsageError, storage_error
from recast_dm.images.blobs import Blobs
from recast_dm.images.compression import chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A capsule that was copied: `shared` bytes lay on the disk already, `copied` were written."""

    path: Path
    name: str
    digest: str
    shared: int
    copied: int


def copy(
    source: Path, place: Path, images: Blobs, cache: Path | None = None, progress: bag.Progress | None = None
) -> Copy:
    """Copies a capsule to a directory, or to one file by the suffix of `place`; replaces a capsule that is there.

    The source is checked first, as it is for a run (`cache` remembers what was hashed), and the copy while it is made:
    it has the same digest, and appears whole or not at all. Raises UsageError, IntegrityError and StorageError.
    """
    manifest = packing.read_manifest(source)
    _refuse(source, place)
    _check(source, manifest, fixity.Seen(cache / VERIFIED) if cache else None)
    told = progress or (lambda _: None)
    with target.new(place) as temporary:
        if place.suffix in packing.SUFFIXES:
            size = _to_file(source, place, temporary, images, told)
            return _copy(place, manifest, size=size, copied=size)
        entries, copied = _to_directory(source, temporary, manifest, images, told)
        store.seal(temporary)
        target.put(temporary, place)
        return _copy(place, manifest, size=sum(entry.size for entry in entries), copied=copied)


def _copy(place: Path, manifest: Mapping[str, Any], *, size: int, copied: int) -> Copy:
    return Copy(path=place, name=manifest["name"], digest=manifest["digest"], shared=size - copied, copied=copied)


def _refuse(source: Path, place: Path) -> None:
    """What cannot be copied to such a place."""
    here, there = source.resolve(), place.resolve()
    if here == there:
        raise UsageError(f"{source} and {place} are one capsule", hint="name another place for the copy")
    if there.is_relative_to(here) or here.is_relative_to(there):
        raise UsageError(f"{source} and {place} lie one within the other", hint="name another place for the copy")
    if place.suffix in packing.SUFFIXES:
        packing.refuse_foreign(place)
    else:
        target.refuse_foreign(place)


def _check(source: Path, manifest: Mapping[str, Any], seen: fixity.Seen | None) -> None:
    if source.is_dir():
        demand(source, fixity.problems(source, manifest, seen=seen))
    else:
        checked_key(source, seen)


# --- to a directory ---------------------------------------------------------------------------------------------------


def _to_directory(
    source: Path, root: Path, manifest: Mapping[str, Any], images: Blobs, progress: bag.Progress
) -> tuple[list[bag.Entry], int]:
    """Writes the files of a checked capsule below a new directory. Gives them, and how many bytes were written."""
    entries, written = [], 0
    with fixity.members(source) as members:
        sha512 = _sha512(members)
        for member in members:
            place = root / member.path
            place.parent.mkdir(parents=True, exist_ok=True)
            digest = f"sha256:{member.path.removeprefix(fixity.BLOBS)}"
            is_blob = member.path.startswith(fixity.BLOBS)
            if is_blob and (shared := _share(source, member, digest, place, images)) is not None:
                entries.append(bag.Entry(member.path, member.size, False, digest[7:], sha512.get(member.path, "")))
                written += 0 if shared else member.size
                progress(member.size)
                continue
            with place.open("xb") as out:
                entries.append(bag.entry(member, progress, out))
            place.chmod(0o755 if member.executable else 0o644)
            written += member.size
    demand(source, _problems(root, entries, manifest))
    return entries, written


def _sha512(members: list[bag.Member]) -> dict[str, str]:
    """What a capsule's payload manifest says of each file."""
    found = next((member for member in members if member.path == bag.MANIFEST), None)
    if found is None:
        return {}
    with found.open() as file:
        return bag.rows(file.read())


def _share(source: Path, member: bag.Member, digest: str, place: Path, images: Blobs) -> bool | None:
    """Gives a blob a second name at `place`: True if it lay on the disk before, False if the store got it just now.

    None where that cannot be: on another filesystem.
    """
    own = source / member.path
    if source.is_dir() and _is_sealed(own) and _second_name(own, place):
        images.adopt(own, digest)
        return True
    there = images.has(digest)
    if not there and store.make_directory(images.root).stat().st_dev == place.parent.stat().st_dev:
        with member.open() as stream:
            images.add_stream(chunks(stream), digest)
    return there if images.has(digest) and _second_name(images.path(digest), place) else None


def _is_sealed(path: Path) -> bool:
    """Whether a file is ours, and nobody's to write into."""
    status = path.lstat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o222


def _second_name(path: Path, place: Path) -> bool:
    try:
        os.link(path, place)
    except OSError:
        return store.clone(path, place)
    return True


def _problems(root: Path, entries: list[bag.Entry], manifest: Mapping[str, Any]) -> list[str]:
    """What of a copy is not as it should be, by what was written."""
    if manifest["schema"] == layout.FIRST_SCHEMA:
        return fixity.problems(root, manifest)
    return fixity.of_entries(sorted(entries, key=lambda entry: entry.path), fixity.compared(root), manifest)


# --- to one file ------------------------------------------------------------------------------------------------------


def _to_file(source: Path, place: Path, scratch: Path, images: Blobs, progress: bag.Progress) -> int:
    """Writes a checked capsule as one file, and reads it again before it gets its name. Gives its size."""
    made = scratch / place.name
    form = packing.SUFFIXES[place.suffix]
    if source.is_dir():
        packing.pack(source, made, progress)
    elif archive.form_of(source) is form:
        _copy_file(source, made, progress)
    else:
        directory = scratch / "unpacked"
        _to_directory(source, directory, packing.read_manifest(source), images, progress)
        packing.pack(directory, made, progress)
    demand(made, fixity.archive_problems(made)[0])
    size = made.stat().st_size
    try:
        made.replace(place)
        store.fsync_directory(place.absolute().parent)
    except OSError as error:
        raise storage_error(error, f"write the capsule {place}") from None
    return size


def _copy_file(source: Path, place: Path, progress: bag.Progress) -> None:
    if not store.clone(source, place):
        with source.open("rb") as file, place.open("xb") as out:
            for chunk in chunks(file):
                out.write(chunk)
                progress(len(chunk))
    store.fsync(place)
