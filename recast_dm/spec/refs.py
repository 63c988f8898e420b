"""`$ref`: one specification out of several files, as upstream's JSON references resolve it.

A reference names a file (percent-encoded), a place in it after `#` (a JSON pointer, percent-encoded), or both. It is
relative to the file that it stands in; in the first document, to the toplevel directory, and only then to its own.
Local files may not leave the toplevel directory. Files on servers are read when somebody hands in a `Fetch`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from recast_dm.errors import RemoteError, SpecError
from recast_dm.spec import remote, text
from recast_dm.spec.shape import did_you_mean, kind
from recast_dm.spec.text import MAX_DEPTH, MAX_NODES, Node

MAX_REFERENCES = 1000
MAX_DOCUMENTS = 200
_REMOTE = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file here, and the directory that it may not leave."""

    path: Path
    top: Path

    @property
    def key(self) -> str:
        return str(self.path)

    @property
    def shown(self) -> str:
        return os.path.relpath(self.path) if self.path.is_relative_to(Path.cwd()) else str(self.path)

    @property
    def directory(self) -> LocalDirectory:
        return LocalDirectory(self.path.parent, self.top)


@dataclass(frozen=True, slots=True)
class LocalDirectory:
    """A directory here, and the one that no reference may leave."""

    path: Path
    top: Path

    def file(self, name: str) -> LocalFile:
        """The file of a name. Raises ValueError for what can be no file."""
        try:
            path = (self.path / unquote(name)).resolve()
            path.is_file()
        except (OSError, ValueError, RuntimeError):  # a NUL byte, a name that is too long, links in a circle
            raise ValueError("names no file") from None
        if not path.is_relative_to(self.top):
            raise ValueError(_LEAVES)
        return LocalFile(path, self.top)


File = LocalFile | remote.RemoteFile
Directory = LocalDirectory | remote.Web | remote.Repository
_LEAVES = "leaves the analysis directory"


def load(path: Path, top: Path, *, pointer: str = "", fetch: remote.Fetch | None = None) -> Node:
    """The document at `path` with every `$ref` replaced by what it names.

    `top` is the toplevel directory: local references may not leave it. `pointer` names a part of the document.
    Errors name files as seen from here. Raises SpecError and RemoteError.
    """
    toplevel = LocalDirectory(top.resolve(), top.resolve())
    own = path.resolve()
    if own.is_relative_to(toplevel.path):
        return load_file(LocalFile(own, toplevel.top), toplevel, pointer=pointer, fetch=fetch)
    return load_file(LocalFile(own, own.parent), toplevel, pointer=pointer, fetch=fetch)


def load_file(file: File, toplevel: Directory, *, pointer: str = "", fetch: remote.Fetch | None = None) -> Node:
    """The document in a file, here or on a server, whose references begin at `toplevel`."""
    return _References(fetch).document(file, toplevel, pointer)


@dataclass(frozen=True, slots=True)
class _Document:
    """A file, what it holds, and the directories that its references are tried against."""

    file: File
    root: Node
    directories: tuple[Directory, ...]


