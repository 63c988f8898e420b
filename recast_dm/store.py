"""Durable, atomic writes, content addresses, and trees of files.

A write is: temporary file beside the target, fsync, rename, fsync of the directory. A reader sees the old bytes or
the new ones, also after a power cut. Canonical JSON keeps int, float, bool and text distinct, so equal bytes mean
equal values.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.errors import IntegrityError, StorageError, storage_error

CHUNK = 1024 * 1024
_FICLONE = 0x40049409
"""From linux/fs.h: btrfs, xfs, bcachefs and NFS 4.2 know it."""


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; NaN and infinities are refused.

    >>> canonical({"b": 1.0, "a": [1, True, "x"]})
    b'{"a":[1,true,"x"],"b":1.0}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def pretty(value: Any) -> bytes:
    """JSON for files that people read; key order is the writer's."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sha256_file(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def sha256_name(data: bytes) -> str:
    """The digest of bytes as the OCI writes it.

    >>> sha256_name(b"")[:18]
    'sha256:e3b0c44298f'
    """
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tail(path: Path, size: int = 16 * 1024) -> bytes:
    """The last bytes of a file, nothing of one that does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read(size)
    except FileNotFoundError:
        return b""


def fsync_directory(path: Path) -> None:
    fsync(path, os.O_DIRECTORY)


def fsync(path: str | Path, flags: int = 0) -> None:
    """Has everything that was written to a file, or a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Replaces the file at `path` by `data`, durably. Raises StorageError (no space, not writable)."""
    unfinished = temporary(path)
    try:
        try:
            file = unfinished.open("xb", buffering=0)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = unfinished.open("xb", buffering=0)
        with file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) or 0 :]
            os.fsync(file.fileno())
        unfinished.rename(path)
        fsync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise storage_error(error, f"write {path}") from None


def read_document(path: Path) -> Any:
    """A JSON document. Raises IntegrityError."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise IntegrityError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not JSON: {error}") from None


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """A JSON document of ours, checked for its `schema` name. Raises IntegrityError."""
    document = read_document(path)
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise IntegrityError(
            f"{path} has the schema {found!r}, not {schema!r}",
            hint="was it written by another version of recast-dm, or changed by hand?",
        )
    return document  # type: ignore[no-any-return]  # checked to be a dict above


# --- trees -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """A file of a tree: path below it, size in bytes, SHA-256 in hex, and whether it may be executed."""

    path: str
    size: int
    sha256: str
    executable: bool = False
    mtime_ns: int = field(default=0, compare=False)

    def document(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size, "sha256": self.sha256, "executable": self.executable}


@dataclass(frozen=True, slots=True)
class Tree:
    """The regular files below a directory, sorted by path. Empty directories do not count."""

    files: tuple[File, ...]

    @property
    def sha256(self) -> str:
        """The content address: paths, contents and executable bits; not times, owners or sizes."""
        return digest([[file.path, file.sha256, file.executable] for file in self.files])

    def names(self) -> frozenset[str]:
        return frozenset(file.path for file in self.files)

    def document(self) -> list[dict[str, Any]]:
        return [file.document() for file in self.files]

    @classmethod
    def from_document(cls, document: list[dict[str, Any]]) -> Tree:
        return cls(
            tuple(File(f["path"], f["size"], f["sha256"], f["executable"], f.get("mtime_ns", 0)) for f in document)
        )


def materialise(root: Path, seen_as: str | None = None) -> list[str]:
    """Replaces the links of a finished tree by what they lead to, as far as that lies in the tree itself.

    `seen_as` is where whoever made a link saw the tree (`/workdir`). A link that leads elsewhere, nowhere, or around
    in a circle is removed: gives the names of those.
    """
    top = root.resolve()
    lost: list[str] = []
    links = list(_links(root))
    while links:
        targets = {link: _target(link, top, seen_as) for link in links}
        # a relative link means something else in a copy: directories are copied when there are none left in them
        simple = [link for link, target in targets.items() if target is None or not any(_links(target))]
        for link in simple or links:
            target = targets[link] if simple else None
            link.unlink()
            if target is None:
                lost.append(str(link.relative_to(root)))
            elif target.is_dir():
                shutil.copytree(target, link, copy_function=link_or_copy)
            else:
                link_or_copy(target, link)
        links = list(_links(root))
    return lost


