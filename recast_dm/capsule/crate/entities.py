"""A crate's metadata, put together entity by entity: the same entities in any order give the same bytes.

The version of RO-Crate is named, for the Workflow Run profiles want 1.1 and the library's default goes on. Entities are
added to the library's crate whole and sorted: its own `add_jsonld` looks through all of them each time, which takes
minutes for a run of ten thousand steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from recast_dm import store

VERSION = "1.1"
WFRUN_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
RUN_CRATES = tuple(f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("process", "workflow", "provenance"))
METADATA = "ro-crate-metadata.json"

Ref = dict[str, str]

# What a file holds, by how its name ends; the machine's own table would differ from one machine to the next.
_FORMATS = {
    ".cdx.json": "application/vnd.cyclonedx+json",
    ".json": "application/json",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".cff": "application/yaml",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".py": "text/x-python",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
}


def ref(name: str) -> Ref:
    return {"@id": name}


def refs(names: Iterable[str]) -> list[Ref]:
    """References to entities, each once, in the given order."""
    return [ref(name) for name in dict.fromkeys(names)]


def file_id(path: str) -> str:
    """The id of a file of the crate.

    >>> file_id("outputs/fit/0/a b.json")
    'outputs/fit/0/a%20b.json'
    """
    return quote(path, errors="surrogateescape")


def local_id(*parts: object) -> str:
    """The id of something that is described and is no file of the crate.

    >>> local_id("step", "scan/fit")
    '#step/scan/fit'
    """
    return "#" + quote("/".join(str(part) for part in parts), errors="surrogateescape")


class Crate:
    """The entities of one crate by their ids."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Any]] = {}
        self._files: dict[str, None] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._entities

    def add(self, name: str, kind: str | list[str], /, **properties: Any) -> str:
        """An entity; properties that are None or empty are left out. One that is there already gets what it lacks."""
        entity = self._entities.setdefault(name, {"@type": kind})
        for key, value in properties.items():
            if _nothing(entity.get(key)):
                entity[key] = value
        return name

    def add_file(self, path: str, /, *, size: int | None, sha256: str | None = None, **properties: Any) -> str:
        """A file of the crate by its path from the root."""
        name = file_id(path)
        kind = properties.pop("kind", "File")
        self._files[name] = None
        shown = path.encode(errors="surrogateescape").decode(errors="replace")
        said = {"name": shown, "contentSize": None if size is None else str(size), "sha256": sha256}
        return self.add(name, kind, **{**said, "encodingFormat": _format(path), **properties})

    def add_directory(self, path: str, /, **properties: Any) -> str:
        name = f"{file_id(path)}/"
        self._files[name] = None
        return self.add(name, "Dataset", **properties)

    def link(self, name: str, key: str, target: str) -> None:
        """Says one thing more of an entity: a reference beside those that were linked under the key."""
        found: list[Ref] = self._entities[name].setdefault(key, [])
        if ref(target) not in found:
            found.append(ref(target))

    def document(self, profiles: Iterable[str], **root: Any) -> bytes:
        """The metadata file. `root` are the properties of the crate itself, `profiles` what it conforms to."""
        from rocrate.model.contextentity import ContextEntity  # 0.2 s, only where a crate is written
        from rocrate.rocrate import ROCrate

        crate = ROCrate(version=VERSION)
        crate.metadata.extra_contexts.append(WFRUN_CONTEXT)
        crate.metadata["conformsTo"] = [ref(f"https://w3id.org/ro/crate/{VERSION}"), ref(WORKFLOW_CRATE)]
        for profile in profiles:
            name, _, version = profile.rpartition("/")
            self.add(profile, "CreativeWork", name=_title(name), version=version)
        about = {"conformsTo": refs(profiles), "hasPart": refs(sorted(self._files)), **root}
        for key, value in _said(about).items():
            crate.root_dataset[key] = value
        for name in sorted(self._entities):
            crate.add(ContextEntity(crate, name, properties=_said(self._entities[name])))
        return store.pretty(crate.metadata.generate())


def _nothing(value: Any) -> bool:
    return value is None or value in ("", [])


def _said(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What an entity says, as RO-Crate writes it: nothing empty, and one thing not as a list."""
    said = {key: value for key, value in properties.items() if not _nothing(value)}
    return {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in said.items()}


def _title(profile: str) -> str:
    name = profile.rpartition("/")[2]
    return "Workflow RO-Crate" if name == "workflow-ro-crate" else f"{name.capitalize()} Run Crate"


def _format(path: str) -> str:
    name = path.lower()
    return next((kind for ending, kind in _FORMATS.items() if name.endswith(ending)), "application/octet-stream")