class _References:
    def __init__(self, fetch: remote.Fetch | None) -> None:
        self._fetch = fetch
        self._read: dict[str, Node | None] = {}
        self._references = 0
        self._values = 0

    def document(self, file: File, toplevel: Directory, pointer: str) -> Node:
        if isinstance(file, LocalFile):
            root = text.read(file.path, file.shown)
        else:
            root = file.read(self._need_fetch(file, None))
        self._read[file.key] = root
        document = _Document(file, root, (toplevel, file.directory))
        node, document = self._walk(document, pointer, Node(f"#{pointer}", root.where), ())
        return self._resolve(node, document, (), 0)

    def _resolve(self, node: Node, document: _Document, trail: tuple[str, ...], depth: int) -> Node:
        self._values += 1
        if self._values > MAX_NODES:
            raise SpecError(f"more than {MAX_NODES} values, with references followed", where=node.where)
        if depth > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} levels deep, with references followed", where=node.where)
        if isinstance(node.value, tuple):
            return Node(tuple(self._resolve(item, document, trail, depth + 1) for item in node.value), node.where)
        if not isinstance(node.value, Mapping):
            return node
        reference = _reference(node)
        if reference is None:
            entries = {key: self._resolve(item, document, trail, depth + 1) for key, item in node.value.items()}
            return Node(entries, node.where)
        found, document, step = self._find(reference, document, ())
        if step in trail:
            raise SpecError(f"the reference {_text(reference)!r} leads back to itself", where=reference.where)
        return self._resolve(found, document, (*trail, step), depth + 1)

    def _find(self, reference: Node, document: _Document, chain: tuple[str, ...]) -> tuple[Node, _Document, str]:
        """What a reference names, the document that it stands in, and a name for the two together.

        `chain` holds the references that are being followed on the way to it.
        """
        self._references += 1
        if self._references > MAX_REFERENCES:
            raise SpecError(f"more than {MAX_REFERENCES} references", where=reference.where)
        name, _, pointer = str(reference.value).partition("#")
        target = self._target(name, document, reference) if name else document
        step = f"{target.file.key}#{pointer}"
        if step in chain:
            raise SpecError(f"the reference {_text(reference)!r} leads back to itself", where=reference.where)
        if len(chain) >= MAX_DEPTH:
            raise SpecError(f"more than {MAX_DEPTH} references lead on from here", where=reference.where)
        node, found_in = self._walk(target, pointer, reference, (*chain, step))
        return node, found_in, step

    def _walk(
        self, document: _Document, pointer: str, reference: Node, chain: tuple[str, ...]
    ) -> tuple[Node, _Document]:
        """Follows a JSON pointer into a document, and the references on its way."""
        node = document.root
        for raw in _parts(pointer):
            on_the_way = _reference(node)
            if on_the_way is not None:
                node, document, _ = self._find(on_the_way, document, chain)
            node = _child(node, raw.replace("~1", "/").replace("~0", "~"), reference)
        return node, document

    def _target(self, name: str, document: _Document, reference: Node) -> _Document:
        """The document that a reference names: the first of its candidates that exists."""
        files, refusals = _candidates(name, document, reference)
        for file in files:
            root = self._content(file, reference)
            if root is not None:
                return _Document(file, root, (file.directory,))
        what = f"the reference {_text(reference)!r}"
        if not files:
            hint = "a preserved analysis holds everything it needs; copy the file into it"
            raise SpecError(
                f"{what} {refusals[0]}", where=reference.where, hint=hint if refusals[0] == _LEAVES else None
            )
        what += " names a file that does not exist"
        if isinstance(files[-1], LocalFile):
            raise SpecError(what, where=reference.where)
        raise RemoteError(
            f"{what}: {files[-1].shown} (HTTP 404)", where=reference.where, hint="check the address, and its ref"
        )

    def _content(self, file: File, reference: Node) -> Node | None:
        """The document in a file, read once; None when there is no such file."""
        if file.key not in self._read:
            if len(self._read) >= MAX_DOCUMENTS:
                raise SpecError(f"more than {MAX_DOCUMENTS} documents", where=reference.where)
            self._read[file.key] = self._fresh(file, reference)
        return self._read[file.key]

    def _fresh(self, file: File, reference: Node) -> Node | None:
        if isinstance(file, LocalFile):
            return text.read(file.path, file.shown) if file.path.is_file() else None
        fetch = self._need_fetch(file, reference)
        try:
            return file.read(fetch)
        except remote.Missing:
            return None
        except RemoteError as error:
            raise RemoteError(error.message, where=reference.where, hint=error.hint) from None

    def _need_fetch(self, file: remote.RemoteFile, reference: Node | None) -> remote.Fetch:
        if self._fetch is None:
            where = reference.where if reference else None
            raise SpecError(f"{file.shown} is on a server", where=where, hint=remote.ALLOW)
        return self._fetch


def _reference(node: Node) -> Node | None:
    """The text of a `$ref`, if that is what a node is. Other keys beside it do not count, as upstream."""
    target = node.value.get("$ref") if isinstance(node.value, Mapping) else None
    return target if target is not None and isinstance(target.value, str) else None


def _text(reference: Node) -> str:
    """A reference as errors show it: of an address, only what is no secret."""
    written = str(reference.value)
    return remote.shown(written) if _REMOTE.match(written) else written[:300]


def _candidates(name: str, document: _Document, reference: Node) -> tuple[list[File], list[str]]:
    """The files that a name can mean in a document, most likely first, and why others cannot be meant."""
    if _SCHEME.match(name) and not _REMOTE.match(name):
        raise SpecError(
            f"the reference {_text(reference)!r} is neither a file nor an address with https",
            where=reference.where,
            hint="copy the file beside this one",
        )
    files: dict[str, File] = {}
    refusals: list[str] = []
    for file in _files(name, document, refusals):
        files.setdefault(file.key, file)
    return list(files.values()), refusals


def _files(name: str, document: _Document, refusals: list[str]) -> Iterator[File]:
    for directory in document.directories:
        try:
            if isinstance(directory, LocalDirectory) and _REMOTE.match(name):
                yield remote.Web(name).file("")
            else:
                yield directory.file(name)
        except ValueError as error:
            refusals.append(str(error))


def _parts(pointer: str) -> list[str]:
    """The steps of a JSON pointer: decoded first and cut then, so that `%2F` separates, as RFC 6901 and upstream do.

    >>> _parts("/my%20steps/generate"), _parts("a%2Fb"), _parts("/")
    (['my steps', 'generate'], ['a', 'b'], [])
    """
    inner = unquote(pointer).strip("/")
    return inner.split("/") if inner else []


def _child(node: Node, part: str, reference: Node) -> Node:
    if isinstance(node.value, Mapping) and part in node.value:
        return node.value[part]
    if isinstance(node.value, tuple) and part.isascii() and part.isdecimal() and int(part[:9]) < len(node.value):
        return node.value[int(part[:9])]
    known = node.value if isinstance(node.value, Mapping) else ()
    raise SpecError(
        f"the reference {_text(reference)!r} names {part[:100]!r}, which is not in {kind(node)} there",
        where=reference.where,
        hint=did_you_mean(part[:100], known),
    )
