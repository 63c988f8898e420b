"""Where images come from: an engine, a registry, an OCI layout, a docker-archive. The words are skopeo's.

docker | podman                  an engine of this machine
registry | registry:HOST         a registry; HOST is that of references that name none
oci:DIRECTORY                    an OCI layout
docker-archive:FILE              what `docker save` wrote
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from recast_dm.errors import IntegrityError, ToolMissing, UsageError
from recast_dm.images import archive, engine, layout
from recast_dm.images.blobs import Blobs, blob_path
from recast_dm.images.layout import ORIGINAL, REFERENCE, Layout, Stored
from recast_dm.images.registry import Name, Registry

FORMS = "docker, podman, registry[:HOST], oci:DIRECTORY, docker-archive:FILE"


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
    if kind == "registry":
        return FromRegistry(rest or None)
    if kind == "oci" and rest:
        return FromLayout(Path(rest))
    if kind == "docker-archive" and rest:
        return FromArchive(Path(rest))
    raise UsageError(f"{text!r} is no source of images", hint=f"write one of {FORMS}")


def collect(references: Iterable[str], sources: Iterable[Source], shared: Blobs) -> tuple[Stored, ...]:
    """The images with their bytes, each from the first source that has it. Raises ToolMissing for what none has."""
    wanted = list(dict.fromkeys(references))
    found: dict[str, Stored] = {}
    for each in sources:
        missing = [reference for reference in wanted if reference not in found]
        if missing:
            found |= each.take(missing, shared)
    if missing := [reference for reference in wanted if reference not in found]:
        raise ToolMissing(
            f"no source has the image {', '.join(missing)}",
            hint=f"`docker pull` it, or name where it is: --images SOURCE, one of {FORMS}",
        )
    return tuple(found[reference] for reference in wanted)


@dataclass(frozen=True, slots=True)
class FromEngine:
    """docker or podman. What is kept already is not saved again."""

    name: str

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        unknown = []
        digests = {}
        for reference in references:
            seen = _inspected(self.name, reference)
            if seen is None:
                continue
            image_id, digests[reference] = seen
            if known := _kept(reference, image_id, shared):
                found[reference] = known
            else:
                unknown.append(reference)
        if unknown:
            for each in engine.take(self.name, unknown, shared):
                found[each.image.reference] = each
        return {
            reference: replace(each, image=replace(each.image, registry_digest=digests[reference]))
            for reference, each in found.items()
        }


def _kept(reference: str, image_id: str, shared: Blobs) -> Stored | None:
    """An image all of whose bytes are kept already."""
    if not shared.has(image_id):
        return None
    config = shared.path(image_id).read_bytes()
    image, _ = layout.image_of(reference, config)
    layers = [shared.layer(diff_id) for diff_id in image.diff_ids]
    return layout.stored(reference, config, [each for each in layers if each]) if all(layers) else None


def _inspected(name: str, reference: str) -> tuple[str, str | None] | None:
    """The id of an engine's image and the digest that a registry gave it; None when there is none of that name."""
    argv = (name, "image", "inspect", "--format", "{{json .}}", reference)
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        hint = f"--images names another source: {FORMS}"
        raise ToolMissing(f"the command `{name}` is not installed", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{name} does not answer") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode != 0:
        if "no such image" in said.lower() or "not known" in said.lower():
            return None
        raise ToolMissing(f"{name} cannot look up {reference}: {said.splitlines()[-1] if said else 'no message'}")
    document = json.loads(done.stdout)
    image_id = str(document["Id"])
    digests = document.get("RepoDigests") or [None]
    return image_id if image_id.startswith("sha256:") else f"sha256:{image_id}", digests[0]


@dataclass(frozen=True, slots=True)
class FromRegistry:
    """Registries; `host` is that of references that name none."""

    host: str | None = None

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        registry = Registry(self.host)
        taken = {reference: registry.take(reference, shared) for reference in references}
        return {reference: each for reference, each in taken.items() if each is not None}


@dataclass(frozen=True, slots=True)
class FromLayout:
    """An OCI layout that somebody wrote; references are looked for by name, then by tag."""

    root: Path

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        if not (self.root / "index.json").is_file():
            raise UsageError(f"{self.root} is no OCI layout", hint="it is a directory with an index.json")
        found = Layout(self.root)
        entries = found.index()
        taken = {}
        for reference in references:
            entry = _named(entries, reference)
            if entry is not None:
                taken[reference] = _copied(found, found.image(entry), reference, entry["digest"], shared)
        return taken


def _named(entries: Sequence[dict[str, object]], reference: str) -> dict[str, object] | None:
    """The entry that is called so: by the whole reference, or by its tag where no other has that."""
    names = [(entry.get("annotations") or {}).get(REFERENCE) for entry in entries]  # type: ignore[attr-defined]  # JSON
    for wanted in (reference, Name.parse(reference).version):
        if names.count(wanted) == 1:
            return entries[names.index(wanted)]
    return entries[0] if len(entries) == 1 and names[0] is None else None


def _copied(found: Layout, each: Stored, reference: str, manifest: object, shared: Blobs) -> Stored:
    paths = [blob_path(found.root, layer.digest) for layer in each.layers]
    layers = []
    for path, layer in zip(paths, each.layers, strict=True):
        if not path.is_file():
            raise IntegrityError(f"{found.root} lacks the layer {layer.digest} of {reference}")
        layers.append(shared.add_layer(lambda path=path: path.open("rb")))  # type: ignore[misc]  # bound at once
    config = found.blob(each.image.image_id)
    shared.add(config)
    original = shared.add(found.blob(each.original or str(manifest)))
    return layout.stored(reference, config, layers, original=original)


@dataclass(frozen=True, slots=True)
class FromArchive:
    """A docker-archive."""

    path: Path

    def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
        if not self.path.is_file():
            raise UsageError(f"{self.path} does not exist", hint="`docker save -o FILE IMAGE` writes a docker-archive")
        found = archive.Archive(self.path)
        entries = {reference: found.find(reference) for reference in references}
        return {
            reference: found.take(reference, entry, shared) for reference, entry in entries.items() if entry is not None
        }


__all__ = ["FORMS", "ORIGINAL", "Source", "collect", "source"]
