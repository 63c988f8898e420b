"""Blobs by their SHA-256, shared by every capsule that is captured here, and the layers among them by diff_id.

ROOT/blobs/sha256/<hex>      the bytes
ROOT/layers/<hex>.json       of a diff_id: which blob holds that layer, compressed
ROOT/lock                    shared by whoever takes blobs, had alone by whoever removes some

A capsule's OCI layout gets second names of these files, so a layer that two capsules share lies on the disk once.
What is taken from here is hashed again first: a blob that has changed is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from recast_dm import config, store
from recast_dm.errors import IntegrityError, storage_error
from recast_dm.images.compression import checked, chunks, pack

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FORGOTTEN = 24 * 3600
"""Seconds after which nobody finishes a file any more: its writer was killed."""

Open = Callable[[], IO[bytes]]
"""Gives the bytes of a layer, from the beginning each time."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as it is stored: `diff_id` is the hash of its tar file, `digest` and `size` are those of its blob."""

    diff_id: str
    digest: str
    size: int
    media_type: str = GZIP_LAYER

    def document(self) -> dict[str, Any]:
        return {"diff_id": self.diff_id, "digest": self.digest, "size": self.size, "media_type": self.media_type}


class Blobs:
    """A directory of blobs. Safe to use from several threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()

    def path(self, digest: str) -> Path:
        return blob_path(self.root, digest)

    def has(self, digest: str) -> bool:
        """Whether the blob is here and is what its name says.

        One that is not stays where it is: whoever makes it anew replaces it, and may have done so just now.
        """
        path = self.path(digest)
        try:
            if digest not in self._checked and f"sha256:{store.sha256_file(path)}" != digest:
                return False
        except OSError:
            return False
        self._checked.add(digest)
        return path.is_file()

    def add(self, data: bytes) -> str:
        """Keeps a small blob. Gives its digest."""
        digest = store.sha256_name(data)
        if not self.has(digest):
            store.write_atomic(self.path(digest), data)
            self._checked.add(digest)
        return digest

    def layer(self, diff_id: str) -> Layer | None:
        """The layer of that diff_id, when its blob is here and sound."""
        digest = self.noted(diff_id)
        try:
            if digest is not None and self.has(digest):
                return Layer(diff_id, digest, self.path(digest).stat().st_size)
        except OSError:
            pass
        return None

    def noted(self, diff_id: str) -> str | None:
        """The name of the blob that holds a layer, as far as is remembered; nobody looks whether it does."""
        try:
            digest = json.loads(self._note(diff_id).read_bytes())["digest"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return digest if is_digest(digest) else None

    def add_layer(self, opened: Open) -> Layer:
        """Keeps a layer: a tar file, plain or compressed with gzip; a plain one is compressed.

        Raises IntegrityError for what cannot be read.
        """
        with _opened(opened) as stream:
            return self.add_pieces(chunks(stream))

    def add_layers(self, opened: Mapping[str, Open]) -> dict[str, Layer]:
        """Keeps layers by their diff_ids, on all processors; those that are kept already are not opened.

        Raises IntegrityError for one that is not what its diff_id says.
        """
        stop = threading.Event()
        with ThreadPoolExecutor(config.processors()) as pool:
            try:
                futures = {diff_id: pool.submit(self._added, diff_id, each, stop) for diff_id, each in opened.items()}
                return {diff_id: future.result() for diff_id, future in futures.items()}
            except BaseException:  # also Ctrl-C: a large layer would take its time
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _added(self, diff_id: str, opened: Open, stop: threading.Event) -> Layer:
        if known := self.layer(diff_id):
            return known
        with _opened(opened) as stream:
            found = self.add_pieces(_until(stop, chunks(stream)))
        if found.diff_id != diff_id:
            raise IntegrityError(f"the layer {diff_id} has other bytes: they are {found.diff_id}")
        return found

    def add_pieces(self, pieces: Iterable[bytes]) -> Layer:
        """Keeps a layer that comes in pieces."""
        with self._scratch() as (file, out):
            digest, diff_id = pack(pieces, out.write)
            if known := self.layer(diff_id):
                return known
            self._place(file, out, digest)
            return self.note(diff_id, digest)

    def add_stream(self, pieces: Iterable[bytes], digest: str, size: int | None = None) -> None:
        """Keeps a blob that comes under a name. Raises IntegrityError when it is another."""
        with self._scratch() as (file, out):
            for piece in checked(pieces, digest, size):
                out.write(piece)
            self._place(file, out, digest)

    def adopt(self, file: Path, digest: str) -> None:
        """Gives a read-only file that was hashed just now a second name here, where that costs no space."""
        path = self.path(digest)
        if not path.exists():
            with contextlib.suppress(OSError):  # another filesystem, or somebody was faster
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, path)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """For who takes blobs and has not named them in a capsule yet: meanwhile `alone` is for nobody."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else uses the blobs, as long as the context lasts: who does waits."""
        with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB) as got:
            yield got

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[bool]:
        """A lock of all processes; False where it cannot be had, as on filesystems without locks."""
        descriptor = os.open(store.make_directory(self.root) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            got = True
            try:
                fcntl.flock(descriptor, how)
            except OSError:
                got = False
            yield got
        finally:
            os.close(descriptor)

    def note(self, diff_id: str, digest: str) -> Layer:
        """Remembers which blob holds a layer."""
        store.write_atomic(self._note(diff_id), store.canonical({"digest": digest}))
        return Layer(diff_id, digest, self.path(digest).stat().st_size)

    def tidy(self) -> None:
        """Removes what writers that were killed have left: nobody goes on with it after a day."""
        before = time.time() - FORGOTTEN
        for place in (self.root, self.root / "layers", self.root / "blobs" / "sha256"):
            for path in store.temporaries(place):
                if _touched(path) < before:
                    store.remove(path)

    def _note(self, diff_id: str) -> Path:
        return self.root / "layers" / f"{blob_path(self.root, diff_id).name}.json"

    def _place(self, file: Path, out: IO[bytes], digest: str) -> None:
        """Gives a finished file its name, durably."""
        path = self.path(digest)
        out.flush()
        file.chmod(0o444)
        store.fsync(file)
        file.rename(path)
        store.fsync_directory(path.parent)
        self._checked.add(digest)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """A new file beside the blobs, removed at the end unless it got a name meanwhile."""
        file = store.temporary(self.root / "blobs" / "sha256" / "blob")
        try:
            if not file.parent.is_dir():
                store.make_directory(file.parent)
            with file.open("xb") as out:
                yield file, out
        except OSError as error:
            raise storage_error(error, f"keep image layers in {self.root}") from None
        finally:
            with contextlib.suppress(OSError):
                file.unlink()


def is_digest(text: Any) -> bool:
    """Whether a text can be the name of a blob.

    >>> is_digest("sha256:" + 64 * "0"), is_digest("sha256:../../etc/passwd"), is_digest(None)
    (True, False, False)
    """
    if not isinstance(text, str) or not text.startswith("sha256:"):
        return False
    digits = text.removeprefix("sha256:")
    return len(digits) == 64 and set(digits) <= set("0123456789abcdef")


def blob_path(root: Path, digest: str) -> Path:
    """Where a blob lies below the root of a layout. Raises IntegrityError for what names none."""
    if not is_digest(digest):
        raise IntegrityError(f"{str(digest)[:100]!r} is not the digest of a blob")
    return root / "blobs" / "sha256" / digest.removeprefix("sha256:")


class Reader:
    """The bytes of a layer's blob, hashed as they are read. Raises IntegrityError for all that is wrong with them."""

    def __init__(self, root: Path, layer: Layer) -> None:
        self._layer = layer
        self._hasher = hashlib.sha256()
        try:
            self._file = blob_path(root, layer.digest).open("rb")
        except OSError as error:
            raise self._unreadable(error) from None

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise self._unreadable(error) from None
        self._hasher.update(data)
        if len(data) < size:
            raise IntegrityError(f"the blob {self._layer.digest[:19]} is shorter than it was")
        return data

    def demand(self) -> None:
        """Raises IntegrityError when the bytes are not all read, or not what the blob's name says."""
        if self._file.read(1) or f"sha256:{self._hasher.hexdigest()}" != self._layer.digest:
            raise IntegrityError(f"the blob {self._layer.digest[:19]} has changed: its hash is not its name")

    def _unreadable(self, error: OSError) -> IntegrityError:
        return IntegrityError(f"the blob {self._layer.digest[:19]} cannot be read: {error.strerror or error}")

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def open_layer(root: Path, layer: Layer) -> BinaryIO:
    """The tar file of a layer, uncompressed as it is read."""
    path = blob_path(root, layer.digest)
    return cast("BinaryIO", gzip.open(path, "rb")) if layer.media_type.endswith("gzip") else path.open("rb")


@contextlib.contextmanager
def _opened(opened: Open) -> Iterator[IO[bytes]]:
    try:
        stream = opened()
    except OSError as error:
        raise IntegrityError(f"a layer cannot be read: {error.strerror or error}: {error.filename}") from None
    with stream:
        yield stream


def _until(stop: threading.Event, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if stop.is_set():
            raise IntegrityError("not read to its end: another layer failed, or somebody pressed Ctrl-C")
        yield piece


def _touched(path: Path) -> float:
    """When something was last written at a path or in it."""
    try:
        inside = path.iterdir() if path.is_dir() else ()
        return max(float(each.lstat().st_mtime) for each in (path, *inside))
    except OSError:
        return time.time()
