"""The two ways in which REANA takes a workflow: 0.9 as JSON, later servers as a bundle of its files.

Which one a server takes is told by the capabilities that it names when it is pinged, never by its version.
"""

from __future__ import annotations

import io
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from recast_dm.backends.reana.connection import Connection
from recast_dm.backends.reana.values import BUNDLES, Ping
from recast_dm.errors import UsageError, storage_error

MOST_FILES = 1000
MOST_BYTES = 100 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
MANIFEST = "reana.yaml"
PARTS = ("workflow/",)
"""What of a workspace belongs to the specification; init files are uploaded one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A workflow to create: reana.yaml with the workflow in it, and the files of its workspace."""

    specification: Mapping[str, Any]
    files: Mapping[str, Path | bytes]


class Way(Protocol):
    """How a workflow is created; gives the server's answer."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Mapping[str, Any]: ...


class Json:
    """0.9: reana.yaml as JSON, with the workflow in it."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Mapping[str, Any]:
        found: Mapping[str, Any] = connection.json(
            "POST", "/api/workflows", {"workflow_name": name}, dict(wanted.specification), repeatable=False
        )
        return found


class Bundle:
    """0.95: the raw files of the specification, in a ZIP that is the same each time."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Mapping[str, Any]:
        own = {path: each for path, each in wanted.files.items() if path == MANIFEST or path.startswith(PARTS)}
        body, kind = _multipart(bundle(own))
        found: Mapping[str, Any] = connection.send(
            "/api/workflows", {"workflow_name": name}, lambda: io.BytesIO(body), kind, repeatable=False
        )
        return found


def way(ping: Ping) -> Way:
    return Bundle() if BUNDLES in ping.capabilities else Json()


def bundle(files: Mapping[str, Path | bytes]) -> bytes:
    """Files as a ZIP: stored, sorted, of 1980; equal files give equal bytes. Raises UsageError for too many.

    >>> bundle({"b": b"2", "a": b"1"}) == bundle({"a": b"1", "b": b"2"})
    True
    """
    if len(files) > MOST_FILES:
        raise UsageError(f"a specification of {len(files)} files: REANA takes {MOST_FILES}")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o100644 << 16
            with opened(files[path])() as file:
                archive.writestr(entry, file.read())
            if packed.tell() > MOST_BYTES:
                raise UsageError(f"a specification of more than {MOST_BYTES >> 20} MiB: REANA takes no more")
    return packed.getvalue()


def _multipart(content: bytes) -> tuple[bytes, str]:
    """A form with the one field `bundle`, and its content type."""
    boundary = uuid.uuid5(uuid.NAMESPACE_OID, str(len(content))).hex
    while boundary.encode() in content:
        boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="bundle"; filename="bundle.zip"\r\n'
        "Content-Type: application/zip\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def opened(source: Path | bytes) -> Callable[[], BinaryIO]:
    """Opens a file that lies here, or bytes, anew each time. Raises StorageError for a file that cannot be read."""

    def begin() -> BinaryIO:
        if isinstance(source, bytes):
            return io.BytesIO(source)
        try:
            if source.stat().st_size == 0:
                return cast(BinaryIO, tempfile.SpooledTemporaryFile())  # requests would send an empty file chunked
            return source.open("rb")
        except OSError as error:
            raise storage_error(error, f"read {source}") from None

    return begin
