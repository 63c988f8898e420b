"""Where a capsule goes: made beside its place, and put there whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from recast_dm import store
from recast_dm.capsule import layout, packing
from recast_dm.errors import UsageError, storage_error

PACKED = (".7z", ".bz2", ".gz", ".tgz", ".txz", ".xz", ".zst", ".ZIP", ".TAR")
"""Suffixes of archives that a capsule has no form for: a directory of such a name would surprise everybody."""


def refuse_foreign(target: Path) -> None:
    """Only a capsule, or an empty place, is overwritten. Raises UsageError."""
    if target.suffix in PACKED:
        raise UsageError(
            f"{target}: a capsule is a directory, or one file that ends with .zip or .tar",
            hint="choose one of them; image layers are compressed already",
        )
    if not target.is_dir():
        packing.refuse_foreign(target)
    elif any(target.iterdir()) and not (target / layout.MANIFEST).is_file():
        raise UsageError(f"{target} exists and is not a capsule", hint="choose another name")


@contextlib.contextmanager
def new(target: Path) -> Iterator[Path]:
    """A directory beside the target, removed at the end unless it has become the target."""
    try:
        with store.unfinished(target) as temporary:
            yield temporary
    except OSError as error:
        raise storage_error(error, f"write the capsule {target}") from None


def put(temporary: Path, target: Path) -> None:
    """Puts the new capsule in place of the old one; in between there is none, never a mixture."""
    old = store.temporary(target)
    if target.exists():
        target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise
    store.fsync_directory(target.parent.absolute())
    shutil.rmtree(old, ignore_errors=True)
