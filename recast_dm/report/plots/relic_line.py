"""The line on which dark matter of the model has the observed density, in the plane of m_med and m_dm.

The density is looked at on a mesh of m_med and m_dm/m_med: along m_med it is smooth there, and across the resonance at
1/2 the mesh is fine. Between its nodes log Omega h^2 is linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recast_dm import signals
from recast_dm.errors import RecastError
from recast_dm.report.contours import Curve, Field, Line
from recast_dm.report.scan import Scan

if TYPE_CHECKING:
    from recast_dm.signals import SignalModel

MEDIATORS = 8
RATIOS = (0.001, 0.003, 0.01, 0.02, 0.04, 0.07, 0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.34, 0.38, 0.42)
RESONANT = (0.45, 0.47, 0.485, 0.495, 0.505, 0.52, 0.54, 0.57, 0.61, 0.66, 0.72, 0.8, 0.9, 0.98)
TEXT = "relic density: Omega h^2 = 0.12"


def of(scan: Scan) -> tuple[Curve, ...]:
    """The line over a scan of m_med and m_dm; none for other scans, and models of which the density is not known.

    It takes some seconds.
    """
    if set(scan.axes) != {"m_med", "m_dm"}:
        return ()
    try:
        model = signals.find(scan.model)
    except RecastError:
        return ()
    field = _field(model, scan)
    lines = tuple(part for line in field.lines() for part in _back(line, scan))
    return (Curve(role="relic", lines=lines, text=TEXT),) if lines else ()


def _field(model: SignalModel, scan: Scan) -> Field:
    """log10 of Omega h^2 over the observed one, masked where it is not known or outside of the scan."""
    import numpy as np

    ends = scan.axes["m_med"]
    mediators = np.geomspace(max(ends[0], 1e-3), ends[-1], MEDIATORS)
    ratios = np.array([*RATIOS, *RESONANT])
    z = [[_density(model, scan, float(m_med), float(ratio)) for m_med in mediators] for ratio in ratios]
    return Field(np.log10(mediators), ratios, np.ma.masked_invalid(np.array(z)), log_x=True)


def _density(model: SignalModel, scan: Scan, m_med: float, ratio: float) -> float:
    from math import log10, nan

    from recast_dm.signals import relic

    lightest, heaviest = scan.axes["m_dm"][0], scan.axes["m_dm"][-1]
    if not 0.5 * lightest <= ratio * m_med <= 1.3 * heaviest:
        return nan
    try:
        omega = relic.omega_h2(model, model.point({**scan.at, "m_med": m_med, "m_dm": ratio * m_med}))
    except RecastError:
        return nan
    return log10(omega / relic.OBSERVED) if omega else nan


def _back(line: Line, scan: Scan) -> list[Line]:
    """A line in m_med and m_dm, in the parts of it that lie within the scan."""
    low, high = scan.axes["m_dm"][0], scan.axes["m_dm"][-1]
    parts: list[list[tuple[float, float]]] = [[]]
    for m_med, ratio in line:
        if low <= ratio * m_med <= high:
            parts[-1].append((m_med, ratio * m_med))
        elif parts[-1]:
            parts.append([])
    return [tuple(part) for part in parts if len(part) > 1]
