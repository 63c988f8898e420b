"""Inputs that a capsule keeps by reference: too large to be carried along, but known by size and hash.

recast.yml says where each can be had again. An initdir with such inputs is put together before a run: what the capsule
holds, and what was found, each checked.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.errors import IntegrityError, ToolMissing, UsageError
from recast_dm.spec.analysis import Located
from recast_dm.spec.shape import did_you_mean

LARGEST = 1024**3
"""Bytes above which an input is kept by reference, unless the user says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referenced:
    """An input by reference. `path` is that in the analysis; `adler32` is what grid storage knows a file by."""

    path: str
    size: int
    sha256: str
    adler32: str
    url: str | None = None
    did: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "adler32": self.adler32,
            "url": self.url,
            "did": self.did,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Referenced:
        return cls(**document)


def referenced(
    located: Iterable[Located],
    files: Iterable[tuple[str, Path]],
    largest: int,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[Referenced, ...]:
    """The files of an analysis that are larger than that, hashed.

    Raises UsageError for those that are nowhere else, and for an input that is not in the analysis.
    """
    places = {each.path: each for each in located}
    here = dict(files)
    if absent := places.keys() - here.keys():
        path = min(absent)
        raise UsageError(
            f"the input {path}, which recast.yml names, is not a file of the analysis", hint=did_you_mean(path, here)
        )
    large = [(relative, path) for relative, path in here.items() if path.stat().st_size > largest]
    lost = [relative for relative, _ in large if relative not in places]
    if lost:
        raise UsageError(
            f"{lost[0]} is larger than {largest} bytes, and recast.yml does not say where it can be had again",
            hint="name it under `inputs` with a url or a did; or keep its bytes: a larger --by-reference",
        )
    return tuple(_referenced(path, places[relative], progress) for relative, path in large)


def _referenced(path: Path, located: Located, progress: Callable[[int], None]) -> Referenced:
    sha256, adler32, size = hashlib.sha256(), 1, 0
    with path.open("rb") as file:
        while chunk := file.read(store.CHUNK):
            sha256.update(chunk)
            adler32 = zlib.adler32(chunk, adler32)
            size += len(chunk)
            progress(len(chunk))
    return Referenced(
        path=located.path,
        size=size,
        sha256=sha256.hexdigest(),
        adler32=f"{adler32:08x}",
        url=located.url,
        did=located.did,
    )


def assemble(held: Path, inside: str, wanted: Iterable[Referenced], into: Path, places: Sequence[Path] = ()) -> Path:
    """Puts an initdir together: what the capsule holds of it, and the inputs by reference.

    `inside` is the initdir's path in the analysis; a file is looked for in `places`, the user's directories. Raises
    ToolMissing for one that is nowhere, IntegrityError for one that is another.
    """
    prefix = "" if inside in ("", ".") else f"{inside}/"
    found = [(each, _found(each, places)) for each in wanted if each.path.startswith(prefix)]
    if held.is_dir():
        store.link_tree(held, into)
    for each, path in found:
        target = into / each.path.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            store.link_or_copy(path, target)
    return into


def _found(each: Referenced, places: Sequence[Path]) -> Path:
    name = each.path.rpartition("/")[2]
    for path in (place / tail for place in places for tail in (each.path, name)):
        if path.is_file():
            _demand(path, each)
            return path.resolve()
    where = " or ".join(filter(None, (each.url, each.did and f"`rucio download {each.did}`")))
    raise ToolMissing(
        f"the input {each.path} ({each.size} bytes) is kept by reference and is not here",
        hint=f"get it: {where}; then name its directory: --inputs-from DIR",
    )


def _demand(path: Path, each: Referenced) -> None:
    if path.stat().st_size != each.size or store.sha256_file(path) != each.sha256:
        raise IntegrityError(
            f"{path} is not the captured input {each.path}: its hash is another", hint="get the captured version"
        )
