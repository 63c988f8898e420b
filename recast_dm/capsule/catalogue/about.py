"""What a capsule, an analysis or a RECAST entry says of itself: nothing is run, and no hash is checked.

Of a capsule in whatever form its capsule.json, recast.yml and workflow.yml are read, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from recast_dm.capsule import layout, packing
from recast_dm.errors import IntegrityError, RecastError, UsageError
from recast_dm.spec import analysis, catalogue, inputs, remote, source, text, yadage
from recast_dm.spec import relaxations as relaxing
from recast_dm.spec.text import Node

Kind = Literal["capsule", "analysis", "recast-entry", "unknown"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a catalogue shows of one thing.

    `digest` changes when the thing does: a capsule's own, or the SHA-256 of a recast.yml. `size` is in bytes.
    """

    kind: Kind
    name: str
    title: str = ""
    digest: str | None = None
    size: int | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    formats: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "title": self.title,
            "digest": self.digest,
            "size": self.size,
            "references": dict(self.references),
            "formats": list(self.formats),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> About:
        return cls(**{**document, "formats": tuple(document["formats"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The rest of what it says: all of it plain, as it is written there.

    `stages` are None where the workflow cannot be read; `on_server` says that it is fetched when it is used.
    """

    authors: tuple[str, ...]
    signal: Mapping[str, Any] | None
    examples: Mapping[str, Any]
    images: tuple[Mapping[str, Any], ...]
    stages: tuple[str, ...] | None
    results: Mapping[str, str]
    closure: tuple[Mapping[str, Any], ...]
    on_server: bool = False
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "authors": list(self.authors),
            "signal": self.signal,
            "examples": dict(self.examples),
            "images": list(self.images),
            "stages": None if self.stages is None else list(self.stages),
            "results": dict(self.results),
            "closure": list(self.closure),
            "on_server": self.on_server,
            "notes": list(self.notes),
        }


def has_manifest(place: Path) -> bool:
    """Whether a path means a recast.yml: the file itself, under any name, or the directory that it lies in."""
    return inputs.is_file(place) or inputs.is_file(place / analysis.MANIFEST)


def manifest_of(place: Path) -> Path:
    """The recast.yml that a path means. Raises UsageError."""
    if not has_manifest(place):
        raise UsageError(
            f"{place} is neither a capsule nor an analysis", hint=f"a capsule, or what holds a {analysis.MANIFEST}"
        )
    return place if inputs.is_file(place) else place / analysis.MANIFEST


def is_on_server(place: Path) -> bool:
    """Whether the workflow of an analysis or an entry lies on a server."""
    toplevel = text.read(manifest_of(place)).at(("spec", "toplevel")).value
    return isinstance(toplevel, str) and remote.is_remote(toplevel)


def about(place: Path) -> About:
    """What there is at a place. Raises UsageError, SpecError and IntegrityError."""
    if packing.is_capsule(place):
        manifest = packing.read_manifest(place)
        said = of_recast(_recast_of_capsule(place), "capsule", manifest["digest"])
        return About(
            kind="capsule",
            name=manifest["name"],
            title=manifest["title"],
            digest=manifest["digest"],
            size=_size(place),
            references=said.references,
            formats=said.formats,
        )
    file = manifest_of(place)
    root = text.read(file, os.path.relpath(file))
    return of_recast(root.plain(), _kind(file, root), hashlib.sha256(file.read_bytes()).hexdigest())


def of_recast(document: Any, kind: Kind, digest: str | None) -> About:
    """What a recast.yml says. Raises UsageError for what is none."""
    said = _mapping(document)
    name = said.get("name")
    if not isinstance(name, str) or not name or not isinstance(said.get("spec"), Mapping):
        raise UsageError("it is no recast.yml: it has no name and spec")
    metadata = _mapping(said.get("metadata"))
    title = metadata.get("title") or metadata.get("short_description") or ""
    return About(
        kind=kind,
        name=name,
        title=str(title),
        digest=digest,
        references={str(key): str(value) for key, value in _mapping(metadata.get("references")).items()},
        formats=tuple(str(each) for each in [_mapping(said.get("signal")).get("format")] if each),
    )


def details(place: Path) -> Details:
    """Everything else there is to be told of a place. Raises as `about` does."""
    if packing.is_capsule(place):
        manifest = packing.read_manifest(place)
        data = packing.read_file(place, layout.WORKFLOW, text.MAX_BYTES)
        workflow = text.decode(data, layout.WORKFLOW) if data is not None else None
        images = tuple(_image(each) for each in manifest["images"])
        return _details(_recast_of_capsule(place), _stages(workflow), images)
    file = manifest_of(place)
    document = text.read(file, os.path.relpath(file)).plain()
    if is_on_server(place):
        return replace(_details(document, None, ()), on_server=True)
    try:
        opened = source.open_source(str(file))
        named = yadage.parse_workflow(opened.root, raw_stages=relaxing.raw_stages(opened.relaxations)).images()
    except RecastError as error:
        return replace(_details(document, None, ()), notes=(f"its workflow cannot be read: {error.message}",))
    return _details(document, _stages(opened.root), tuple({"reference": each} for each in named))


def _details(document: Any, stages: tuple[str, ...] | None, images: tuple[Mapping[str, Any], ...]) -> Details:
    said = _mapping(document)
    metadata = _mapping(said.get("metadata"))
    signal = _mapping(said.get("signal"))
    results = [_mapping(each) for each in _list(said.get("results"))]
    return Details(
        authors=tuple(map(str, _list(metadata.get("authors")) or [each for each in [metadata.get("author")] if each])),
        signal={"format": signal.get("format"), "init": dict(_mapping(signal.get("init")))} if signal else None,
        examples=dict(_mapping(said.get("example_inputs"))),
        images=tuple(
            {"reference": None, "image_id": None, "platform": None, "layers": None, "size": None, **each}
            for each in images
        ),
        stages=stages,
        results={str(each.get("name")): str(each.get("relpath")) for each in results},
        closure=tuple(_mapping(each) for each in _list(said.get("closure"))),
    )


def _image(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """An image of a manifest; capsules of the first format do not hold its bytes."""
    sizes = [layer["size"] for layer in document.get("layers", ())]
    return {
        "reference": document["reference"],
        "image_id": document["image_id"],
        "platform": document["platform"],
        "layers": len(document["diff_ids"]),
        "size": sum(sizes) if sizes else None,
    }


def _recast_of_capsule(place: Path) -> Any:
    name = f"{layout.ANALYSIS}/{analysis.MANIFEST}"
    data = packing.read_file(place, name, text.MAX_BYTES)
    if data is None:
        raise IntegrityError(f"{place} lacks {name}", hint="the capsule is incomplete: copy it again")
    return text.decode(data, str(place / name)).plain()


def _kind(file: Path, root: Node) -> Kind:
    ours = file.name == analysis.MANIFEST and catalogue.is_analysis(file.parent, root)
    return "analysis" if ours else "recast-entry"


def _stages(workflow: Node | None) -> tuple[str, ...] | None:
    if workflow is None:
        return None
    return tuple(str(_mapping(stage).get("name")) for stage in _list(_mapping(workflow.plain()).get("stages")))


def _size(place: Path) -> int:
    """The bytes of a capsule, going by what the filesystem says."""
    if not place.is_dir():
        return place.stat().st_size
    return sum((Path(at) / name).lstat().st_size for at, _, names in os.walk(place) for name in names)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
