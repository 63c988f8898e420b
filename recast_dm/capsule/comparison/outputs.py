"""Which files of a run directory, or of a capsule's reference outputs, the comparison rules name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from recast_dm.engine.rundir import result_file
from recast_dm.errors import storage_error
from recast_dm.spec.reference import Rule

Named: TypeAlias = "dict[str, tuple[Rule, Path]]"


def named(rules: Iterable[Rule], root: Path) -> Named:
    """The files that rules name below a directory, by the path to keep them under; the first rule of a file holds.

    That path is the rule's own, or for one with wildcards the one in the run directory.
    """
    files = tuple(_files(root))
    found: dict[str, tuple[Rule, Path]] = {}
    taken: set[Path] = set()
    for rule in rules:
        for name, path in _of(rule, root, files):
            if path not in taken:
                taken.add(path)
                found[name] = (rule, path)
    return found


def _of(rule: Rule, root: Path, files: Iterable[str]) -> Iterator[tuple[str, Path]]:
    if rule.pattern:
        yield from ((name, root / name) for name in files if any(map(rule.matches, _names(name))))
        return
    place = result_file(root, rule.path)
    if place.is_dir():
        inside = place.relative_to(root)
        yield from (
            (f"{rule.path}/{Path(name).relative_to(inside)}", root / name)
            for name in files
            if Path(name).is_relative_to(inside)
        )
    elif place.exists() or place.is_symlink():
        yield rule.path, place


def _names(name: str) -> tuple[str, ...]:
    """What a file may be called: `limit/0/limit.json` is `limit/limit.json` too, as in `results`."""
    stage, _, rest = name.partition("/")
    return (name, f"{stage}/{rest.removeprefix('0/')}") if rest.startswith("0/") else (name,)


def _files(root: Path) -> Iterator[str]:
    """Every file in a step's directory, sorted; what lies at the top, or is hidden there, is no step's."""
    for directory, names, files in os.walk(root, onerror=_unlisted):
        names[:] = sorted(name for name in names if directory != str(root) or not name.startswith("."))
        if directory != str(root):
            yield from (os.path.relpath(os.path.join(directory, name), root) for name in sorted(files))  # noqa: PTH118


def _unlisted(error: OSError) -> None:
    raise storage_error(error, "list outputs")
