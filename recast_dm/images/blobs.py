"""Blobs by their SHA-256, shared by every capsule that is captured here, and the layers among them by diff_id.

ROOT/blobs/sha256/<hex>      the bytes
ROOT/layers/<hex>.json       of a diff_id: which blob holds that layer, compressed

A capsule's OCI layout gets second names of these files, so a layer that two capsules share lies on the disk once.
What is taken from here is hashed again first: a blob that has changed is made anew.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from recast_dm import store
from recast_dm.errors import IntegrityError, storage_error

GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
TAR_LAYER = "application/vnd.oci.image.layer.v1.tar"
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PIECE = 64 * 1024
"""Compressed bytes that are inflated at a time: they become 64 MiB at most."""
LEVEL = 6
"""gzip's own default: level 9 takes thrice as long for 1 % less."""


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
    """A directory of blobs. Safe to use from several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()

    def path(self, digest: str) -> Path:
        return blob_path(self.root, digest)

    def has(self, digest: str) -> bool:
        """Whether the blob is here and is what its name says; one that is not is removed."""
        path = self.path(digest)
        if digest in self._checked:
            return path.is_file()
        if not path.is_file():
            return False
        if f"sha256:{store.sha256_file(path)}" != digest:
            path.unlink(missing_ok=True)
            return False
        self._checked.add(digest)
        return True

    def add(self, data: bytes) -> str:
        """Keeps a small blob. Gives its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not self.has(digest):
            store.write_atomic(self.path(digest), data)
            self._checked.add(digest)
        return digest

    def layer(self, diff_id: str) -> Layer | None:
        """The layer of that diff_id, when its blob is here and sound."""
        try:
            said = json.loads(self._note(diff_id).read_bytes())
            layer = Layer(diff_id, said["digest"], said["size"], said["media_type"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return layer if is_digest(layer.digest) and self.has(layer.digest) else None

    def add_layer(self, opened: Callable[[], IO[bytes]]) -> Layer:
        """Keeps a layer: a tar file, plain or compressed with gzip; a plain one is compressed.

        `opened` gives its bytes, from the beginning each time. Raises IntegrityError for what cannot be read.
        """
        with opened() as stream:
            digest, diff_id = layer_digests(chunks(stream))
        if known := self.layer(diff_id):
            return known
        with self._scratch() as packed, opened() as stream:
            if digest != diff_id:
                return self._keep(packed, diff_id, _copy(chunks(stream), packed))
            return self._keep(packed, diff_id, _copy(_deflated(chunks(stream)), packed))

    def add_stream(self, pieces: Iterable[bytes], digest: str) -> None:
        """Keeps a blob that comes under a name. Raises IntegrityError when it is another."""
        with self._scratch() as spooled:
            found = _copy(pieces, spooled)
            if found != digest:
                raise IntegrityError(f"the blob {digest} came with other bytes: {found}", hint="fetch it again")
            self._place(spooled, digest)

    def note(self, diff_id: str, digest: str, media_type: str = GZIP_LAYER) -> Layer:
        """Remembers which blob holds a layer."""
        layer = Layer(diff_id, digest, self.path(digest).stat().st_size, media_type)
        said = {"digest": digest, "size": layer.size, "media_type": media_type}
        store.write_atomic(self._note(diff_id), store.canonical(said))
        return layer

    def _note(self, diff_id: str) -> Path:
        return self.root / "layers" / f"{diff_id.removeprefix('sha256:')}.json"

    def _keep(self, file: Path, diff_id: str, digest: str) -> Layer:
        self._place(file, digest)
        return self.note(diff_id, digest)

    def _place(self, file: Path, digest: str) -> None:
        """Gives a finished file its name, durably."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(0o444)
        store.fsync(file)
        file.rename(path)
        store.fsync_directory(path.parent)
        self._checked.add(digest)

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A new file beside the blobs, removed at the end unless it got a name meanwhile."""
        place = store.make_directory(self.root / "blobs" / "sha256")
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=place)
        os.close(descriptor)
        try:
            yield Path(name)
        except OSError as error:
            raise storage_error(error, f"keep image layers in {self.root}") from None
        finally:
            with contextlib.suppress(OSError):
                Path(name).unlink()


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


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(store.CHUNK):
        yield chunk


class Reader:
    """The bytes of a layer's blob, hashed as they are read."""

    def __init__(self, root: Path, layer: Layer) -> None:
        self._layer = layer
        self._hasher = hashlib.sha256()
        self._file = blob_path(root, layer.digest).open("rb")

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hasher.update(data)
        return data

    def demand(self) -> None:
        """Raises IntegrityError when the bytes are not all read, or not what the blob's name says."""
        if self._file.read(1) or f"sha256:{self._hasher.hexdigest()}" != self._layer.digest:
            raise IntegrityError(f"the blob {self._layer.digest[:19]} has changed: its hash is not its name")

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def open_layer(root: Path, layer: Layer) -> BinaryIO:
    """The tar file of a layer, uncompressed as it is read."""
    path = blob_path(root, layer.digest)
    return cast("BinaryIO", gzip.open(path, "rb")) if layer.media_type.endswith("gzip") else path.open("rb")


def layer_digests(pieces: Iterable[bytes]) -> tuple[str, str]:
    """The digest of a layer's bytes, and that of the tar file in them (the diff_id); equal for a plain tar file."""
    whole, inner = hashlib.sha256(), hashlib.sha256()
    inflate = None
    for number, piece in enumerate(pieces):
        if number == 0:
            _refuse_zstd(piece)
            inflate = _Inflate() if piece.startswith(GZIP_MAGIC) else None
        whole.update(piece)
        if inflate:
            inflate.feed(piece, inner.update)
    if inflate is None:
        return f"sha256:{whole.hexdigest()}", f"sha256:{whole.hexdigest()}"
    inflate.close()
    return f"sha256:{whole.hexdigest()}", f"sha256:{inner.hexdigest()}"


def _refuse_zstd(head: bytes) -> None:
    if head.startswith(ZSTD_MAGIC):
        raise IntegrityError(
            "a layer is compressed with zstd, which is not read here",
            hint="convert the image: `skopeo copy --dest-compress-format gzip --dest-force-compress-format FROM TO`",
        )


class _Inflate:
    """gzip in pieces, with members that follow one another, in bounded memory."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    def feed(self, data: bytes, write: Callable[[bytes], object]) -> None:
        try:
            for start in range(0, len(data), PIECE):
                self._feed(data[start : start + PIECE], write)
        except zlib.error as error:
            raise IntegrityError(f"a layer is not gzip all through: {error}") from None

    def _feed(self, data: bytes, write: Callable[[bytes], object]) -> None:
        while data:
            if self._zlib.eof:
                if not data.strip(b"\0"):
                    return  # padding
                self._zlib = zlib.decompressobj(31)
            write(self._zlib.decompress(data))
            data = self._zlib.unused_data

    def close(self) -> None:
        if not self._zlib.eof:
            raise IntegrityError("a layer ends in the middle: the image was not copied whole")


def _copy(pieces: Iterable[bytes], target: Path) -> str:
    """Writes a file. Gives the digest of what was written."""
    hasher = hashlib.sha256()
    with target.open("wb") as out:
        for piece in pieces:
            hasher.update(piece)
            out.write(piece)
    return f"sha256:{hasher.hexdigest()}"


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compressed with gzip: the same bytes give the same bytes."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    for piece in pieces:
        yield deflate.compress(piece)
    yield deflate.flush()
