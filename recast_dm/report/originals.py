"""What a run was made of: the capsule that it names by its digest, found where capsules are known to lie."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast_dm.capsule import packing
from recast_dm.errors import RecastError
from recast_dm.spec import analysis as analyses
from recast_dm.spec.analysis import Analysis, Statistics

if TYPE_CHECKING:
    from recast_dm.capsule.catalogue.listing import Listed

BESIDE = Path("build")
"""Where `make demo` and the examples write capsules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A capsule as its manifest describes it. `analysis` is None where only its manifest can be read: in an archive."""

    path: Path
    manifest: Mapping[str, Any]
    analysis: Analysis | None

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    @property
    def statistics(self) -> Statistics | None:
        return self.analysis.statistics if self.analysis else None

    @property
    def initdata(self) -> Mapping[str, Any]:
        """The init parameters that it was captured with."""
        found: Mapping[str, Any] = self.manifest["example"]["initdata"]
        return found

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The point that it was captured at."""
        return self.manifest["example"].get("parameters") or {}


def read(path: Path) -> Original:
    """The original in a capsule. Raises UsageError (no capsule there) and IntegrityError."""
    manifest = packing.read_manifest(path)
    analysis = None
    if path.is_dir():
        analysis = analyses.load(path / manifest["analysis"], workflow=path / manifest["workflow"])
    return Original(path=path, manifest=manifest, analysis=analysis)


def find(digest: str | None, known: Callable[[], Iterable[Listed]]) -> Original | None:
    """The capsule with a digest: beside the runs, or one of those that the catalogue knows."""
    if digest is None:
        return None
    for path in _candidates(digest, known):
        with contextlib.suppress(RecastError, OSError):
            if packing.read_manifest(path)["digest"] == digest:
                return read(path)
    return None


def _candidates(digest: str, known: Callable[[], Iterable[Listed]]) -> Iterator[Path]:
    yield from (path for path in sorted(BESIDE.glob("*.capsule*")) if packing.is_capsule(path))
    for listed in known():
        if listed.about.digest == digest:
            yield from (Path(place.place) for place in listed.places)
