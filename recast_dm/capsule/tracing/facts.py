"""What is asked of the disk after a traced run. An answer is kept: another run may change what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from recast_dm.capsule.tracing import provenance
from recast_dm.capsule.tracing.provenance import Machine, Owner

SHOWS = 16 * 1024 * 1024
"""Bytes of a file that is searched for texts."""
Answer = TypeVar("Answer")


class Facts:
    """Questions about files, each answered once.

    >>> facts = Facts(Machine("/root"))
    >>> facts.is_directory("/"), facts.is_file("/"), facts.size("/no such file")
    (True, False, 0)
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._known: dict[tuple[str, ...], object] = {}

    def _once(self, question: tuple[str, ...], answer: Callable[[], Answer]) -> Answer:
        if question not in self._known:
            self._known[question] = answer()
        return self._known[question]  # type: ignore[return-value]  # what this question was answered with

    def exists(self, path: str) -> bool:
        return self._once(("exists", path), Path(path).exists)

    def is_file(self, path: str) -> bool:
        return self._once(("file", path), Path(path).is_file)

    def is_directory(self, path: str) -> bool:
        return self._once(("directory", path), Path(path).is_dir)

    def is_code(self, path: str) -> bool:
        return self._once(("code", path), lambda: provenance.is_code(path))

    def interpreter(self, path: str) -> str | None:
        return self._once(("interpreter", path), lambda: provenance.interpreter(path))

    def owner(self, path: str) -> Owner:
        return self._once(("owner", path), lambda: self._machine.owner(path))

    def size(self, path: str) -> int:
        """Bytes; none of what is not there."""
        return self._once(("size", path), lambda: _size(path))

    def shows(self, path: str, text: str) -> bool:
        """Whether a file, if it is not too large, holds a text."""
        return self._once(("shows", path, text), lambda: _shows(path, text))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _shows(path: str, text: str) -> bool:
    try:
        return _size(path) <= SHOWS and text.encode("utf-8", "surrogateescape") in Path(path).read_bytes()
    except OSError:
        return False
