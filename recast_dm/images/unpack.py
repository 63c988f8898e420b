"""Layers of an OCI layout laid over each other in a directory: what a container without an engine has for its root.

A layer is read once, hashed as it is read, and acts only below the directory: its paths are resolved there as in a
chroot. What would be dangerous on this machine is left out: devices, setuid bits and file capabilities.
"""
# ruff: noqa: PTH101, PTH102, PTH108, PTH115, PTH120, PTH208  # pathlib would take longer than the disk

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import queue
import shutil
import stat
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from recast_dm.errors import IntegrityError, storage_error
from recast_dm.images import blobs
from recast_dm.images.blobs import Layer

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MOST_LINKS = 40
PIECE, AHEAD = 256 * 1024, 16
"""Bytes that are read at a time, and pieces that are read ahead at most."""
_XATTR = "SCHILY.xattr."
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

T = TypeVar("T")

Owned = Callable[[int], int]
"""From the mode that a file has in its layer, the mode that it gets here."""


def unpack(root: Path, layers: Iterable[Layer], target: Path) -> None:
    """Makes the directory `target` out of layers of the OCI layout `root`, the lowest first.

    Raises IntegrityError for layers that are not what their diff_ids say, or that reach out of the directory.
    """
    try:
        target.mkdir(mode=0o755)
        tree = _Tree(target)
        for layer in layers:
            _apply(root, layer, tree)
        tree.finish()
    except OSError as error:
        raise storage_error(error, f"unpack an image into {target}") from None


def as_others_see_it(mode: int) -> int:
    """The mode of a file that belongs to the container's user here, and to root in the image.

    >>> oct(as_others_see_it(0o640)), oct(as_others_see_it(0o4755))
    ('0o0', '0o555')
    """
    return (mode & 0o007) * 0o111


def _plain(mode: int) -> int:
    """A mode without setuid and setgid: the cache is no place for programs that give rights away."""
    return mode & 0o1777


class _Ahead:
    """The tar file of a layer: a thread decompresses and hashes it while what came before is written to the disk.

    For `tarfile` it is a file that is read once, from its beginning to its end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._hasher = hashlib.sha256()
        self._coming: queue.Queue[bytes | BaseException] = queue.Queue(AHEAD)
        self._over = threading.Event()
        self._piece, self._at, self._passed = memoryview(b""), 0, 0
        self._thread = threading.Thread(target=self._fetch, args=(file,), daemon=True)
        self._thread.start()

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._coming.get(timeout=0.05)  # else it waits for room

    def _fetch(self, file: BinaryIO) -> None:
        try:
            while not self._over.is_set() and (piece := file.read(PIECE)):
                self._hasher.update(piece)
                self._coming.put(piece)
            self._coming.put(b"")
        except BaseException as error:  # noqa: BLE001  # it is raised again where the bytes are wanted
            self._coming.put(error)

    def _some(self, most: int) -> memoryview:
        """The next bytes: nothing at the end only."""
        if self._at == len(self._piece) and not self._over.is_set():
            came = self._coming.get()
            if isinstance(came, BaseException):
                raise came
            self._passed += self._at
            self._piece, self._at = memoryview(came), 0
            if not came:
                self._over.set()
        some = self._piece[self._at : self._at + most]
        self._at += len(some)
        return some

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes. Raises EOFError when there are fewer."""
        while size:
            some = self._some(size)
            if not some:
                raise EOFError("it ends in the middle of a file")
            size -= len(some)
            yield some

    def read(self, size: int) -> bytes:
        some = bytes(self._some(size))
        while len(some) < size and (more := self._some(size - len(some))):
            some += more
        return some

    def tell(self) -> int:
        return self._passed + self._at

    def seek(self, position: int) -> None:
        """Goes on to a position; never back."""
        for _ in self.pieces(position - self.tell()):
            pass

    def digest(self) -> str:
        """The hash of all that there is."""
        while self._some(PIECE):
            pass
        return f"sha256:{self._hasher.hexdigest()}"


def _apply(root: Path, layer: Layer, tree: _Tree) -> None:
    name = layer.diff_id[:19]
    try:
        with blobs.open_layer(root, layer) as file, _Ahead(file) as source:
            with tarfile.open(fileobj=source, mode="r:") as tar:  # type: ignore[call-overload]
                tree.begin()
                while member := tar.next():
                    tree.put(member, _content(member, tar, source))
                    tar.members = []  # else each stays in memory
            found = source.digest()
    except (tarfile.TarError, EOFError, UnicodeError, zlib.error, gzip.BadGzipFile) as error:
        raise IntegrityError(f"the layer {name} is no tar file: {error}") from None
    if found != layer.diff_id:
        raise IntegrityError(f"the layer {name} has changed: its hash is not its name")


def _content(member: tarfile.TarInfo, tar: tarfile.TarFile, source: _Ahead) -> Iterator[bytes | memoryview]:
    """The bytes of a file as they come."""
    if not member.issparse():
        source.seek(member.offset_data)
        yield from source.pieces(member.size)
    elif (whole := tar.extractfile(member)) is not None:
        while piece := whole.read(PIECE):
            yield piece


