"""Whether a capsule's bytes are those that were captured."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from recast_dm import store
from recast_dm.capsule import bag, layout, packing
from recast_dm.errors import IntegrityError, RecastError, UsageError
from recast_dm.images.blobs import is_digest

SEEN_SCHEMA = "recast-dm/seen/1"
LARGE = 1024**2
"""Bytes from which a file that was hashed before may be taken as it is, when nobody has touched it."""
TICK = 100_000_000
"""Nanoseconds: what a filesystem's clock may go on at once. Who changes a file twice within it leaves one time."""
OUTSIDE = (f"{layout.SOURCE}/", f"{layout.RUN}/", f"{layout.SBOM}/", f"{layout.IMAGES}/")
OUTSIDE_FILES = (layout.CRATE, "data/CITATION.cff", "data/codemeta.json")
"""What of the payload the digest does not cover, and the bag does."""
BLOBS = f"{layout.IMAGES}/blobs/sha256/"
COMPARED = (bag.DECLARATION, bag.MANIFEST, bag.TAG_MANIFEST, layout.MANIFEST)
"""The tag files that have one form only: their bytes are made anew and compared."""
TAGS = (*COMPARED, bag.INFO, layout.CAPTURED, layout.RERUN)
_MODE = "{} has changed: its mode is not the captured one"

State: TypeAlias = "list[int]"
Rows: TypeAlias = "dict[str, list[Any]]"


@dataclass(frozen=True, slots=True)
class Seen:
    """Hashes of large files by what the filesystem says of them, remembered in a directory from one use to the next.

    A file that was written to has another time of change, which nobody can set; then it is hashed again.
    """

    directory: Path

    def rows(self, root: Path) -> Rows:
        """What is known of the files below a directory, or of a file: its state, and its hashes."""
        try:
            said = store.read_json(self._path(root), SEEN_SCHEMA)["files"]
            return {str(path): list(row) for path, row in said.items()}
        except (RecastError, KeyError, AttributeError, TypeError):
            return {}

    def keep(self, root: Path, rows: Rows) -> None:
        if rows != self.rows(root):
            document = {"schema": SEEN_SCHEMA, "capsule": str(root.absolute()), "files": rows}
            store.write_atomic(self._path(root), store.canonical(document))

    def key(self, file: Path) -> str | None:
        """The key of a capsule that is one file, when nobody has touched it since it was checked."""
        row = self.rows(file).get("")
        return str(row[-1]) if row and row[:-1] == state(file) else None

    def keep_key(self, file: Path, before: State, key: str) -> None:
        """Remembers that a file was checked, unless it was touched meanwhile."""
        if _is_settled(file, before):
            self.keep(file, {"": [*before, key]})

    def _path(self, root: Path) -> Path:
        return self.directory / f"{store.digest(str(root.absolute()))[:32]}.json"


def state(path: Path) -> State:
    """What changes whenever a file does, also one that is named by a link."""
    status = path.stat()
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _is_settled(path: Path, before: State) -> bool:
    """Whether a file is as it was before it was read, and cannot have been changed since without a trace."""
    return state(path) == before and time.time_ns() - before[-1] > TICK


def members_of(archive: packing.Archive) -> list[bag.Member]:
    """The files of a capsule that is one file, as those of a directory."""
    found = archive.members.items()
    return [bag.Member(name, each.size, each.executable, partial(archive.open, name)) for name, each in found]


@contextlib.contextmanager
def members(path: Path) -> Iterator[list[bag.Member]]:
    """The files of a capsule in whatever form, as long as the context lasts. Raises IntegrityError."""
    if path.is_dir():
        yield bag.members(path)
    else:
        with packing.Archive(path) as archive:
            yield members_of(archive)


