"""Finished work, by key, shared by runs and points.

    CACHE/steps/1/<first two of key>/<key>/tree/...       the step's sealed files
    CACHE/steps/1/<first two of key>/<key>/entry.json     its tree, and how it was made

An entry appears whole, by a rename, and goes whole. Its bytes are hashed again before they are used; the time of its
directory is that of its last use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.errors import IntegrityError, RecastError, storage_error

SCHEMA = "recast-dm/cache-entry/1"
OLD = 24 * 3600.0
"""Seconds after which a half-written entry has no writer any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache holds under a key."""

    place: Path
    tree: store.Tree
    execution: Mapping[str, Any]


class StepCache:
    """The cache below a directory. Safe for concurrent writers: the first entry of a key stays."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = root / "steps" / "1"

    def _path(self, key: str) -> Path:
        return self._root / key[:2] / key

    def get(self, key: str) -> Entry | None:
        """The entry of a key, its files hashed. A damaged entry is removed and counts as absent."""
        path = self._path(key)
        if not path.is_dir():
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        try:
            document = store.read_json(path / "entry.json", SCHEMA)
            tree = store.tree_of(path / "tree")
            if tree.sha256 != document["tree"]:
                raise IntegrityError(f"the cache entry {key[:12]} has changed since it was written")
        except (RecastError, OSError, KeyError):
            self._discard(path)
            return None
        return Entry(path / "tree", tree, document["execution"])

    def peek(self, key: str) -> store.Tree | None:
        """The tree of an entry, going by names only: whether it is whole is seen when it is used."""
        path = self._path(key) / "tree"
        if not path.is_dir():
            return None
        try:
            return store.tree_of(path)
        except (RecastError, OSError):
            return None

    def put(self, key: str, tree: store.Tree, place: Path, execution: Mapping[str, Any]) -> None:
        """Keeps a sealed tree under its key."""
        target = self._path(key)
        temporary = store.temporary(target)
        try:
            temporary.mkdir(parents=True)
            store.link_tree(place, temporary / "tree")
            document = {"schema": SCHEMA, "key": key, "tree": tree.sha256, "execution": dict(execution)}
            store.write_atomic(temporary / "entry.json", store.pretty(document))
            store.rename_new(temporary, target)
            store.fsync_directory(target.parent)
            _tidy(target.parent)
        except OSError as error:
            raise storage_error(error, "keep a step in the cache") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def entries(self) -> Iterator[Path]:
        """The directory of every entry."""
        yield from (path for path in self._root.glob("??/*") if not store.is_temporary(path))

    def _discard(self, path: Path) -> None:
        trash = store.temporary(path)
        with contextlib.suppress(OSError):
            path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _tidy(directory: Path) -> None:
    """Removes what killed writers left half-written there: what is older than any writer that may still live."""
    for path in store.temporaries(directory):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD:
                store.remove(path)
