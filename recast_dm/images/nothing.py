"""The smallest image: one program that ends at once. What can start it can start containers."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Mapping

from recast_dm import store
from recast_dm.images import layout, platforms
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored

NAME = "recast-dm/nothing:1.0"
PROGRAM = "/nothing"

_EXITS: Mapping[str, tuple[int, bytes]] = {
    "amd64": (62, bytes.fromhex("b83c00000031ff0f05")),  # mov eax, 60; xor edi, edi; syscall
    "arm64": (183, bytes.fromhex("000080d2a80b80d2010000d4")),  # mov x0, 0; mov x8, 93; svc 0
}
"""By architecture: its number in ELF, and the instructions of exit(0)."""
_AT = 0x400000
_HEADERS = 64 + 56


def image(shared: Blobs, architecture: str | None = None) -> Stored | None:
    """The image for a machine, kept in `shared`; None for one whose instructions are not known here."""
    architecture = architecture or platforms.here().partition("/")[2]
    if architecture not in _EXITS:
        return None
    layer = _layer(program(*_EXITS[architecture]))
    kept = shared.add_layer(lambda: io.BytesIO(layer))
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": [PROGRAM]},
        "rootfs": {"type": "layers", "diff_ids": [kept.diff_id]},
    }
    content = store.canonical(config)
    shared.add(content)
    return layout.stored(NAME, content, [kept])


def program(machine: int, code: bytes) -> bytes:
    """A program in ELF (System V ABI, chapter 4) that is these instructions.

    >>> program(62, b"x")[:4], len(program(62, b"x"))
    (b'\\x7fELF', 121)
    """
    size = _HEADERS + len(code)
    ident = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)  # 64 bits, little-endian, version 1
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _AT + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _AT, _AT, size, size, 0x1000)
    return ident + head + segment + code


def _layer(content: bytes) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo(PROGRAM.removeprefix("/"))
        info.size, info.mode = len(content), 0o755
        archive.addfile(info, io.BytesIO(content))
    return tar.getvalue()
