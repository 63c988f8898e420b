"""What words for a catalogue mean: paths of capsules, analyses and entries; directories and lists of them; addresses.

A list is RECAST's index of entries: `name`, `tags` and `recast_catalogue_entries`, the paths or addresses of entries
and capsules, seen from the list. Addresses are https, and nothing is fetched without a `Fetch`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from recast_dm.capsule import layout, packing
from recast_dm.capsule.catalogue.about import About, about, has_manifest, of_recast
from recast_dm.errors import RecastError, UsageError
from recast_dm.spec import analysis, inputs, remote, text

ENTRIES = "recast_catalogue_entries"
SPECS = (".yml", ".yaml")
MAX_DEPTH = 4
MAX_PLACES = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A place, and what is there; where that cannot be told, why."""

    place: str
    about: About | None
    reason: str = ""


def is_address(place: str) -> bool:
    return place.startswith(("https://", "http://"))


def local(word: str) -> Path:
    """A path as a place: one name, whichever way led there. A link to a thing stays that link.

    >>> local("/usr/bin/../../etc/hosts")
    PosixPath('/etc/hosts')
    """
    path = Path(word)
    try:
        return path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
    except (OSError, RuntimeError, ValueError):  # too long; links in a circle; a NUL byte
        return path.absolute()


def expand(word: str, fetch: remote.Fetch | None = None) -> list[Found]:
    """Everything that a word means.

    Raises UsageError for what cannot be there, and whatever is wrong with the one thing that it names; what is wrong
    with one of many is said with it.
    """
    found = list(_of_address(word, fetch, 0) if is_address(word) else _of_path(local(word), fetch))
    if not found:
        raise UsageError(
            f"{word} holds nothing for a catalogue", hint=f"name a capsule, or a directory with a {analysis.MANIFEST}"
        )
    return found


def _of_path(path: Path, fetch: remote.Fetch | None) -> Iterator[Found]:
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="name a capsule, an analysis, a directory of them, or a list")
    listed = _entries(path)
    if listed is not None:
        yield from _of_list(path, listed, fetch, 0)
    elif packing.is_capsule(path) or has_manifest(path):
        place = _place(path)
        yield Found(place, about(Path(place)))
    else:
        yield from of_directory(path)


def _place(path: Path) -> str:
    """An analysis is its directory, also where its recast.yml is named."""
    if path.name == analysis.MANIFEST and about(path).kind == "analysis":
        return str(path.parent)
    return str(path)


def of_directory(directory: Path) -> Iterator[Found]:
    """What lies in a directory: capsules, analyses, entries, and lists of them. What is broken says why."""
    try:
        children = sorted(child for child in directory.iterdir() if not child.name.startswith("."))
    except OSError as error:
        yield Found(str(directory), None, f"cannot list it: {error.strerror}")
        return
    for child in children:
        if packing.is_capsule(child) or (child.is_dir() and has_manifest(child)):
            yield _found(child)
        elif child.suffix in SPECS and inputs.is_file(child):
            yield from _of_file(child, None, 0)


def _of_file(path: Path, fetch: remote.Fetch | None, depth: int) -> Iterator[Found]:
    """A YAML file: an entry, a list, or something else, which no catalogue cares for."""
    try:
        document = text.read(path, os.path.relpath(path)).plain()
    except RecastError as error:
        yield Found(str(path), None, error.message)
        return
    if not isinstance(document, Mapping):
        return
    if ENTRIES in document:
        yield from _of_list(path, document, fetch, depth)
    elif "spec" in document and "name" in document:
        yield _found(path)


def _found(path: Path) -> Found:
    try:
        return Found(str(path), about(path))
    except (RecastError, OSError) as error:
        return Found(str(path), None, error.message if isinstance(error, RecastError) else str(error))


def _entries(path: Path) -> Mapping[str, Any] | None:
    """The list in a file, if it is one."""
    if path.suffix not in SPECS or not inputs.is_file(path):
        return None
    document = text.read(path, os.path.relpath(path)).plain()
    return document if isinstance(document, Mapping) and ENTRIES in document else None


def _names(document: Mapping[str, Any], where: str) -> Iterable[str]:
    names = document[ENTRIES]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{where}: {ENTRIES} is no list of paths and addresses")
    if len(names) > MAX_PLACES:
        raise UsageError(f"{where} lists {len(names)} entries; {MAX_PLACES} may be")
    return names


def _deeper(depth: int, where: str) -> int:
    if depth == MAX_DEPTH:
        raise UsageError(f"{where}: more than {MAX_DEPTH} lists of lists")
    return depth + 1


def _of_list(file: Path, document: Mapping[str, Any], fetch: remote.Fetch | None, depth: int) -> Iterator[Found]:
    deeper = _deeper(depth, str(file))
    for name in _names(document, str(file)):
        if is_address(name):
            yield from _of_address(name, fetch, deeper)
            continue
        path = Path(os.path.normpath(file.parent / name))
        if path.suffix in SPECS and inputs.is_file(path):
            yield from _of_file(path, fetch, deeper)
        else:
            yield _found(path)


# --- on servers ------------------------------------------------------------------------------------------------------


def _of_address(url: str, fetch: remote.Fetch | None, depth: int) -> Iterator[Found]:
    """An address is kept as it is; with a fetch, what it says of itself is kept too, and a list is opened."""
    _check(url)
    path = urlsplit(url).path.rstrip("/")
    if fetch is None or path.endswith(tuple(packing.SUFFIXES)):
        yield Found(url, None)
    elif path.endswith(SPECS):
        data = fetch(url)
        document = text.decode(data, remote.shown(url)).plain()
        if isinstance(document, Mapping) and ENTRIES in document:
            deeper = _deeper(depth, remote.shown(url))
            for name in _names(document, remote.shown(url)):
                yield from _of_address(urljoin(url, name), fetch, deeper)
        else:
            yield Found(url, of_recast(document, "recast-entry", hashlib.sha256(data).hexdigest()))
    else:
        yield Found(url, _of_remote_capsule(url.rstrip("/"), fetch))


def _of_remote_capsule(url: str, fetch: remote.Fetch) -> About:
    """What a capsule's directory on a server says."""
    where = f"{url}/{layout.MANIFEST}"
    try:
        document = json.loads(fetch(where, limit=packing.MAX_MANIFEST))
    except (ValueError, RecursionError):
        raise UsageError(
            f"{remote.shown(where)} is not JSON", hint="name the directory of a capsule, or a list"
        ) from None
    manifest = packing.checked_manifest(document, remote.shown(where))
    return About(kind="capsule", name=manifest["name"], title=manifest["title"], digest=manifest["digest"])


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname)
    except ValueError:
        raise UsageError(f"{remote.shown(url)} is not an address") from None
    if parts.username or parts.password:
        raise UsageError(f"{remote.shown(url)}: the address holds a user's name or password", hint="leave them out")
    if parts.scheme != "https" or not named:
        raise UsageError(f"{remote.shown(url)} is no https address", hint="a catalogue names https addresses only")