def _links(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        for name in sorted([*names, *files]):
            if (Path(directory) / name).is_symlink():
                yield Path(directory) / name


def _target(link: Path, top: Path, seen_as: str | None) -> Path | None:
    """What a link leads to, if that is a file or directory of the tree that does not hold the link."""
    try:
        said = str(link.readlink())
        if seen_as and f"{said}/".startswith(f"{seen_as}/"):
            said = f"{top}{said.removeprefix(seen_as)}"
        target = (link.parent.resolve() / said).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    inside = target != top and target.is_relative_to(top) and not link.parent.resolve().is_relative_to(target)
    return target if inside and (target.is_dir() or target.is_file()) else None


def init_tree(root: Path) -> Tree:
    """The tree of init files, every byte hashed."""
    return _tree(_file(relative, path) for relative, path in _init_files(root))


def init_names(root: Path) -> frozenset[str]:
    """The paths of init files: those that `init_tree` has, and nothing is read."""
    return frozenset(relative for relative, _ in _init_files(root))


def _init_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Links that lead out of it and directories of runs do not belong to it."""
    top = root.resolve()
    for directory, names, found in os.walk(root, onerror=_unlisted):
        names[:] = sorted(n for n in names if not (Path(directory) / n / "run.json").is_file())
        for name in found:
            path = Path(directory) / name
            if path.is_file() and path.resolve().is_relative_to(top):
                yield str(path.relative_to(root)), path


def walk(root: Path, left_out: Callable[[Path], bool] = lambda _: False) -> Iterator[tuple[str, Path]]:
    """Every file below a directory, sorted; links, special files and closed directories raise IntegrityError.

    What is `left_out` is passed over, with all that lies below it.
    """
    for directory, names, files in os.walk(root, onerror=_unlisted):
        place = Path(directory)
        names[:] = sorted(name for name in names if not left_out(place / name))
        found = [*files, *(name for name in names if (place / name).is_symlink())]
        for path in (place / name for name in sorted(found)):
            if left_out(path):
                continue
            relative = str(path.relative_to(root))
            if not stat.S_ISREG(path.lstat().st_mode):
                raise IntegrityError(
                    f"{relative} in {root} is a link or a special file",
                    hint="outputs and inputs are regular files; copy what the link points to",
                )
            yield relative, path


def _unlisted(error: OSError) -> None:
    raise IntegrityError(f"cannot list {error.filename}: {error.strerror}") from None


def tree_of(root: Path) -> Tree:
    """The tree below a directory, every byte hashed."""
    return _tree(_file(relative, path) for relative, path in walk(root))


def _file(relative: str, path: Path) -> File:
    status = path.stat()
    executable = bool(status.st_mode & 0o100)
    return File(relative, status.st_size, sha256_file(path), executable, status.st_mtime_ns)


def _tree(files: Iterable[File]) -> Tree:
    return Tree(tuple(sorted(files, key=lambda file: file.path)))


def looks_like(tree: Tree, root: Path) -> bool:
    """Whether a directory holds just the files of a tree, going by names, sizes and times: nothing is read."""
    found = {}
    for relative, path in walk(root):
        status = path.lstat()
        found[relative] = (status.st_size, status.st_mtime_ns)
    return found == {file.path: (file.size, file.mtime_ns) for file in tree.files}


def seal(root: Path, owner: tuple[int, int] | None = None) -> None:
    """Makes a finished tree durable and read-only: files 0444 or 0555, directories 0755, owned by `owner`."""
    for directory, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(directory) / name
            mode = 0o555 if path.stat().st_mode & 0o100 else 0o444
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if owner:
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if owner:
            os.chown(directory, *owner, follow_symlinks=False)
        Path(directory).chmod(0o755)
        fsync_directory(Path(directory))


def link_tree(source: Path, target: Path) -> None:
    """A second name for every file of a sealed tree: hard links, or copies where the filesystem has none.

    The target appears whole or not at all, durably; one that exists already is left as it is.
    """
    unfinished = temporary(target)
    try:
        unfinished.mkdir(parents=True)
        for relative, path in walk(source):
            place = unfinished / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, place)
        rename_new(unfinished, target)
        fsync_directory(target.parent)  # filesystems with a journal keep the names inside before this one
    except OSError as error:
        raise storage_error(error, f"place files in {target}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def link_or_copy(path: str | Path, place: str | Path) -> None:
    """Names a file once more, or copies it where that cannot be."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)
        fsync(place)


def clone(path: Path, place: Path) -> bool:
    """A copy that shares its blocks with the original until one of them is written to, where the filesystem has that.

    Where it has not, there is none, and False.
    """
    with path.open("rb") as source, place.open("xb") as out:
        try:
            fcntl.ioctl(out, _FICLONE, source.fileno())
        except OSError:
            place.unlink()
            return False
    return True


def rename_new(source: Path, target: Path) -> None:
    """Renames a directory, unless the target is a directory with something in it: somebody was faster."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")


def temporary(path: Path) -> Path:
    """A new name beside a path, for what will be renamed to it, or has to go."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a name is that of something that a writer has not finished, or a dead one never will."""
    return _TEMPORARY.fullmatch(path.name) is not None


def temporaries(directory: Path) -> list[Path]:
    """What writers have not finished in a directory."""
    try:
        return [path for path in directory.iterdir() if is_temporary(path)]
    except OSError:
        return []


def make_directory(path: Path) -> Path:
    """Makes a directory and its parents. Raises StorageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StorageError(f"{path} is a file, not a directory") from None
    except OSError as error:
        raise storage_error(error, f"make the directory {path}") from None
    return path


@contextlib.contextmanager
def unfinished(target: Path, make: Callable[[Path], object] = make_directory) -> Iterator[Path]:
    """A new directory beside `target` (or what else is made), to be renamed to it; at the end it goes, if it is there.

    It is locked meanwhile: what is there already and is not was left by a process that was killed, and goes first.
    """
    tidy(target.absolute().parent, target.name)
    while True:
        path = temporary(target)
        make(path)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            with contextlib.suppress(OSError):  # not every filesystem has locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                break
            os.close(lock)  # somebody took it for one that was left, and removed it
    try:
        yield path
    finally:
        remove(path)
        os.close(lock)


def tidy(directory: Path, name: str | None = None) -> None:
    """Removes what is `unfinished` in a directory, of one target only if that is named, and locked by nobody."""
    for left in temporaries(directory):
        if name is None or left.name[: -len(f".{uuid.uuid4().hex}.tmp")] == f".{name}":
            with contextlib.suppress(OSError):
                lock = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(left)
                finally:
                    os.close(lock)


def remove(path: Path) -> None:
    """Removes a file, or a directory with everything in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def alone(path: Path, doing: str, *, strictly: bool = True) -> Iterator[None]:
    """Others who would change a file or directory wait meanwhile; `doing` says what for, should that not be possible.

    Unless `strictly`, nobody waits on filesystems without locks. Raises StorageError.
    """
    make_directory(path.parent)
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(error, doing) from None
    try:
        with contextlib.nullcontext() if strictly else contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
