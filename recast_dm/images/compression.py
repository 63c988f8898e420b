"""Layers as they are stored: a tar file compressed with gzip, with the hashes of both, in bounded memory."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from recast_dm import store
from recast_dm.errors import IntegrityError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PIECE = 16 * 1024
"""Compressed bytes that are inflated at a time."""
LARGEST = 1024 * 1024
"""Inflated bytes that are held at a time, however many a piece stands for."""
LEVEL = 6
"""gzip's own default: level 9 takes thrice as long for 1 % less."""

Write = Callable[[bytes], object]


def pack(pieces: Iterable[bytes], write: Write) -> tuple[str, str]:
    """Writes a layer compressed: what is gzip already as it is, a plain tar file with its gzip.

    Gives the digest of what was written, and that of the tar file in it (the diff_id). The same tar file becomes the
    same bytes. Raises IntegrityError for what is neither.
    """
    blob, tar = hashlib.sha256(), hashlib.sha256()

    def keep(data: bytes) -> None:
        blob.update(data)
        write(data)

    head, whole = _with_head(pieces)
    if head.startswith(ZSTD_MAGIC):
        raise IntegrityError(
            "a layer is compressed with zstd, which is not read here",
            hint="convert the image: `skopeo copy --dest-compress-format gzip --dest-force-compress-format FROM TO`",
        )
    if head.startswith(GZIP_MAGIC):
        _inflated(whole, keep, tar.update)
    else:
        _deflated(whole, keep, tar.update)
    return f"sha256:{blob.hexdigest()}", f"sha256:{tar.hexdigest()}"


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file in pieces. Raises IntegrityError when it cannot be read."""
    try:
        while chunk := stream.read(store.CHUNK):
            yield chunk
    except OSError as error:
        raise IntegrityError(f"a layer cannot be read: {error.strerror or error}") from None


def checked(pieces: Iterable[bytes], digest: str, size: int | None = None) -> Iterator[bytes]:
    """Pieces as they come. Raises IntegrityError at the end when they are not those of a digest and size."""
    hasher, total = hashlib.sha256(), 0
    for piece in pieces:
        hasher.update(piece)
        total += len(piece)
        if size is not None and total > size:
            break
        yield piece
    if f"sha256:{hasher.hexdigest()}" != digest or (size is not None and total != size):
        raise IntegrityError(f"the blob {digest} came with other bytes", hint="fetch it again")


def _with_head(pieces: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, which may come one by one, and everything."""
    rest = iter(pieces)
    head = b""
    while len(head) < len(ZSTD_MAGIC) and (piece := next(rest, None)) is not None:
        head += piece
    return head, itertools.chain([head], rest)


def _deflated(pieces: Iterable[bytes], keep: Write, plain: Write) -> None:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    for piece in pieces:
        plain(piece)
        keep(deflate.compress(piece))
    keep(deflate.flush())


def _inflated(pieces: Iterable[bytes], keep: Write, plain: Write) -> None:
    inflate = _Inflate()
    try:
        for piece in pieces:
            keep(piece)
            for start in range(0, len(piece), PIECE):
                inflate.feed(piece[start : start + PIECE], plain)
    except zlib.error as error:
        raise IntegrityError(f"a layer is not gzip all through: {error}") from None
    inflate.close()


class _Inflate:
    """gzip in pieces, with members that follow one another and zeros after the last."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    def feed(self, data: bytes, write: Write) -> None:
        while data:
            if self._zlib.eof:
                data = data.lstrip(b"\0")  # padding
                if not data:
                    return
                self._zlib = zlib.decompressobj(31)
            write(self._zlib.decompress(data, LARGEST))
            data = self._zlib.unconsumed_tail or self._zlib.unused_data
        while not self._zlib.eof and (more := self._zlib.decompress(b"", LARGEST)):
            write(more)

    def close(self) -> None:
        if not self._zlib.eof:
            raise IntegrityError("a layer ends in the middle: the image was not copied whole")
