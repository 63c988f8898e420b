"""A new analysis: the template of one, with a name and an image in it."""

from __future__ import annotations

import re
from importlib.resources import as_file, files
from pathlib import Path

from recast_dm import store
from recast_dm.errors import UsageError, storage_error

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_IMAGE = re.compile(
    r"(?P<image>[a-z0-9][a-z0-9._/-]*(?::[0-9]+/[a-z0-9._/-]+)?):(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})"
)
_HIDDEN = {"gitignore": ".gitignore"}
"""Files that would mean something here already under the name that they get there."""


def write(directory: Path, image: str) -> tuple[str, ...]:
    """Writes the template analysis to a directory that does not exist, and gives the names of its files.

    The analysis is named as the directory. `image` is its steps' image, with a tag. The directory appears whole or
    not at all. Raises UsageError.
    """
    name = directory.absolute().name
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name an analysis and its image",
            hint="use lower-case letters and digits, with single dots, dashes or underscores between them",
        )
    if directory.exists() or directory.is_symlink():
        raise UsageError(f"{directory} exists already", hint="choose another name, or remove it")
    reference, tag = split(image)
    words = {"@NAME@": name, "@IMAGE@": reference, "@TAG@": tag}
    try:
        with (
            as_file(files("recast_dm") / "templates" / "analysis") as template,
            store.unfinished(directory) as temporary,
        ):
            names = _fill(template, temporary, words)
            temporary.rename(directory)
            store.fsync_directory(directory.absolute().parent)
    except OSError as error:
        raise storage_error(error, f"write {directory}") from None
    return names


def _fill(template: Path, target: Path, words: dict[str, str]) -> tuple[str, ...]:
    names = []
    for path in sorted(template.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        relative = path.relative_to(template)
        place = target / relative.with_name(_HIDDEN.get(path.name, path.name))
        text = path.read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        names.append(str(place.relative_to(target)))
    return tuple(sorted(names))


def split(image: str) -> tuple[str, str]:
    """An image's name and its tag. Raises UsageError for one that a steps.yml should not name.

    >>> split("registry.example.org:5000/group/analysis:1.0")
    ('registry.example.org:5000/group/analysis', '1.0')
    """
    found = _IMAGE.fullmatch(image)
    if not found or found["tag"] == "latest":
        raise UsageError(
            f"{image!r} is no image with a version",
            hint="write NAME:TAG, as in python:3.11-slim; `latest` means another image tomorrow",
        )
    return found["image"], found["tag"]