def told(error: RecastError) -> str:
    """What is wrong, and what to do about it, in one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def archive_problems(
    path: Path, seen: Seen | None = None, progress: bag.Progress | None = None
) -> tuple[list[str], str]:
    """What is wrong with a capsule that is one file, read where it is; and a key that tells its content.

    The key of a sound one is remembered in `seen`.
    """
    try:
        before = state(path)
    except OSError:
        raise UsageError(f"{path} does not exist", hint="name a capsule: X.capsule.zip or X.capsule.tar") from None
    try:
        manifest = packing.read_manifest(path)
        if manifest["schema"] == layout.FIRST_SCHEMA:
            return ["a capsule of format 1 is a directory: unpack it"], ""
        with packing.Archive(path) as archive:
            entries = bag.read(members_of(archive), progress)
            tags = {name: _start(partial(archive.open, name)) for name in COMPARED if name in archive.members}
            top = archive.top
    except IntegrityError as error:
        return [told(error)], ""
    found = of_entries(entries, tags, manifest)
    if top != packing.top_of(manifest):
        found.append(f"its one directory is {top[:100]!r}, not {packing.top_of(manifest)!r}")
    key = hashlib.sha256(tags.get(bag.TAG_MANIFEST, b"")).hexdigest()[:32]
    if seen and not found:
        seen.keep_key(path, before, key)
    return found, key


def problems(
    root: Path,
    manifest: Mapping[str, Any],
    *,
    seen: Seen | None = None,
    anew: bool = False,
    progress: bag.Progress | None = None,
) -> list[str]:
    """What of a capsule in a directory is not as it was captured; nothing when everything is.

    With `seen`, large files that were hashed before and have not been touched since are not hashed again, unless
    everything is to be hashed `anew`.
    """
    try:
        if manifest["schema"] == layout.FIRST_SCHEMA:
            return _first_problems(root, manifest)
        entries = hashed(root, seen=seen, anew=anew, progress=progress)
        tags = compared(root)
        hollow = [f"{path} is an empty directory: it was added" for path in _hollow(root)]
    except IntegrityError as error:
        return [told(error)]
    except OSError as error:
        return [f"{error.filename} cannot be read: {error.strerror}"]
    return of_entries(entries, tags, manifest) + hollow


def compared(root: Path) -> dict[str, bytes]:
    """The tag files that are compared byte for byte, of a capsule in a directory."""
    return {path: _start(bag.member(root, path).open) for path in COMPARED if (root / path).is_file()}


def _start(opened: Callable[[], IO[bytes]]) -> bytes:
    """The bytes of a file that is compared; of one that is far too large, enough to differ."""
    with opened() as file:
        return file.read(packing.MAX_MANIFEST + 1)


def _hollow(root: Path) -> Iterator[Path]:
    """The directories with nothing in them: a capsule has none, and a workflow could see one."""
    for directory, names, files in os.walk(root):
        if not names and not files:
            yield Path(directory).relative_to(root)


def hashed(
    root: Path, *, seen: Seen | None = None, anew: bool = False, progress: bag.Progress | None = None
) -> list[bag.Entry]:
    """Every file of a capsule in a directory, hashed, or known by `seen`."""
    members = bag.members(root)
    if seen is None:
        return bag.read(members, progress)
    rows = {} if anew else seen.rows(root)
    states = {member.path: state(root / member.path) for member in members if member.size >= LARGE}
    known = {path: rows[path][-2:] for path, now in states.items() if path in rows and rows[path][:-2] == now}
    entries = bag.read((member for member in members if member.path not in known), progress)
    entries += [bag.Entry(m.path, m.size, m.executable, *known[m.path]) for m in members if m.path in known]
    untouched = (each for each in entries if each.path in states and _is_settled(root / each.path, states[each.path]))
    seen.keep(root, {each.path: [*states[each.path], each.sha256, each.sha512] for each in untouched})
    return sorted(entries, key=lambda entry: entry.path)


def of_entries(entries: Sequence[bag.Entry], tags: Mapping[str, bytes], manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with a capsule, by its files as they were found and the bytes of its tag files.

    The bag's manifests must be those of the files; capsule.json must name every file that its digest covers, and
    nothing may lie where no part of a capsule does.
    """
    found = bag.problems(entries, tags)
    found += _digest_problems(manifest, tags)
    by_path = {entry.path: entry for entry in entries}
    found += _covered_problems(by_path, manifest)
    found += _image_problems(by_path, manifest)
    found += [f"{path} is no part of a capsule" for path in by_path if not _has_a_place(path)]
    found += [_MODE.format(path) for path, each in by_path.items() if each.executable and not layout.is_covered(path)]
    return list(dict.fromkeys(found))


def _digest_problems(manifest: Mapping[str, Any], tags: Mapping[str, bytes]) -> list[str]:
    if layout.digest(manifest) != manifest["digest"]:
        return [f"the digest in {layout.MANIFEST} is not that of the manifest"]
    if tags.get(layout.MANIFEST) != store.pretty(manifest):
        return [f"{layout.MANIFEST} is not in the one form in which it is written"]
    return []


def _covered_problems(by_path: Mapping[str, bag.Entry], manifest: Mapping[str, Any]) -> list[str]:
    found = []
    said = {each["path"]: each for each in manifest["files"]}
    for path, each in said.items():
        entry = by_path.get(path)
        if entry is None:
            found.append(f"{path} is missing")
        elif (entry.sha256, entry.sha512, entry.size) != (each["sha256"], each["sha512"], each["size"]):
            found.append(f"{path} has changed: its hash is not that in {layout.MANIFEST}")
        elif entry.executable != each["executable"]:
            found.append(_MODE.format(path))
    extra = [path for path in by_path if layout.is_covered(path) and path not in said]
    return found + [f"{path} was not captured" for path in extra]


def _image_problems(by_path: Mapping[str, bag.Entry], manifest: Mapping[str, Any]) -> list[str]:
    """Every blob is what its name says, and those that the manifest needs are there."""
    found = []
    for path, entry in by_path.items():
        if path.startswith(BLOBS) and entry.sha256 != path.removeprefix(BLOBS):
            found.append(f"{path} has changed: its hash is not its name")
    for image in manifest["images"]:
        needed = (image["image_id"], *(layer["digest"] for layer in image["layers"]))
        lost = [digest for digest in needed if not is_digest(digest) or f"{BLOBS}{digest[7:]}" not in by_path]
        found += [f"the blob {digest[:19]} of the image {image['reference']} is missing" for digest in lost]
        if [layer["diff_id"] for layer in image["layers"]] != image["diff_ids"]:
            found.append(f"the layers of the image {image['reference']} are not those of its diff_ids")
    return found


def _has_a_place(path: str) -> bool:
    return path in TAGS or layout.is_covered(path) or path.startswith(OUTSIDE) or path in OUTSIDE_FILES


def _first_problems(root: Path, manifest: Mapping[str, Any]) -> list[str]:
    """A capsule of format 1: the digest covers the manifest, the manifest every file below data/."""
    if layout.digest(manifest) != manifest["digest"]:
        return ["its digest is not that of its manifest"]
    here = {f"data/{file.path}": file for file in store.tree_of(root / "data").files}
    said = {each["path"]: each for each in manifest["files"]}
    found = [f"{path} is missing" for path in said.keys() - here.keys()]
    found += [f"{path} was not captured" for path in here.keys() - said.keys()]
    for path in sorted(said.keys() & here.keys()):
        if here[path].sha256 != said[path]["sha256"]:
            found.append(f"{path} has changed: its hash is not the captured one")
        elif here[path].executable != said[path]["executable"]:
            found.append(_MODE.format(path))
    return sorted(found)
