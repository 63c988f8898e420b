"""docker-archives: the tar files that `docker save` and `podman save` write and `docker load` reads.

Both forms are read: a directory a layer (docker up to 24, podman) and an OCI layout with a manifest.json (docker 25).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from recast_dm import config, store
from recast_dm.errors import IntegrityError
from recast_dm.images import blobs, layout
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.layout import LARGEST_JSON, Stored

MOST_MEMBERS = 100_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a member's bytes lie in the archive."""

    offset: int
    size: int


class Archive:
    """A docker-archive file. Raises IntegrityError for what is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places, self._links = _members(path)
        found = self._json("manifest.json")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise IntegrityError(f"{path} is no docker-archive: its manifest.json lists no images")
        self.entries: list[dict[str, Any]] = found

    def find(self, reference: str) -> dict[str, Any] | None:
        """What manifest.json says of the image that is called so, by name or by id."""
        for entry in self.entries:
            names = [_full(str(name)) for name in entry.get("RepoTags") or []]
            if _full(reference) in names or reference == self._image_id(entry):
                return entry
        return None

    def _image_id(self, entry: dict[str, Any]) -> str:
        name = str(entry.get("Config", "")).rpartition("/")[2].removesuffix(".json")
        return f"sha256:{name}"

    def take(self, reference: str, entry: dict[str, Any], shared: Blobs) -> Stored:
        """Keeps an image of the archive in `shared`: its layers, compressed, and its config as it is."""
        config_bytes = self._bytes(str(entry.get("Config")))
        listed = entry.get("Layers")
        if not isinstance(listed, list):
            raise IntegrityError(f"{self.path} does not list the layers of {reference}")
        expected, _ = layout.image_of(reference, config_bytes)
        if len(expected.diff_ids) != len(listed):
            raise IntegrityError(f"{self.path} lists other layers of {reference} than its config")
        with ThreadPoolExecutor(config.processors()) as pool:
            layers = list(pool.map(self._layer, listed, expected.diff_ids, [shared] * len(listed)))
        shared.add(config_bytes)
        return layout.stored(reference, config_bytes, layers)

    def _layer(self, name: str, diff_id: str, shared: Blobs) -> Layer:
        known = shared.layer(diff_id)
        return known or shared.add_layer(lambda: self._open(name))

    def _open(self, name: str) -> IO[bytes]:
        place = self._place(name)
        return cast("IO[bytes]", _Slice(self.path, place.offset, place.size))

    def _place(self, name: str) -> _Place:
        seen = 0
        while name in self._links and seen < 8:
            name, seen = self._links[name], seen + 1
        if name not in self._places:
            raise IntegrityError(f"{self.path} lacks {name!r}", hint="write it again: `docker save -o FILE IMAGE`")
        return self._places[name]

    def _bytes(self, name: str) -> bytes:
        place = self._place(name)
        if place.size > LARGEST_JSON:
            raise IntegrityError(f"{name} in {self.path} is too large to be JSON")
        with self._open(name) as file:
            return file.read()

    def _json(self, name: str) -> Any:
        try:
            return layout.read(b'{"it": ' + self._bytes(name) + b"}", f"{name} in {self.path}")["it"]
        except KeyError:
            raise IntegrityError(f"{name} in {self.path} is not JSON") from None


def _full(reference: str) -> str:
    """A reference with its tag, without the registry that docker leaves out.

    >>> _full("docker.io/library/debian"), _full("recast-dm/toy:1.0")
    ('debian:latest', 'recast-dm/toy:1.0')
    """
    for registry in ("docker.io/library/", "docker.io/", "localhost/"):
        reference = reference.removeprefix(registry)
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _members(path: Path) -> tuple[dict[str, _Place], dict[str, str]]:
    places: dict[str, _Place] = {}
    links: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as opened:
            for number, member in enumerate(opened):
                if number > MOST_MEMBERS:
                    raise IntegrityError(f"{path} has more than {MOST_MEMBERS} members: it is no docker-archive")
                name = member.name.removeprefix("./")
                if member.isreg() and not member.issparse():
                    places[name] = _Place(member.offset_data, member.size)
                elif member.issym():  # a layer that two images share
                    links[name] = _resolved(name, member.linkname)
                elif member.islnk():
                    links[name] = member.linkname.removeprefix("./")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise IntegrityError(f"{path} is no docker-archive: {error}") from None
    return places, links


def _resolved(name: str, target: str) -> str:
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class _Slice(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._file = path.open("rb")
        self._file.seek(offset)
        self._left = size

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        if len(data) < wanted:
            raise IntegrityError(f"{self._file.name} ends in the middle")
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


# --- writing ---------------------------------------------------------------------------------------------------------


def write(root: Path, images: Sequence[Stored], names: Iterable[Sequence[str]], out: IO[bytes]) -> None:
    """Writes images of an OCI layout as a docker-archive, each with the names that it is to have.

    Layers stay compressed: engines look at the bytes. Every blob is hashed on its way: IntegrityError for a changed
    one.
    """
    entries = []
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        done: set[str] = set()
        for each, tags in zip(images, names, strict=True):
            config_name = f"{each.image.image_id.removeprefix('sha256:')}.json"
            _add(archive, config_name, layout.Layout(root).blob(each.image.image_id), done)
            for layer in each.layers:
                _add_layer(archive, root, layer, done)
            entries.append(
                {"Config": config_name, "RepoTags": list(tags), "Layers": [_layer_name(each) for each in each.layers]}
            )
        _add(archive, "manifest.json", store.canonical(entries), done)


def _layer_name(layer: Layer) -> str:
    return f"{layer.diff_id.removeprefix('sha256:')}/layer.tar"


def _add(archive: tarfile.TarFile, name: str, data: bytes, done: set[str]) -> None:
    if name not in done:
        archive.addfile(_info(name, len(data)), io.BytesIO(data))
        done.add(name)


def _add_layer(archive: tarfile.TarFile, root: Path, layer: Layer, done: set[str]) -> None:
    name = _layer_name(layer)
    if name in done:
        return
    done.add(name)
    with blobs.Reader(root, layer) as reader:
        try:
            archive.addfile(_info(name, layer.size), cast("IO[bytes]", reader))
        except OSError as error:
            raise IntegrityError(f"the blob {layer.digest[:19]} cannot be read: {error}") from None
        reader.demand()


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info
