"""Where a scan stands beside direct and indirect detection: planes, and the curves in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast_dm.api.reading import read
from recast_dm.api.results import Scan
from recast_dm.api.settings import config
from recast_dm.curves import Curve, own
from recast_dm.errors import UsageError
from recast_dm.report import scan as reported
from recast_dm.report.planes import mapping

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plane:
    """One plane: m_dm in GeV against a cross-section in cm2, or an annihilation rate in cm3/s.

    `document` has the lines, the excluded region, the published curves with their confidence levels, the formula, and
    what to bear in mind (`notes`).
    """

    document: Mapping[str, Any]
    prepared: mapping.Plane = field(compare=False)

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def plot(self) -> Figure:
        from recast_dm.report.planes import drawing

        figure: Figure = drawing.draw(self.prepared)
        return figure

    def __repr__(self) -> str:
        return f"<plane {self.prepared.name}: {len(self.document['curves'])} published curves>"


class Planes(Mapping[str, Plane]):
    """The planes of a scan by name (`SI`, `SD-p`, `sigmav-total`, ...); `absent` says why others are missing."""

    def __init__(self, found: Mapping[str, Plane], absent: Mapping[str, str]) -> None:
        self._found = dict(found)
        self.absent = dict(absent)

    def __getitem__(self, name: str) -> Plane:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<planes: {', '.join(self) or 'none'}>"


def planes(what: Scan | str | Path, *wanted: str) -> Planes:
    """A scan over m_med and m_dm in the planes of direct and indirect detection; `wanted` picks quantities.

    The user's own curves (`recast-dm curves add`) are in them. Raises UsageError for a scan without two axes.
    """
    scan = what if isinstance(what, Scan) else read(what)
    if not isinstance(scan, Scan):
        raise UsageError(f"{scan!r} is no scan", hint="planes are of what `scan` or `contour` gave")
    found, absent = mapping.prepare(reported.of_document(scan.document), curves().values(), wanted or None)
    made = {plane.name: Plane(document=plane.document(), prepared=plane) for plane in found}
    return Planes(made, {each.quantity: each.why for each in absent})


def curves() -> Mapping[str, Curve]:
    """The published limit curves by name, those that the user added included.

    >>> curves()["lz-2024-si"].confidence_level
    0.9
    """
    return {curve.name: curve for curve in own.known(config().curves)}
