"""Layers made by hand, and images of them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from recast_dm.capsule.gates.layers import Shape, Stack, entries
from recast_dm.model import Image


def tar(files: Mapping[str, bytes | str | None], links: Mapping[str, str] | None = None) -> bytes:
    """A layer's tar: text or bytes make a file, None a directory; `links` are symbolic."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                data = content.encode() if isinstance(content, str) else content
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


@dataclass(frozen=True)
class TarLayer:
    data: bytes

    @property
    def diff_id(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


@dataclass(frozen=True)
class TarImage:
    """What an OCI layout says of an image."""

    image: Image
    layers: tuple[TarLayer, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


def image(
    *layers: bytes,
    reference: str = "search:1.0",
    config: Mapping[str, Any] | None = None,
    platform: str = "linux/amd64",
) -> TarImage:
    made = tuple(TarLayer(layer) for layer in layers)
    about = Image(
        reference=reference, image_id="sha256:0", diff_ids=tuple(each.diff_id for each in made), platform=platform
    )
    return TarImage(about, made, config or {})


class Opened:
    """Opens layers and remembers which."""

    def __init__(self) -> None:
        self.diff_ids: list[str] = []

    def __call__(self, layer: TarLayer) -> BinaryIO:
        self.diff_ids.append(layer.diff_id)
        return layer.open()


def shape(data: bytes) -> Shape:
    """A layer's names, read from its tar."""
    made = Shape()
    for entry in entries("sha256:0123456789", io.BytesIO(data)):
        made.add(entry)
    return made


def stack(*tars: bytes) -> Stack:
    return Stack([shape(each) for each in tars])
