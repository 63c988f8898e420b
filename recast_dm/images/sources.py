"""Where images come from: an engine, a registry, an OCI layout, a docker-archive. The words are skopeo's.

docker | podman                  an engine of this machine
sandbox                          what is unpacked here
registry | registry:HOST         a registry; HOST is that of references that name none
oci:DIRECTORY                    an OCI layout
docker-archive:FILE              what `docker save` wrote
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from recast_dm.config import Config
from recast_dm.errors import RecastError, RemoteError, ToolMissing, UsageError
from recast_dm.images import archive, engine, layout, platforms
from recast_dm.images.blobs import Blobs, Layer, blob_path
from recast_dm.images.engine import FORMS
from recast_dm.images.layout import REFERENCE, Layout, Stored
from recast_dm.images.rootfs import ROOTFS, Rootfs


class Source(Protocol):
    """One place with images."""

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        """Keeps those of the images that are there in `shared`. Raises IntegrityError, RemoteError, ToolMissing."""
        ...


def source(text: str) -> Source:
    """The source that a user names. Raises UsageError.

    >>> source("oci:images")
    FromLayout(root=PosixPath('images'))
    """
    kind, _, rest = text.partition(":")
    if text in engine.ENGINES:
        return FromEngine(text)
    if text == "sandbox":
        return FromUnpacked(unpacked_here())
    if kind == "registry":
        return FromRegistry(rest or None)
    if kind == "oci" and rest:
        return FromLayout(Path(rest))
    if kind == "docker-archive" and rest:
        return FromArchive(Path(rest))
    raise UsageError(f"{text!r} is no source of images", hint=f"write one of {FORMS}")


def unpacked_here() -> Rootfs:
    """The unpacked images of this user."""
    return Rootfs(Config.from_environment().cache_dir / ROOTFS)


def collect(
    references: Iterable[str], sources: Iterable[Source], shared: Blobs, *, option: str = "--images"
) -> tuple[Stored, ...]:
    """The images with their bytes, each from the first source that has it. `option` is how a user names one.

    A source that does not answer is passed over while another has the image. Raises ToolMissing for what none has,
    RemoteError when one of them could not be asked.
    """
    wanted = list(dict.fromkeys(references))
    found: dict[str, Stored] = {}
    failed: list[RecastError] = []
    for each in sources:
        missing = [reference for reference in wanted if reference not in found]
        if missing:
            try:
                found |= each.take(missing, shared)
            except (RemoteError, ToolMissing) as error:
                failed.append(error)
    if missing := [reference for reference in wanted if reference not in found]:
        if failed:
            raise failed[0]
        raise ToolMissing(
            f"no source has the image {', '.join(missing)}",
            hint=f"`docker pull` it, or name where it is: {option} SOURCE, one of {FORMS}",
        )
    return tuple(found[reference] for reference in wanted)


@dataclass(frozen=True, slots=True)
class FromEngine:
    """docker or podman. What is kept already is not saved again."""

    name: str

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        seen = {reference: engine.looked_up(self.name, reference) for reference in references}
        here = {reference: each for reference, each in seen.items() if each is not None}
        known = {reference: kept(reference, each["Id"], shared) for reference, each in here.items()}
        found = {reference: each for reference, each in known.items() if each is not None}
        unknown = [reference for reference in here if reference not in found]
        if unknown:
            ids = {reference: here[reference]["Id"] for reference in unknown}
            for each in engine.take(self.name, unknown, shared, ids):
                found[each.image.reference] = each
        claims = {reference: engine.claimed(each, reference) for reference, each in here.items()}
        return {
            reference: replace(each, image=replace(each.image, registry_digest=claims[reference]))
            for reference, each in found.items()
        }


@dataclass(frozen=True, slots=True)
class FromUnpacked:
    """The images that the sandbox has unpacked: their layers were kept then."""

    rootfs: Rootfs

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        """Raises ToolMissing for an image whose layers are there no more."""
        taken = {}
        for reference in references:
            named = self.rootfs.named(reference)
            if named is None:
                continue
            known = kept(reference, shared.add(named.config), shared)
            if known is None:
                raise ToolMissing(
                    f"the layers of {reference} are kept no more, only its files in {self.rootfs.root}",
                    hint="get the image again: `recast-dm images load`",
                )
            taken[reference] = known
        return taken


def kept(reference: str, image_id: str, shared: Blobs) -> Stored | None:
    """An image all of whose bytes are kept already."""
    if not shared.has(image_id):
        return None
    config = shared.path(image_id).read_bytes()
    image, _ = layout.image_of(reference, config)
    layers = [shared.layer(diff_id) for diff_id in image.diff_ids]
    return layout.stored(reference, config, [each for each in layers if each]) if all(layers) else None


@dataclass(frozen=True, slots=True)
class FromRegistry:
    """Registries; `host` is that of references that name none."""

    host: str | None = None

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        from recast_dm.images.registry import Registry  # with requests, which a run without a registry does not need

        registry = Registry(self.host)
        taken = {reference: registry.take(reference, shared) for reference in references}
        return {reference: each for reference, each in taken.items() if each is not None}


@dataclass(frozen=True, slots=True)
class FromLayout:
    """An OCI layout that somebody wrote; references are looked for by name, by digest, and by tag."""

    root: Path

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        if not (self.root / "index.json").is_file():
            raise UsageError(f"{self.root} is no OCI layout", hint="it is a directory with an index.json")
        found = Layout(self.root)
        entries = found.index()
        named = {reference: _named(entries, reference, references) for reference in references}
        here = {reference: (entry, found.image(entry)) for reference, entry in named.items() if entry is not None}
        opened = {layer.diff_id: partial(_open, found, layer) for _, each in here.values() for layer in each.layers}
        layers = shared.add_layers(opened)
        taken = {}
        for reference, (entry, each) in here.items():
            config = found.blob(each.image.image_id)
            shared.add(config)
            original = shared.add(found.blob(each.original or entry["digest"]))
            own = [layers[diff_id] for diff_id in each.image.diff_ids]
            taken[reference] = layout.stored(reference, config, own, original=original)
        return taken


def _named(entries: Sequence[dict[str, Any]], reference: str, references: Sequence[str]) -> dict[str, Any] | None:
    """The entry that is called so: by the whole reference, its digest, or its tag where nothing else can be meant."""
    from recast_dm.images.registry import Name

    version = Name.parse(reference).version
    tags = [Name.parse(each).version for each in references]
    names = [entry["annotations"].get(REFERENCE) for entry in entries]
    ways = [
        [entry for entry, name in zip(entries, names, strict=True) if name == reference],
        [entry for entry in entries if entry.get("digest") == version],
        [entry for entry, name in zip(entries, names, strict=True) if name == version and tags.count(version) == 1],
        [*entries] if not any(names) and len(references) == 1 else [],
    ]
    fitting: list[dict[str, Any]] = next(filter(None, ways), [])
    return fitting[0] if len(fitting) == 1 else platforms.choose(fitting)  # several: one for each kind of machine


def _open(found: Layout, layer: Layer) -> IO[bytes]:
    return blob_path(found.root, layer.digest).open("rb")


@dataclass(frozen=True, slots=True)
class FromArchive:
    """A docker-archive."""

    path: Path

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        if not self.path.is_file():
            raise UsageError(f"{self.path} does not exist", hint="`docker save -o FILE IMAGE` writes a docker-archive")
        found = archive.Archive(self.path)
        entries = {reference: found.find(reference) for reference in references}
        return found.take({reference: entry for reference, entry in entries.items() if entry is not None}, shared)


__all__ = ["FORMS", "Source", "collect", "source"]
