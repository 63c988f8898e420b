"""What an image is made from: a container directory, and what it names of this repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from containers.assembler.dockerfile import Recipe
from containers.assembler.trees import Tree
from recast_dm import store
from recast_dm.errors import Location, SpecError, UsageError

FILES = ("Dockerfile", "requirements.txt", "sources")
IMAGES = "recast-dm"
"""Images are called IMAGES/<name of their directory>:1.0."""


def directories(root: Path, names: list[str]) -> list[Path]:
    """The container directories that are meant: each by its path or its name in containers/, all of them by default.

    Raises UsageError for an unknown one.
    """
    own = sorted(path.parent.relative_to(root) for path in (root / "containers").glob("*/Dockerfile"))
    if not names:
        return own
    return [_directory(root, name.rstrip("/"), own) for name in names]


def _directory(root: Path, name: str, own: list[Path]) -> Path:
    for candidate in (Path(name), Path("containers", name)):
        if (root / candidate / "Dockerfile").is_file():
            return candidate
    known = ", ".join(path.name for path in own)
    raise UsageError(f"there is no container directory {name!r} with a Dockerfile", hint=f"known: {known}")


def reference(directory: Path) -> str:
    """
    >>> reference(Path("tests/containers/toy"))
    'recast-dm/toy:1.0'
    """
    return f"{IMAGES}/{directory.name}:1.0"


def gather(root: Path, directory: Path, context: Path) -> None:
    """Copies a container directory's context together. Raises SpecError for what it should not hold."""
    for name in FILES:
        if not (root / directory / name).is_file():
            hint = "what a container directory holds stands at the top of containers/build.sh"
            raise SpecError(f"{directory} has no file {name!r}", hint=hint)
    context.mkdir(parents=True)
    for name in FILES[:2]:
        shutil.copyfile(root / directory / name, context / name)
    for source, place in _sources(root, directory / "sources"):
        _copy((root / source).resolve(), context / place)


def _sources(root: Path, file: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate((root / file).read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = Location(str(file), number)
        if len(words) != 2 or any(PurePosixPath(w).is_absolute() or ".." in PurePosixPath(w).parts for w in words):
            raise SpecError("expected 'REPO_PATH CONTEXT_PATH', both relative and without '..'", where=where)
        if not (root / words[0]).exists():
            raise SpecError(f"there is no file or directory {words[0]!r} in this repository", where=where)
        if not (root / words[0]).resolve().is_relative_to(root.resolve()):
            raise SpecError(f"{words[0]} leads out of this repository", where=where)
        yield words[0], words[1]


def _copy(source: Path, place: Path) -> None:
    tree = Tree()
    tree.add(source, "")
    for name, path in tree.files():
        target = place / name if name else place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink() or target.exists():
            target.unlink()
        shutil.copy2(path, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def digest(context: Path) -> str:
    """The hash of every path, mode and byte of a context."""
    found: list[list[str | int]] = []
    for name, path in Tree.of(context).files():
        if path.is_symlink():
            found.append([name, "link", str(path.readlink())])
        else:
            found.append([name, path.stat().st_mode & 0o777, store.sha256_file(path)])
    return store.digest(found)


def code(context: Path, recipe: Recipe) -> Tree:
    """What the COPY lines of a recipe bring. Raises SpecError for a path that is not there."""
    tree = Tree()
    for each in recipe.copies:
        source = context / each.source
        if not source.is_symlink() and not source.exists():
            hint = "`sources`, beside the Dockerfile, says what goes into the context"
            raise SpecError(f"there is no {each.source} in the context", where=each.where, hint=hint)
        tree.add(source, each.target)
    return tree
