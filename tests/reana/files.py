"""A workspace on disk: listed, downloaded, used space, and paths that may not leave it."""

from __future__ import annotations

import fnmatch
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.reana.things import BLOCK, moment, size


class BadPath(Exception):
    """A path that leaves the workspace; the message is REANA's."""


def inside(workspace: Path, name: str) -> Path:
    """A path of a workspace; one that begins with a slash is seen from there."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadPath("'..' is not a valid path component")
    return workspace.joinpath(*parts)


def walk(workspace: Path) -> Iterator[Path]:
    """Every file."""
    for directory, _, names in os.walk(workspace):
        yield from (Path(directory, name) for name in names)


def matching(workspace: Path, pattern: str | None) -> list[Path]:
    """The files that a request means: all, one, those of a directory (empty directories too), or those that match."""
    if pattern is None:
        return list(walk(workspace))
    place = inside(workspace, pattern)
    if place.is_dir():
        return sorted(path for path in place.rglob("*"))
    if place.is_file() and not set("*?[") & set(pattern):  # every path is a pattern, there
        return [place]
    wanted = pattern.lstrip("/")
    return [path for path in walk(workspace) if fnmatch.fnmatchcase(_relative(workspace, path), wanted)]


def item(workspace: Path, path: Path) -> dict[str, Any]:
    """A file in a listing."""
    found = path.stat()
    count = BLOCK if path.is_dir() else found.st_size
    return {"last-modified": moment(found.st_mtime), "name": _relative(workspace, path), "size": size(count)}


def packed(workspace: Path, paths: list[Path]) -> bytes:
    """Files as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            if path.is_file():
                archive.write(path, _relative(workspace, path))
    return buffer.getvalue()


def used(workspace: Path) -> int:
    """The bytes that a workspace takes on the server's disk, in whole blocks."""
    directories = sum(len(names) for _, names, _ in os.walk(workspace)) + 1
    return BLOCK * directories + sum(_blocks(path) for path in walk(workspace))


def usage(workspace: Path, search: str | None = None) -> list[dict[str, Any]]:
    """The bytes that each file and directory takes, the files of a directory before itself."""
    found = [
        {"name": f"/{_relative(workspace, path)}", "size": size(count)} for path, count in _usage(workspace, workspace)
    ]
    return [each for each in found if search is None or search in str(each["name"])]


def _usage(workspace: Path, directory: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            yield from _usage(workspace, path)
            yield path, used(path)
        else:
            yield path, _blocks(path)
    if directory == workspace:
        yield workspace, used(workspace)


def _blocks(path: Path) -> int:
    return -(-path.stat().st_size // BLOCK) * BLOCK


def _relative(workspace: Path, path: Path) -> str:
    return "" if path == workspace else path.relative_to(workspace).as_posix()
