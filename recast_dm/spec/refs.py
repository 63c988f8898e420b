"""`$ref`: one specification out of several files, as JSON references resolve it, below one directory."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from recast_dm.errors import SpecError
from recast_dm.spec.shape import did_you_mean, kind
from recast_dm.spec.text import MAX_DEPTH, MAX_NODES, Node, read

MAX_REFERENCES = 1000
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def load(path: Path, top: Path) -> Node:
    """The document at `path` with every `$ref` replaced by what it names.

    References are relative to the file they stand in and may not leave `top`. Errors name files as seen from here.
    """
    return _References(top).document(path)


class _References:
    def __init__(self, top: Path) -> None:
        self._top = top.resolve()
        self._documents: dict[Path, Node] = {}
        self._references = 0
        self._values = 0

    def document(self, path: Path) -> Node:
        return self._resolve(self._read(path), path.resolve(), (), 0)

    def _read(self, path: Path) -> Node:
        real = path.resolve()
        if real not in self._documents:
            name = os.path.relpath(real) if real.is_relative_to(Path.cwd()) else str(real)
            self._documents[real] = read(real, name)
        return self._documents[real]

    def _resolve(self, node: Node, file: Path, trail: tuple[str, ...], depth: int) -> Node:
        self._values += 1
        if self._values > MAX_NODES:
            raise SpecError(f"more than {MAX_NODES} values, with references followed", where=node.where)
        if depth > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} levels deep, with references followed", where=node.where)
        if isinstance(node.value, tuple):
            return Node(tuple(self._resolve(item, file, trail, depth + 1) for item in node.value), node.where)
        if not isinstance(node.value, Mapping):
            return node
        target = node.value.get("$ref")
        if target is None or not isinstance(target.value, str):
            entries = {key: self._resolve(item, file, trail, depth + 1) for key, item in node.value.items()}
            return Node(entries, node.where)
        return self._follow(target, file, trail, depth)

    def _follow(self, reference: Node, file: Path, trail: tuple[str, ...], depth: int) -> Node:
        text = str(reference.value)
        self._references += 1
        if self._references > MAX_REFERENCES:
            raise SpecError(f"more than {MAX_REFERENCES} references", where=reference.where)
        name, _, fragment = text.partition("#")
        if _REMOTE.match(name):
            raise SpecError(f"remote reference {text!r}", where=reference.where, hint="copy the file beside this one")
        target = self._target(name, file, reference)
        if not target.is_relative_to(self._top):
            raise SpecError(
                f"the reference {text!r} leaves the analysis directory",
                where=reference.where,
                hint="a preserved analysis holds everything it needs; copy the file into it",
            )
        step = f"{target}#{fragment}"
        if step in trail:
            raise SpecError(f"the reference {text!r} leads back to itself", where=reference.where)
        if not target.is_file():
            raise SpecError(f"the reference {text!r} names a file that does not exist", where=reference.where)
        node = self._pointer(self._read(target), fragment, reference)
        return self._resolve(node, target, (*trail, step), depth + 1)

    def _target(self, name: str, file: Path, reference: Node) -> Path:
        try:
            target = (file.parent / name).resolve() if name else file
            target.is_file()
        except (OSError, ValueError, RuntimeError):  # a NUL byte, a name that is too long, links in a circle
            raise SpecError(f"the reference {reference.value!r} names no file", where=reference.where) from None
        return target

    def _pointer(self, node: Node, fragment: str, reference: Node) -> Node:
        for raw in fragment.strip("/").split("/") if fragment.strip("/") else ():
            part = raw.replace("~1", "/").replace("~0", "~")
            if isinstance(node.value, Mapping) and part in node.value:
                node = node.value[part]
            elif isinstance(node.value, tuple) and part.isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
            else:
                known = node.value if isinstance(node.value, Mapping) else ()
                raise SpecError(
                    f"the reference {reference.value!r} names {part!r}, which is not in {kind(node)} there",
                    where=reference.where,
                    hint=did_you_mean(part, known),
                )
        return node
