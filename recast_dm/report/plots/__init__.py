"""Scans as figures, in two halves: what is drawn (`prepare`, pure) and the drawing of it.

`figure(document, kind)` gives a matplotlib figure of a `recast-dm/scan/1` document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from recast_dm.errors import UsageError
from recast_dm.report import scan as scans
from recast_dm.report.plots import limit, plane
from recast_dm.report.plots.limit import LimitPlot, Quantity
from recast_dm.report.plots.plane import PlanePlot
from recast_dm.report.scan import Scan

Kind: TypeAlias = Literal["limit", "plane", "coupling"]
KINDS: tuple[Kind, ...] = ("limit", "plane", "coupling")


def prepare(
    scan: Scan,
    kind: str | None = None,
    at: Mapping[str, float] | None = None,
    quantity: Quantity | None = None,
    *,
    relic: bool = False,
) -> LimitPlot | PlanePlot:
    """What there is to draw of a scan. Without a kind: a plane where two parameters vary, else a limit.

    `relic` puts the line of the observed dark-matter density into planes, which takes some seconds.
    """
    if kind is None:
        kind = "plane" if len(scan.cut(at or {}).axes) == 2 else "limit"
    if kind == "limit":
        return limit.prepare(scan, at, quantity)
    if kind in ("plane", "coupling"):
        return plane.prepare(scan, at, coupling=kind == "coupling", relic=relic)
    raise UsageError(f"there is no plot of kind {kind!r}", hint=f"kinds: {', '.join(KINDS)}")


def draw(prepared: LimitPlot | PlanePlot) -> Any:
    """The figure of what was prepared."""
    from recast_dm.report.plots import draw_limit, draw_plane

    return draw_limit.draw(prepared) if isinstance(prepared, LimitPlot) else draw_plane.draw(prepared)


def figure(
    document: Mapping[str, Any],
    kind: str | None = None,
    at: Mapping[str, float] | None = None,
    *,
    relic: bool = False,
) -> Any:
    """The matplotlib figure of a scan document, as `prepare` has it. Raises UsageError and IntegrityError."""
    return draw(prepare(scans.of_document(document), kind, at, relic=relic))
