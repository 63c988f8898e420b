"""The layers of images, read as streams: nothing is started, nothing is unpacked to the disk.

A layer is a tar of what it adds, and of whiteouts for what it takes away: `.wh.NAME` hides NAME of the layers below,
`.wh..wh..opq` everything that they have in its directory. What a layer says depends on nothing but its own bytes, so
a layer that several images share is read once; `Stack` says what is left of each layer in one image.
"""

from __future__ import annotations

import posixpath
import tarfile
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from recast_dm.errors import IntegrityError

MAX_ENTRIES = 1_000_000
MAX_HEADER = 64 * 1024
MAX_BYTES = 256 * 1024**3
MAX_GLOBALS = 1000
"""Bounds that no image that somebody works with comes near."""

_CHUNK = 64 * 1024
"""Read at once: for each header tarfile copies what it has not used of it yet."""
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_BROKEN = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError)
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"

Kind: TypeAlias = Literal["file", "directory", "link", "hard link", "device"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a layer adds at a path (relative, plain). `read` gives at most so many bytes of a file, once."""

    name: str
    kind: Kind
    size: int
    target: str
    read: Callable[[int], bytes]


class Names:
    """A set of names that takes eight bytes for each.

    >>> names = Names()
    >>> names.add("usr/bin")
    >>> "usr/bin" in names, "usr" in names
    (True, False)
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._sorted = True

    def add(self, name: str) -> None:
        self._hashes.append(hash(name))
        self._sorted = False

    def __contains__(self, name: str) -> bool:
        if not self._sorted:
            self._hashes, self._sorted = array("q", sorted(self._hashes)), True
        wanted = hash(name)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


@dataclass(slots=True)
class Shape:
    """Which names a layer adds and which it hides. `links` are the symbolic links of its top directory."""

    files: Names = field(default_factory=Names)
    directories: Names = field(default_factory=Names)
    whiteouts: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    _parent: str = ""

    def add(self, entry: Entry) -> bool:
        """Takes an entry in; False for a whiteout, which is no file."""
        self.entries += 1
        parent, _, base = entry.name.rpartition("/")
        if parent != self._parent:
            self._parent = parent
            for each in ancestors(entry.name):
                self.directories.add(each)
        if base.startswith(_WHITEOUT):
            if base == _OPAQUE:
                self.opaque.add(parent)
            elif not base.startswith(_WHITEOUT * 2):
                self.whiteouts.add(posixpath.join(parent, base.removeprefix(_WHITEOUT)))
            return False
        if entry.kind == "directory":
            self.directories.add(entry.name)
        else:
            self.files.add(entry.name)
        if entry.kind == "link" and not parent:
            self.links[entry.name] = entry.target
        return True

    def hides(self, name: str) -> bool:
        """Whether what a lower layer has at a name is gone or replaced."""
        if name in self.whiteouts or name in self.files or name in self.directories:
            return True
        return any(each in self.whiteouts or each in self.opaque or each in self.files for each in ancestors(name)) or (
            "" in self.opaque
        )


class Stack:
    """The layers of one image, bottom first."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._shapes = tuple(shapes)

    def keeps(self, layer: int, name: str) -> bool:
        """Whether what a layer adds at a name is in the image in the end."""
        return not any(shape.hides(name) for shape in self._shapes[layer + 1 :])

    def has(self, path: str) -> bool:
        """Whether the image has something at an absolute path; links of its top directory are followed."""
        name = plain(path) or ""
        if not name or self._present(name):
            return True
        top, _, rest = name.partition("/")
        target = next((s.links[top] for s in reversed(self._shapes) if top in s.links), None)
        if target is None or not rest:
            return False
        followed = plain(f"{target}/{rest}")
        return followed is not None and self._present(followed)

    def _present(self, name: str) -> bool:
        return any(
            (name in shape.files or name in shape.directories) and self._left(number, name)
            for number, shape in enumerate(self._shapes)
        )

    def _left(self, layer: int, name: str) -> bool:
        """As `keeps`, for a directory too: one that a later layer has as well is still there."""
        later = self._shapes[layer + 1 :]
        return all(not shape.hides(name) or name in shape.files or name in shape.directories for shape in later)


def ancestors(name: str) -> Iterator[str]:
    """The directories that a name lies in, from the top.

    >>> list(ancestors("usr/lib/os-release"))
    ['usr', 'usr/lib']
    """
    place = name.find("/")
    while place >= 0:
        yield name[:place]
        place = name.find("/", place + 1)


def plain(name: str) -> str | None:
    """A path of a tar as a relative path without `.`; None when it leaves the image.

    >>> plain("./usr//bin/"), plain("/etc"), plain("usr/../../etc")
    ('usr/bin', 'etc', None)
    """
    if name.startswith("./") or "//" in name or "/." in name or name[:1] in ("/", ".") or name[-1:] == "/":
        parts = [part for part in name.split("/") if part not in ("", ".")]
        return None if ".." in parts else "/".join(parts)
    return name


def shown(text: str) -> str:
    """A name that may hold anything, as it can be printed.

    >>> shown("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def entries(diff_id: str, stream: BinaryIO) -> Iterator[Entry]:
    """The entries of a layer's uncompressed tar, in its order. Raises IntegrityError for what is no proper layer."""
    try:
        with tarfile.open(
            mode="r|",
            fileobj=cast(BinaryIO, _Bounded(diff_id, stream)),  # a stream needs no more than read
            tarinfo=_Header,
            bufsize=_CHUNK,
            errorlevel=2,
        ) as tar:
            yield from _entries(diff_id, tar)
    except _BROKEN as error:
        raise _damaged(diff_id, str(error) or type(error).__name__) from None


def _entries(diff_id: str, tar: tarfile.TarFile) -> Iterator[Entry]:
    count = 0
    while (info := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember every entry
        count += 1
        if count > MAX_ENTRIES or len(tar.pax_headers) > MAX_GLOBALS:
            raise _damaged(diff_id, f"it has more than {MAX_ENTRIES} entries, or headers")
        name = plain(info.name)
        if name is None or "\0" in info.name:
            raise _damaged(diff_id, "it names a file outside the image")
        if name:
            yield Entry(name, _kind(info), info.size, info.linkname, _reader(diff_id, tar, info))


def _kind(info: tarfile.TarInfo) -> Kind:
    if info.isdir():
        return "directory"
    if info.issym():
        return "link"
    if info.islnk():
        return "hard link"
    return "file" if info.isreg() else "device"


def _reader(diff_id: str, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[int], bytes]:
    def read(most: int) -> bytes:
        file = tar.extractfile(info) if info.isreg() else None
        try:
            return file.read(most) if file else b""
        except _BROKEN as error:
            raise _damaged(diff_id, str(error)) from None

    return read


def _damaged(diff_id: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"the layer {diff_id[:19]} cannot be read: {ascii(why)[1:-1]}",
        hint="build or pull the image again; docker would refuse such a layer too",
    )


class _Header(tarfile.TarInfo):
    """A header that is refused before it costs memory or time; tarfile takes a broken one for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise ValueError(str(error)) from None
        if header.size < 0 or header.type == tarfile.GNUTYPE_SPARSE:
            raise ValueError("it has a sparse file, or one of no size")
        if header.type in _HEADERS and header.size > MAX_HEADER:
            raise ValueError("it has a header that is too large")
        return header

    def _proc_gnusparse_10(self, *_: Any) -> None:
        raise ValueError("it has a sparse file")


class _Bounded:
    """A stream that does not let tarfile read for ever, nor beyond the end."""

    def __init__(self, diff_id: str, stream: BinaryIO) -> None:
        self._diff_id = diff_id
        self._stream = stream
        self._left = MAX_BYTES
        self._empty = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        self._empty = 0 if data else self._empty + 1
        if self._left < 0 or self._empty > 16:
            raise _damaged(self._diff_id, "it ends within a file" if self._empty else "it is too large")
        return data
