"""Layers of an OCI layout laid over each other in a directory: what a container without an engine has for its root.

A layer is read once, hashed as it is read, and acts only below the directory: its paths are resolved there as in a
chroot. What would be dangerous on this machine is left out: devices, setuid bits and file capabilities.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from recast_dm import store
from recast_dm.errors import IntegrityError, storage_error
from recast_dm.images import blobs
from recast_dm.images.blobs import Layer

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MOST_LINKS = 40
_XATTR = "SCHILY.xattr."

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


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hasher = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hasher.update(data)
        return data

    def digest(self) -> str:
        while self.read(store.CHUNK):
            pass
        return f"sha256:{self._hasher.hexdigest()}"


def _apply(root: Path, layer: Layer, tree: _Tree) -> None:
    name = layer.diff_id[:19]
    try:
        with blobs.open_layer(root, layer) as file:
            source = _Hashed(file)
            with tarfile.open(fileobj=source, mode="r|", errorlevel=1) as tar:  # type: ignore[call-overload]
                tree.begin()
                for member in tar:
                    tree.put(member, tar)
                    tar.members = []  # else each stays in memory
            found = source.digest()
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise IntegrityError(f"the layer {name} is no tar file: {error}") from None
    if found != layer.diff_id:
        raise IntegrityError(f"the layer {name} has changed: its hash is not its name")


class _Tree:
    """A directory that layers are laid into. Nobody else writes there meanwhile."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._fresh: set[Path] = set()
        self._directories: dict[Path, tuple[int, float]] = {}
        self._mode: Owned = _plain if os.geteuid() == 0 else as_others_see_it

    def begin(self) -> None:
        """A new layer begins: whiteouts remove what is there now, and nothing that comes."""
        self._fresh = set()

    def put(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        words = _words(member.name)
        if not words:
            self._directories[self._top] = (member.mode, member.mtime)
            return
        if words[-1].startswith(WHITEOUT):
            self._whiteout(self._parent(words[:-1], make=False), words[-1])
            return
        path = self._parent(words[:-1]) / words[-1]
        self._make(path, member, tar)
        self._fresh.update((path, *path.parents))

    def finish(self) -> None:
        """Gives the directories their modes and times, which making files in them would have changed."""
        for path, (mode, mtime) in sorted(self._directories.items(), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.chmod(_plain(mode) | 0o700)
                os.utime(path, (mtime, mtime))

    def _make(self, path: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        if member.isdir():
            if path.is_symlink() or not path.is_dir():
                self._remove(path)
                path.mkdir()
            self._directories[path] = (member.mode, member.mtime)
            return
        source = self._linked(member) if member.islnk() else None
        if source == path:
            return
        self._remove(path)
        if source is not None:
            os.link(source, path, follow_symlinks=False)
        elif member.issym():
            path.symlink_to(member.linkname)
            os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)
        elif member.isfile():
            self._write(path, member, tar)

    def _write(self, path: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        content = tar.extractfile(member)
        assert content is not None  # noqa: S101  # it is a file
        with path.open("xb") as out:
            shutil.copyfileobj(content, out, store.CHUNK)
        for name, value in member.pax_headers.items():
            if name.startswith(f"{_XATTR}user."):
                with contextlib.suppress(OSError):  # not every filesystem has them
                    os.setxattr(path, name.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
        path.chmod(self._mode(member.mode))
        os.utime(path, (member.mtime, member.mtime))

    def _linked(self, member: tarfile.TarInfo) -> Path:
        words = _words(member.linkname)
        source = self._parent(words[:-1]) / words[-1] if words else self._top
        if not os.path.lexists(source) or stat.S_ISDIR(source.lstat().st_mode):
            raise IntegrityError(f"the layer links {member.name!r} to {member.linkname!r}, which is no file in it")
        return source

    def _whiteout(self, parent: Path, name: str) -> None:
        if name == OPAQUE:
            if not parent.is_dir():
                return
            for path in parent.iterdir():
                self._forget(path)
        elif not name.startswith(WHITEOUT * 2):  # aufs kept its own things under those names
            hidden = name.removeprefix(WHITEOUT)
            if hidden in ("", ".", ".."):
                raise IntegrityError(f"the layer removes {name!r}, which names no file")
            if parent.is_dir():
                self._forget(parent / hidden)

    def _forget(self, path: Path) -> None:
        """Removes what lower layers put there; what this layer made stays."""
        if path not in self._fresh:
            self._remove(path)
        elif path.is_dir() and not path.is_symlink():
            for each in path.iterdir():
                self._forget(each)

    def _remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _parent(self, words: list[str], *, make: bool = True) -> Path:
        """The directory that a path means here, its symbolic links followed as in a chroot.

        One that lacks is made, unless it is only asked for: then it may be none.
        """
        left, path, links = list(reversed(words)), self._top, 0
        while left:
            word = left.pop()
            if word == "..":
                path = path if path == self._top else path.parent
                continue
            step = path / word
            if step.is_symlink():
                links += 1
                if links > MOST_LINKS:
                    raise IntegrityError(f"the layer's {'/'.join(words)!r} follows its own links for ever")
                target = str(step.readlink())
                path = self._top if target.startswith("/") else path
                left += [each for each in reversed(target.split("/")) if each not in ("", ".")]
                continue
            if not make:
                pass
            elif not os.path.lexists(step):
                step.mkdir(mode=0o755)
            elif not step.is_dir():
                raise IntegrityError(f"the layer puts something below {'/'.join(words)!r}, which is no directory")
            path = step
        return path


def _words(name: str) -> list[str]:
    """The parts of a path in a layer, absolute or not. Raises IntegrityError for one that climbs.

    >>> _words("/usr/./bin//sh")
    ['usr', 'bin', 'sh']
    """
    words = [word for word in name.split("/") if word not in ("", ".")]
    if ".." in words or "\0" in name:
        raise IntegrityError(f"the layer names {name[:100]!r}, which leads out of the image")
    return words
