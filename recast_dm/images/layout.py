"""One OCI image layout that holds several images, each layer once.

ROOT/oci-layout
ROOT/index.json                  the images, by the reference that the workflow uses
ROOT/blobs/sha256/<hex>          manifests, configs and layers

Configs are kept byte for byte, so that an engine gives a loaded image the id that it had. The manifests are ours:
what a registry had, or an archive, is kept beside them and named in the annotation `org.recast-dm.original-manifest`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from recast_dm import store
from recast_dm.errors import IntegrityError
from recast_dm.images import blobs
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.model import Image

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
INDEXES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
REFERENCE = "org.opencontainers.image.ref.name"
ORIGINAL = "org.recast-dm.original-manifest"
LARGEST_JSON = 8 * 1024**2
MOST_IMAGES = 1000
"""Of an index: one that names itself a few thousand times would take days."""
_VERSION = {"imageLayoutVersion": "1.0.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An image with its bytes: the config as it is written, and the layers from the bottom up."""

    image: Image
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    original: str | None = None
    """The digest of the manifest that it came with."""
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(layer.size for layer in self.layers)


def image_of(reference: str, config: bytes, *, registry_digest: str | None = None) -> tuple[Image, dict[str, Any]]:
    """An image by its config: the id is the config's hash, the layers are what it lists. Raises IntegrityError."""
    document = read(config, f"the config of {reference}")
    try:
        settings = document.get("config") or {}
        variant = f"/{document['variant']}" if document.get("variant") else ""
        diff_ids = tuple(document["rootfs"]["diff_ids"])
        if not all(blobs.is_digest(each) for each in diff_ids):
            raise IntegrityError(f"the config of {reference} lists layers by what is no digest")
        return Image(
            reference=reference,
            image_id=store.sha256_name(config),
            diff_ids=diff_ids,
            platform=f"{document['os']}/{document['architecture']}{variant}",
            registry_digest=registry_digest,
            config=settings_of(settings),
        ), document
    except (KeyError, TypeError, AttributeError):
        raise IntegrityError(
            f"the config of {reference} does not say what an image is: its layers (rootfs), os and architecture"
        ) from None


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an image sets for its containers, of the part of a config that docker calls `Config`.

    >>> settings_of({"Env": ["B=2", "A=1"], "WorkingDir": None})
    {'env': ['A=1', 'B=2'], 'workdir': ''}
    """
    return {"env": sorted(config.get("Env") or []), "workdir": config.get("WorkingDir") or ""}


def stored(reference: str, config: bytes, layers: Iterable[Layer], **more: Any) -> Stored:
    """An image whose layers are known. Raises IntegrityError when they are not those that the config lists."""
    registry_digest = more.pop("registry_digest", None)
    image, document = image_of(reference, config, registry_digest=registry_digest)
    found = tuple(layers)
    if tuple(layer.diff_id for layer in found) != image.diff_ids:
        raise IntegrityError(f"the layers of {reference} are not those that its config lists")
    return Stored(image=image, config=document, layers=found, **more)


def write(root: Path, images: Iterable[Stored], shared: Blobs) -> None:
    """Writes the layout of images whose blobs are in `shared`; blobs become second names of those there."""
    entries = []
    for each in sorted(images, key=lambda each: each.image.reference):
        manifest = store.canonical(_manifest(each, shared))
        digest = shared.add(manifest)
        names = [digest, each.image.image_id, *(layer.digest for layer in each.layers)]
        for name in [*names, each.original] if each.original else names:
            _name(shared.path(name), blobs.blob_path(root, name))
        entries.append(_entry(each, digest, len(manifest)))
    store.write_atomic(root / "oci-layout", store.canonical(_VERSION))
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    store.write_atomic(root / "index.json", store.pretty(index))


def _name(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        store.link_or_copy(source, target)


def _manifest(each: Stored, shared: Blobs) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "digest": each.image.image_id,
            "size": shared.path(each.image.image_id).stat().st_size,
        },
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in each.layers
        ],
    }


def _entry(each: Stored, digest: str, size: int) -> dict[str, Any]:
    system, architecture, *variant = each.image.platform.split("/")
    annotations = {REFERENCE: each.image.reference} | ({ORIGINAL: each.original} if each.original else {})
    return {
        "mediaType": MANIFEST_TYPE,
        "digest": digest,
        "size": size,
        "platform": {"architecture": architecture, "os": system} | ({"variant": variant[0]} if variant else {}),
        "annotations": annotations,
    }


class Layout:
    """An OCI layout on the disk, ours or another's. Raises IntegrityError for what is none."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def index(self) -> list[dict[str, Any]]:
        """The manifests of its images. An index in the index is followed: its images have the name that it has."""
        found: list[dict[str, Any]] = []
        self._collect(read(self.content(self.root / "index.json"), "index.json"), {}, found, depth=0)
        return found

    def _collect(
        self, index: Mapping[str, Any], annotations: Mapping[str, Any], found: list[dict[str, Any]], depth: int
    ) -> None:
        try:
            for entry in index["manifests"]:
                own = {**annotations, **(entry.get("annotations") or {})}
                if len(found) >= MOST_IMAGES or depth > 2:
                    raise IntegrityError(f"{self.root} names more images than {MOST_IMAGES}, or indexes in indexes")
                if entry["mediaType"] in INDEXES:
                    before = len(found)
                    self._collect(read(self.blob(entry["digest"]), "an index"), own, found, depth + 1)
                    if len(found) == before:
                        raise IntegrityError(f"{self.root} is no OCI layout: an index in it lists nothing")
                else:
                    found.append({**entry, "annotations": own})
        except (KeyError, TypeError, AttributeError):
            raise IntegrityError(f"{self.root} is no OCI layout: its index.json does not list images") from None

    def images(self) -> tuple[Stored, ...]:
        """The images by the references that they are called by. Layers are not read."""
        return tuple(self.image(entry) for entry in self.index())

    def image(self, entry: Mapping[str, Any]) -> Stored:
        """The image that an entry of the index describes."""
        manifest = read(self.blob(entry.get("digest", "")), f"the manifest {entry.get('digest')}")
        annotations = entry.get("annotations") or {}
        reference = str(annotations.get(REFERENCE, ""))
        try:
            config = self.blob(manifest["config"]["digest"])
            image, document = image_of(reference, config)
            layers = tuple(described(reference, manifest, image.diff_ids))
        except (KeyError, TypeError):
            raise IntegrityError(f"the manifest {entry['digest']} is none of an image") from None
        return Stored(
            image=image, config=document, layers=layers, manifest=manifest, original=annotations.get(ORIGINAL)
        )

    def blob(self, digest: str) -> bytes:
        """A small blob, checked."""
        data = self.content(blobs.blob_path(self.root, digest))
        if store.sha256_name(data) != digest:
            raise IntegrityError(f"the blob {digest} in {self.root} has changed: its hash is not its name")
        return data

    def open_layer(self, layer: Layer) -> BinaryIO:
        return blobs.open_layer(self.root, layer)

    def content(self, path: Path) -> bytes:
        """A small file of the layout."""
        try:
            if path.stat().st_size > LARGEST_JSON:
                raise IntegrityError(f"{path} is too large to be JSON of an OCI layout")
            return path.read_bytes()
        except OSError as error:
            raise IntegrityError(f"{self.root} is not a whole OCI layout: {path.name}: {error.strerror}") from None


def described(reference: str, manifest: Mapping[str, Any], diff_ids: Sequence[str]) -> Iterator[Layer]:
    """The layers as a manifest describes them. Raises IntegrityError when they are not as many as the config lists."""
    try:
        found = manifest["layers"]
        if len(found) != len(diff_ids):
            raise IntegrityError(f"the manifest of {reference} lists other layers than its config")
        for diff_id, each in zip(diff_ids, found, strict=True):
            digest, size, kind = each["digest"], each["size"], each["mediaType"]
            if not blobs.is_digest(digest) or not isinstance(size, int) or size < 0 or not isinstance(kind, str):
                raise IntegrityError(f"the manifest of {reference} describes a layer by what is no digest or size")
            yield Layer(diff_id, digest, size, kind)
    except (KeyError, TypeError):
        raise IntegrityError(f"the manifest of {reference} is none of an image") from None


def parsed(data: bytes, what: str) -> Any:
    """Any JSON. Raises IntegrityError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not JSON: {error}") from None


def read(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object. Raises IntegrityError."""
    document = parsed(data, what)
    if not isinstance(document, dict):
        raise IntegrityError(f"{what} is not a JSON object")
    return document
