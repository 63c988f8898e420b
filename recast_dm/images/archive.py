"""docker-archives: the tar files that `docker save` and `podman save` write and `docker load` reads.

Both forms are read: a directory a layer (docker up to 24, podman) and an OCI layout with a manifest.json (docker 25).
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from recast_dm import store
from recast_dm.errors import IntegrityError
from recast_dm.images import blobs, layout
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.compression import GZIP_MAGIC
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
        found = layout.parsed(self._bytes("manifest.json"), f"manifest.json in {path}")
        if not isinstance(found, list) or not all(_is_entry(entry) for entry in found):
            raise IntegrityError(f"{path} is no docker-archive: its manifest.json lists no images")
        self.entries: list[dict[str, Any]] = found

    def find(self, reference: str) -> dict[str, Any] | None:
        """What manifest.json says of the image that is called so, by name or by id."""
        for entry in self.entries:
            names = [_full(name) for name in entry.get("RepoTags") or []]
            if _full(reference) in names or reference == _image_id(entry):
                return entry
        return None

    def take(self, wanted: Mapping[str, dict[str, Any]], shared: Blobs) -> dict[str, Stored]:
        """Keeps images of the archive in `shared`: every layer once, compressed, and the configs as they are."""
        configs = {reference: self._bytes(entry["Config"]) for reference, entry in wanted.items()}
        places: dict[str, _Place] = {}
        for reference, entry in wanted.items():
            image, _ = layout.image_of(reference, configs[reference])
            if len(image.diff_ids) != len(entry["Layers"]):
                raise IntegrityError(f"{self.path} lists other layers of {reference} than its config")
            if blobs.is_digest(reference) and reference != image.image_id:
                raise IntegrityError(f"{self.path} has another image under the name {reference}")
            places |= zip(image.diff_ids, map(self._place, entry["Layers"]), strict=True)
        # the largest first, so that no processor is left alone with it at the end
        order = sorted(places, key=lambda diff_id: places[diff_id].size, reverse=True)
        layers = shared.add_layers({diff_id: partial(self._slice, places[diff_id]) for diff_id in order})
        return {reference: _stored(reference, config, layers, shared) for reference, config in configs.items()}

    def _slice(self, place: _Place) -> IO[bytes]:
        return cast("IO[bytes]", _Slice(self.path, place.offset, place.size))

    def _place(self, name: str) -> _Place:
        target = name
        for _ in range(8):  # links to links: no engine writes more
            target = self._links.get(target, target)
        if target not in self._places:
            raise IntegrityError(f"{self.path} lacks {name!r}", hint="write it again: `docker save -o FILE IMAGE`")
        return self._places[target]

    def _bytes(self, name: str) -> bytes:
        place = self._place(name)
        if place.size > LARGEST_JSON:
            raise IntegrityError(f"{name} in {self.path} is too large to be JSON")
        with self._slice(place) as file:
            return file.read()


def _is_entry(entry: Any) -> bool:
    """Whether it is what manifest.json says of an image."""
    if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
        return False
    texts = [entry.get("RepoTags") or [], entry.get("Layers")]
    return all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in texts)


def _image_id(entry: dict[str, Any]) -> str:
    return f"sha256:{entry['Config'].rpartition('/')[2].removesuffix('.json')}"


def _stored(reference: str, config: bytes, layers: Mapping[str, Layer], shared: Blobs) -> Stored:
    shared.add(config)
    image, _ = layout.image_of(reference, config)
    return layout.stored(reference, config, [layers[diff_id] for diff_id in image.diff_ids])


def _full(reference: str) -> str:
    """A reference with its tag, without the registry that docker leaves out.

    >>> _full("docker.io/library/debian"), _full("recast-dm/toy:1.0")
    ('debian:latest', 'recast-dm/toy:1.0')
    """
    for registry in ("docker.io/library/", "docker.io/", "localhost/"):
        if reference.startswith(registry):
            reference = reference.removeprefix(registry)
            break
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _members(path: Path) -> tuple[dict[str, _Place], dict[str, str]]:
    places: dict[str, _Place] = {}
    links: dict[str, str] = {}
    _refuse_compressed(path)
    try:
        with tarfile.open(path, "r:") as opened:
            for number, member in enumerate(opened):
                if number >= MOST_MEMBERS:
                    raise IntegrityError(f"{path} has more than {MOST_MEMBERS} members: it is no docker-archive")
                name = member.name.removeprefix("./")
                links.pop(name, None)
                if member.isreg() and not member.issparse():
                    places[name] = _Place(member.offset_data, member.size)
                elif member.issym():  # a layer that two images share
                    links[name] = _resolved(name, member.linkname)
                elif member.islnk():
                    links[name] = member.linkname.removeprefix("./")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise IntegrityError(f"{path} is no whole docker-archive: {error}") from None
    return places, links


def _refuse_compressed(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(2) == GZIP_MAGIC:
            raise IntegrityError(f"{path} is compressed", hint="unpack it first: `gunzip --keep FILE`")


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
    if name not in done:
        with blobs.Reader(root, layer) as reader:
            archive.addfile(_info(name, layer.size), cast("IO[bytes]", reader))
            reader.demand()
        done.add(name)


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info
