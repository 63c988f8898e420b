"""The texts of an analysis directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LARGEST = 16 * 1024 * 1024
"""What is larger is data; nobody types so much."""
_NOT_OURS = frozenset({".git", "__pycache__", ".pytest_cache", ".ipynb_checkpoints"})


def is_left_out(path: Path) -> bool:
    """Whether something in an analysis directory is no part of it: caches of programs, git's own files, and runs.

    Runs are there when somebody works in the directory of the analysis; a link to one (`latest`) counts as it.
    """
    is_run = (path / "run.json").is_file() and (path / ".records").is_dir()
    return path.name in _NOT_OURS or path.suffix == ".pyc" or is_run


def texts(directory: Path) -> Iterator[tuple[str, bytes]]:
    """The relative name and the bytes of every text file that capture would take, sorted; links are not followed."""
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not is_left_out(Path(folder) / name))
        for name in sorted(files):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                data = path.read_bytes()
                if not is_binary(data):
                    yield str(path.relative_to(directory)), data


def is_binary(data: bytes) -> bool:
    """Whether a file's bytes are no text: git's own way to tell."""
    return b"\0" in data[:8000]
