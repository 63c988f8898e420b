"""The directory of a user's own models: one YAML file a model, named as the model is."""

from __future__ import annotations

import re
from pathlib import Path

from recast_dm import store
from recast_dm.errors import UsageError, storage_error

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SUFFIX = ".yml"


def names(directory: Path) -> tuple[str, ...]:
    """The models in a directory, sorted; none where there is no directory."""
    if not directory.is_dir():
        return ()
    return tuple(sorted(path.stem for path in directory.glob(f"*{SUFFIX}") if NAME.fullmatch(path.stem)))


def file(directory: Path, name: str) -> Path | None:
    """The file of a model, or None."""
    path = directory / f"{name}{SUFFIX}"
    return path if NAME.fullmatch(name) and path.is_file() else None


def add(directory: Path, name: str, source: Path, *, replace: bool = False) -> Path:
    """Copies a model's file into the directory. Raises UsageError for a name that is taken."""
    kept = file(directory, name)
    if kept is not None and not replace:
        raise UsageError(
            f"you have a model {name!r} already", hint=f"--replace puts this one in its place; it is {kept}"
        )
    target = directory / f"{name}{SUFFIX}"
    try:
        store.make_directory(directory)
        store.write_atomic(target, source.read_bytes())
    except OSError as error:
        raise storage_error(error, f"keep the model {name}") from None
    return target


def remove(directory: Path, name: str) -> Path:
    """Takes a model out of the directory. Raises UsageError where it is not there."""
    kept = file(directory, name)
    if kept is None:
        known = ", ".join(names(directory))
        hint = f"your models: {known}" if known else "you have added none"
        raise UsageError(f"you have no model {name!r} of your own", hint=hint)
    try:
        kept.unlink()
    except OSError as error:
        raise storage_error(error, f"remove the model {name}") from None
    return kept
