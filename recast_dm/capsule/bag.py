"""The fixity of a capsule: BagIt 1.0, with manifests that have one form only.

Every file is read once and hashed twice on the way: SHA-512 is what the bag's manifests hold (`sha512sum -c` checks
them), SHA-256 is what capsule.json and the OCI layout call it by. The manifests of what is there are made anew and
compared with the stored ones byte for byte, so there is nothing in them that is not checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recast_dm import config, store

DECLARATION = "bagit.txt"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha512.txt"
TAG_MANIFEST = "tagmanifest-sha512.txt"
PAYLOAD = "data/"
VERSION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

Progress = Callable[[int], object]
"""Told how many bytes more have been done."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a capsule, wherever its bytes lie: in a directory, or in a zip or tar file."""

    path: str
    size: int
    executable: bool
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a capsule, hashed."""

    path: str
    size: int
    executable: bool
    sha256: str
    sha512: str

    def file(self) -> store.File:
        return store.File(self.path, self.size, self.sha256, self.executable)


def members(root: Path) -> list[Member]:
    """The files of a capsule that is a directory, sorted. Links and special files raise IntegrityError."""
    return sorted((member(root, relative) for relative, _ in store.walk(root)), key=lambda found: found.path)


def member(root: Path, path: str) -> Member:
    """One file of a capsule that is a directory."""
    place = root / path
    status = place.lstat()
    return Member(path, status.st_size, bool(status.st_mode & 0o100), lambda: place.open("rb"))


def read(found: Iterable[Member], progress: Progress | None = None) -> list[Entry]:
    """Hashes files, each byte read once, as many files at a time as there are processors."""
    with ThreadPoolExecutor(config.processors()) as pool:
        return list(pool.map(lambda member: entry(member, progress), found))


def entry(member: Member, progress: Progress | None = None, out: IO[bytes] | None = None) -> Entry:
    """One file, hashed as it is read; what is read is written to `out`, if there is one."""
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    with member.open() as file:
        while chunk := file.read(store.CHUNK):
            sha256.update(chunk)
            sha512.update(chunk)
            size += len(chunk)
            if out:
                out.write(chunk)
            if progress:
                progress(len(chunk))
    return Entry(member.path, size, member.executable, sha256.hexdigest(), sha512.hexdigest())


def manifest(entries: Iterable[Entry], *, payload: bool) -> bytes:
    """The manifest of the payload, or of the tag files (all but the tag manifest itself).

    >>> manifest([Entry("data/a b", 1, False, "", "00ff")], payload=True)
    b'00ff  data/a b\\n'
    """
    lines = [
        f"{entry.sha512}  {_encoded(entry.path)}\n"
        for entry in sorted(entries, key=lambda entry: entry.path)
        if entry.path.startswith(PAYLOAD) == payload and entry.path != TAG_MANIFEST
    ]
    return "".join(lines).encode("utf-8", "surrogateescape")


def _encoded(path: str) -> str:
    """BagIt's way with the three characters that would end a line or begin an escape."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def name_problem(path: str) -> str | None:
    """Why a manifest could not hold a path in a form that every program reads alike; None where it can.

    BagIt writes `%` as `%25`; sha512sum takes that for the name. bagit.py cuts lines at every kind of line end, and
    spaces off their ends.

    >>> name_problem("data/cut at 50 %"), name_problem("data/naïve cut.txt")
    ('has a % in its name', None)
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if "%" in path:
        return "has a % in its name"
    if len(path.splitlines()) > 1 or path != path.strip():
        return "has a line end, or a space at the end, in its name"
    return None


def info(entries: Sequence[Entry], fields: Mapping[str, str]) -> bytes:
    """bag-info.txt: what the fields say, and the payload's bytes and files."""
    payload = [entry for entry in entries if entry.path.startswith(PAYLOAD)]
    oxum = f"{sum(entry.size for entry in payload)}.{len(payload)}"
    return "".join(f"{key}: {value}\n" for key, value in {**fields, "Payload-Oxum": oxum}.items()).encode()


def close(root: Path, payload: Sequence[Entry], fields: Mapping[str, str]) -> list[Entry]:
    """Makes a bag of a directory whose payload has been hashed. Gives the entries of everything in it."""
    store.write_atomic(root / DECLARATION, VERSION)
    store.write_atomic(root / INFO, info(payload, fields))
    store.write_atomic(root / MANIFEST, manifest(payload, payload=True))
    tags = read(members_of_tags(root))
    store.write_atomic(root / TAG_MANIFEST, manifest(tags, payload=False))
    return [*payload, *tags]


def members_of_tags(root: Path) -> list[Member]:
    """The files beside the payload."""
    return [member(root, path.name) for path in sorted(root.iterdir()) if path.is_file()]


def problems(entries: Sequence[Entry], stored: Mapping[str, bytes]) -> list[str]:
    """What is wrong with a bag, by its files as they were found and its manifests as they are stored."""
    found = []
    if stored.get(DECLARATION) != VERSION:
        found.append(f"{DECLARATION} is not that of a BagIt 1.0 bag")
    found += _differences(entries, stored.get(MANIFEST), MANIFEST, payload=True)
    found += _differences(entries, stored.get(TAG_MANIFEST), TAG_MANIFEST, payload=False)
    return found


def _differences(entries: Sequence[Entry], stored: bytes | None, name: str, *, payload: bool) -> list[str]:
    """How a stored manifest differs from that of the files: file by file, as far as it can be read."""
    made = manifest(entries, payload=payload)
    if stored == made:
        return []
    if stored is None:
        return [f"there is no {name}"]
    said, here = rows(stored), rows(made)
    found = [f"{path} is missing" for path in sorted(said.keys() - here.keys())]
    found += [f"{path} is not in {name}: it was added" for path in sorted(here.keys() - said.keys())]
    found += [
        f"{path} has changed: its hash is not that in {name}"
        for path in sorted(here.keys() & said.keys())
        if here[path] != said[path]
    ]
    return found or [f"{name} was written by something else: its rows are not in their one form"]


def rows(text: bytes) -> dict[str, str]:
    """A manifest, as far as it can be read: the hash of each path, in which only a line feed ends a line."""
    lines = (line.partition("  ") for line in text.decode("utf-8", "surrogateescape").split("\n") if line)
    return {path: digest for digest, _, path in lines}