class _Tree:
    """A directory that layers are laid into. Nobody else writes there meanwhile."""

    def __init__(self, top: Path) -> None:
        self._top = str(top)
        self._fresh: set[str] = set()
        self._directories: dict[str, tuple[int, float]] = {}
        self._parents: dict[str, str] = {}
        self._mode: Owned = _plain if os.geteuid() == 0 else as_others_see_it

    def begin(self) -> None:
        """A new layer begins: whiteouts remove what is there now, and nothing that comes."""
        self._fresh = {self._top}

    def put(self, member: tarfile.TarInfo, content: Iterator[bytes | memoryview]) -> None:
        words = _words(member.name)
        if not words:
            self._directories[self._top] = (member.mode, member.mtime)
            return
        *above, name = words
        if name.startswith(WHITEOUT):
            self._whiteout(self._parent(above, make=False), name)
            return
        path = f"{self._parent(above)}/{name}"
        self._make(path, member, content)
        while path not in self._fresh:
            self._fresh.add(path)
            path = os.path.dirname(path)

    def finish(self) -> None:
        """Gives the directories their modes and times, which making files in them would have changed."""
        for path, (mode, mtime) in sorted(self._directories.items(), reverse=True):
            if _is_directory(path):
                os.chmod(path, _plain(mode) | 0o700)
                os.utime(path, (mtime, mtime))

    def _make(self, path: str, member: tarfile.TarInfo, content: Iterator[bytes | memoryview]) -> None:
        if member.isdir():
            if not _is_directory(path):
                self._anew(path, partial(os.mkdir, path, 0o755))
            self._directories[path] = (member.mode, member.mtime)
        elif member.islnk():
            source = self._linked(member)
            if source != path:
                self._anew(path, partial(os.link, source, path, follow_symlinks=False))
        elif member.issym():
            self._anew(path, partial(os.symlink, member.linkname, path))
            os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)
        elif member.isfile():
            self._write(self._anew(path, partial(os.open, path, _NEW, 0o600)), member, content)
        else:
            self._remove(path)

    def _write(self, descriptor: int, member: tarfile.TarInfo, content: Iterator[bytes | memoryview]) -> None:
        with open(descriptor, "wb", buffering=0) as out:
            for piece in content:
                rest = memoryview(piece)
                while rest:
                    rest = rest[out.write(rest) or 0 :]
            for name, value in member.pax_headers.items():
                if name.startswith(f"{_XATTR}user."):
                    with contextlib.suppress(OSError):  # not every filesystem has them
                        os.setxattr(descriptor, name.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
            os.fchmod(descriptor, self._mode(member.mode))
            os.utime(descriptor, (member.mtime, member.mtime))

    def _linked(self, member: tarfile.TarInfo) -> str:
        words = _words(member.linkname)
        source = f"{self._parent(words[:-1])}/{words[-1]}" if words else self._top
        if not os.path.lexists(source) or _is_directory(source):
            raise IntegrityError(f"the layer links {member.name!r} to {member.linkname!r}, which is no file in it")
        return source

    def _whiteout(self, parent: str, name: str) -> None:
        if name == OPAQUE:
            self._forget_below(parent)
        elif not name.startswith(WHITEOUT * 2):  # aufs kept its own things under those names
            hidden = name.removeprefix(WHITEOUT)
            if hidden in ("", ".", ".."):
                raise IntegrityError(f"the layer removes {name!r}, which names no file")
            if _is_directory(parent):
                self._forget(f"{parent}/{hidden}")

    def _forget(self, path: str) -> None:
        """Removes what lower layers put there; what this layer made stays."""
        if path not in self._fresh:
            self._remove(path)
        else:
            self._forget_below(path)

    def _forget_below(self, path: str) -> None:
        for name in os.listdir(path) if _is_directory(path) else ():
            self._forget(f"{path}/{name}")

    def _anew(self, path: str, make: Callable[[], T]) -> T:
        """Makes something where nothing is, and nothing else is left."""
        try:
            return make()
        except FileExistsError:
            self._remove(path)
            return make()

    def _remove(self, path: str) -> None:
        self._parents = {}  # a link or a directory that others were found through may go
        if _is_directory(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _parent(self, words: list[str], *, make: bool = True) -> str:
        """The directory that a path means here, its symbolic links followed as in a chroot.

        One that lacks is made, unless it is only asked for: then it may be none.
        """
        name = "/".join(words)
        found = self._parents.get(name)
        if found is None:
            found = self._followed(words, make=make)
            if make:
                self._parents[name] = found
        return found

    def _followed(self, words: list[str], *, make: bool) -> str:
        left, path, links = list(reversed(words)), self._top, 0
        while left:
            word = left.pop()
            if word == "..":
                path = path if path == self._top else os.path.dirname(path)
                continue
            step = f"{path}/{word}"
            mode = _mode_of(step)
            if stat.S_ISLNK(mode):
                links += 1
                if links > MOST_LINKS:
                    raise IntegrityError(f"the layer's {'/'.join(words)!r} follows its own links for ever")
                target = os.readlink(step)
                path = self._top if target.startswith("/") else path
                left += [each for each in reversed(target.split("/")) if each not in ("", ".")]
                continue
            if make and not mode:
                os.mkdir(step, 0o755)
            elif make and not stat.S_ISDIR(mode):
                raise IntegrityError(f"the layer puts something below {'/'.join(words)!r}, which is no directory")
            path = step
        return path


def _mode_of(path: str) -> int:
    """The mode of what is there, links not followed; 0 where nothing is."""
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_directory(path: str) -> bool:
    """Whether a directory is there, and no link to one."""
    return stat.S_ISDIR(_mode_of(path))


def _words(name: str) -> list[str]:
    """The parts of a path in a layer, absolute or not. Raises IntegrityError for one that climbs.

    >>> _words("/usr/./bin//sh")
    ['usr', 'bin', 'sh']
    """
    words = [word for word in name.split("/") if word not in ("", ".")]
    if ".." in words or "\0" in name:
        raise IntegrityError(f"the layer names {name[:100]!r}, which leads out of the image")
    return words
