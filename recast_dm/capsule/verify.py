"""Is a capsule still what was captured? What can be said from its bytes alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from recast_dm import schemas
from recast_dm.capsule import bag, fixity, layout, packing
from recast_dm.capsule.opening import VERIFIED, of_manifest
from recast_dm.errors import IntegrityError, RecastError, UsageError
from recast_dm.images.layout import Layout, read


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is in order, what was found, and every problem."""

    name: str
    found: str
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "found": self.found, "problems": list(self.problems)}


def check_bytes(path: Path, cache: Path | None = None, progress: bag.Progress | None = None) -> Check:
    """Every byte of a capsule, in a directory or in one file: each is read once, whatever was read before.

    What is found is remembered in `cache`, for whoever opens it next. Raises UsageError (no capsule there).
    """
    seen = fixity.Seen(cache / VERIFIED) if cache else None
    try:
        manifest = packing.read_manifest(path)
    except RecastError as error:
        if error.exit_code != 5:  # what is damaged is a finding, what is not there an error
            raise
        return Check("bytes", "", (fixity.told(error),))
    if path.is_dir():
        problems = fixity.problems(path, manifest, seen=seen, anew=True, progress=progress)
    else:
        problems, _ = fixity.archive_problems(path, seen, progress)
    return Check("bytes", _counted(path, manifest), tuple(problems))


def read_digest(text: str) -> str:
    """A digest as a user gives it, in the one form that it has here. Raises UsageError.

    >>> read_digest("SHA256:" + 63 * "0" + "A")[-4:]
    '000a'
    """
    word = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", word):
        raise UsageError(
            f"{text!r} is no digest of a capsule", hint="give all of it: sha256: and 64 hexadecimal digits"
        )
    return f"sha256:{word}"


def check_digest(manifest: Mapping[str, Any], expected: str | None) -> Check:
    """The digest, beside the one that the user has from elsewhere (as `read_digest` gives it)."""
    found = f"sha256:{manifest['digest']}"
    if expected is None:
        return Check("digest", f"{found}, which nobody else has confirmed (--digest)")
    return Check("digest", found, () if expected == found else (f"it is not {expected}: this is another capsule",))


def check_structure(path: Path, manifest: Mapping[str, Any]) -> tuple[Check, ...]:
    """What lies in a capsule whose bytes are sound, by what each part must be; one that is one file stays packed."""
    if manifest["schema"] == layout.FIRST_SCHEMA:
        return (Check("images", "format 1: names and layers only, no bytes"),)
    with fixity.members(path) as members:
        files = {member.path: member for member in members}
        return (
            Check("images", f"{len(manifest['images'])} in one OCI layout", tuple(_image_problems(files, manifest))),
            Check("crate", "RO-Crate metadata", tuple(_crate_problems(files))),
            Check("captured", "when, where and by what", tuple(_captured_problems(files))),
        )


Files: TypeAlias = Mapping[str, bag.Member]


def _read(files: Files, path: str) -> bytes:
    if path not in files:
        raise IntegrityError(f"there is no {path}")
    if files[path].size > packing.MAX_MANIFEST:
        raise IntegrityError(f"{path} is too large to be JSON of a capsule")
    with files[path].open() as file:
        return file.read()


class _Held(Layout):
    """The OCI layout of a capsule in whatever form."""

    def __init__(self, files: Files) -> None:
        super().__init__(Path(layout.IMAGES))
        self._files = files

    def content(self, path: Path) -> bytes:
        return _read(self._files, str(path))


def check_specification(path: Path, manifest: Mapping[str, Any]) -> Check:
    """The analysis, read as it would be for a run."""
    try:
        analysis = of_manifest(path, manifest).analysis
    except RecastError as error:
        return Check("specification", "", (str(error).splitlines()[0],))
    return Check("specification", f"{len(analysis.workflow.stages)} stages")


def _counted(path: Path, manifest: Mapping[str, Any]) -> str:
    form = f"format {manifest['schema'].rpartition('/')[2]}"
    try:
        with fixity.members(path) as members:
            return f"{len(members)} files, {sum(member.size for member in members)} bytes, {form}"
    except IntegrityError:  # it is a problem already: there are links in it, or it cannot be read to its end
        return form


def _image_problems(files: Files, manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        held = {stored.image.reference: stored for stored in _Held(files).images()}
    except RecastError as error:
        yield error.message
        return
    for image in manifest["images"]:
        stored = held.get(image["reference"])
        if stored is None:
            yield f"the layout lacks {image['reference']}"
        elif [layer.document() for layer in stored.layers] != image["layers"]:
            yield f"the layout has other layers of {image['reference']} than {layout.MANIFEST}"
        elif stored.image.image_id != image["image_id"] or dict(stored.image.config) != image["config"]:
            yield f"the layout has another config of {image['reference']} than {layout.MANIFEST}"


def _crate_problems(files: Files) -> Iterator[str]:
    """Whether the crate is JSON-LD whose files are there; its profile is a matter for validators of crates."""
    try:
        graph = json.loads(_read(files, layout.CRATE))["@graph"]
        names = [str(each["@id"]) for each in graph if "File" in _types(each)]
    except (RecastError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield f"{layout.CRATE} cannot be read: {error}"
        return
    from urllib.parse import unquote

    for name in names:
        here = "://" not in name and not name.startswith("#")
        if here and f"{bag.PAYLOAD}{unquote(name).removeprefix('./')}" not in files:
            yield f"{layout.CRATE} names {name}, which is not there"


def _types(entity: Mapping[str, Any]) -> list[Any]:
    kinds = entity.get("@type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def _captured_problems(files: Files) -> Iterator[str]:
    try:
        document = read(_read(files, layout.CAPTURED), layout.CAPTURED)
    except RecastError as error:
        yield error.message
        return
    if found := schemas.problem("captured-2", document):
        yield f"{layout.CAPTURED} is damaged: {found[1]}"
