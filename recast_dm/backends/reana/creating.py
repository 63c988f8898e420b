"""The two ways in which REANA takes a workflow: 0.9 as JSON, later servers as a bundle of its files.

Which one a server takes is told by the capabilities that it names when it is pinged, never by its version.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from recast_dm import store
from recast_dm.backends.reana.connection import Connection
from recast_dm.backends.reana.sources import Content, opened
from recast_dm.backends.reana.values import BUNDLES, Ping
from recast_dm.errors import SpecError, UsageError

MOST_FILES = 1000
MOST_BYTES = 100 * 1024 * 1024
MANIFEST = "reana.yaml"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PIECE = 1024 * 1024
_UNIX = 3
"""The maker of an entry, in a ZIP: its permissions are those of Unix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A workflow to create: reana.yaml with the workflow in it, and the files of its workspace."""

    specification: Mapping[str, Any]
    files: Mapping[str, Path | bytes]


class Way(Protocol):
    """How a workflow is created; gives the server's answer. Raises Unsure when that was lost."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Any: ...


class Json:
    """0.9: reana.yaml as JSON, with the workflow in it."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Any:
        body = dict(wanted.specification)
        return connection.json("POST", "/api/workflows", {"workflow_name": name}, body, repeatable=False)


class Bundle:
    """0.95: the raw files of the specification, in a ZIP that is the same each time."""

    def create(self, connection: Connection, name: str, wanted: Wanted) -> Any:
        body, kind = form(bundle(members(wanted)))
        return connection.send("/api/workflows", {"workflow_name": name}, Content.of(body), kind, repeatable=False)


def way(ping: Ping) -> Way:
    """What a server takes.

    >>> type(way(Ping(message="OK"))).__name__
    'Json'
    """
    return Bundle() if BUNDLES in ping.capabilities else Json()


def members(wanted: Wanted) -> dict[str, Path | bytes]:
    """The files of a bundle: those that its own reana.yaml selects, for the server refuses one more or less.

    That is the workflow's file and what lies beside and below it; data is uploaded afterwards. So that `inputs` mean
    data, and not parts of the workflow, reana.yaml has to name the `files` of the workflow.

    >>> body = {"inputs": {"files": ["inputs/x"]}, "workflow": {"file": "w/a.yml", "specification": {}}}
    >>> found = members(Wanted(specification=body, files={"w/a.yml": b"", "w/b/c.yml": b"", "inputs/x": b""}))
    >>> sorted(found)
    ['reana.yaml', 'w/a.yml', 'w/b/c.yml']
    """
    workflow = {key: each for key, each in wanted.specification.get("workflow", {}).items() if key != "specification"}
    main = workflow.get("file")
    if not isinstance(main, str) or main not in wanted.files:
        raise SpecError(f"the workflow's own file is not among those to be sent: {main!r}")
    home = PurePosixPath(main).parent
    beside = [path for path in wanted.files if home.name and PurePosixPath(path).is_relative_to(home)]
    workflow["files"] = sorted(path for path in beside if path != main)
    manifest = store.pretty({**wanted.specification, "workflow": workflow})  # JSON is YAML
    return {MANIFEST: manifest, main: wanted.files[main], **{path: wanted.files[path] for path in workflow["files"]}}


def bundle(files: Mapping[str, Path | bytes]) -> bytes:
    """Files as a ZIP: stored, sorted, of 1980; equal files give equal bytes. Raises UsageError for too many.

    >>> bundle({"b": b"2", "a": b"1"}) == bundle({"a": b"1", "b": b"2"})
    True
    """
    if len(files) > MOST_FILES:
        raise UsageError(f"a specification of {len(files)} files: REANA takes {MOST_FILES}")
    packed, size = io.BytesIO(), 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o100600 << 16  # a regular file: links are refused there
            with opened(files[path]) as source, archive.open(entry, "w") as target:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise UsageError(f"a specification of more than {MOST_BYTES >> 20} MiB: REANA takes no more")
                    target.write(piece)
    return packed.getvalue()


def form(packed: bytes) -> tuple[bytes, str]:
    """A form with the one field `bundle`, and its content type; equal bundles give equal forms."""
    boundary = hashlib.sha256(packed).hexdigest()  # no file can hold the hash of an archive that holds the file
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="bundle"; filename="validation-bundle.zip"\r\n'
        "Content-Type: application/zip\r\n\r\n"
    )
    return head.encode() + packed + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
