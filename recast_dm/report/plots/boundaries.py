"""Where the assumptions of a signal model end in a plane, found from what the model itself says of points."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recast_dm import signals
from recast_dm.errors import RecastError
from recast_dm.report.contours import Curve, Line
from recast_dm.report.scan import Scan

COLUMNS = 60
"""Values of x at which a boundary is looked for."""
HALVINGS = 30
TEXTS = {
    "unitarity-dm": "perturbative unitarity",
    "unitarity-top": "unitarity (top)",
    "narrow-width": "width/mass limit",
    "on-shell": "2 m_dm = m_med",
}


def of(scan: Scan, x: str, y: str) -> tuple[Curve, ...]:
    """The boundary of each finding of the scan's model within the plane; nothing where no such model is installed.

    Outside of the model's own ranges there is no boundary.
    """
    model = _model(scan.model)
    if model is None:
        return ()

    def findings(place: tuple[float, float]) -> Mapping[str, bool] | None:
        try:
            point = model.point({**scan.at, x: place[0], y: place[1]})
        except RecastError:
            return None
        return {finding.name: finding.ok for finding in model.validity(point)}

    ends = [(min(values), max(values)) for values in (scan.axes[x], scan.axes[y])]
    lines = _boundaries(findings, ends[0], ends[1])
    return tuple(Curve(role=name, lines=(line,), text=TEXTS.get(name, name)) for name, line in lines.items())


def _model(name: str) -> signals.SignalModel | None:
    try:
        return signals.find(name)
    except RecastError:
        return None


def _boundaries(
    findings: Callable[[tuple[float, float]], Mapping[str, bool] | None],
    x_ends: tuple[float, float],
    y_ends: tuple[float, float],
) -> dict[str, Line]:
    found: dict[str, list[tuple[float, float]]] = {}
    for n in range(COLUMNS + 1):
        x = x_ends[0] + (x_ends[1] - x_ends[0]) * n / COLUMNS
        low, high = findings((x, y_ends[0])), findings((x, y_ends[1]))
        if low is None or high is None:
            continue
        for name in low:
            if low[name] != high.get(name, low[name]):
                found.setdefault(name, []).append((x, _flip(findings, x, y_ends, name, low[name])))
    return {name: tuple(line) for name, line in found.items() if len(line) > 1}


def _flip(
    findings: Callable[[tuple[float, float]], Mapping[str, bool] | None],
    x: float,
    ends: tuple[float, float],
    name: str,
    below: bool,
) -> float:
    """Where along y a finding changes, by halving."""
    low, high = ends
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seen = findings((x, middle))
        if seen is None:
            break
        low, high = (middle, high) if seen[name] == below else (low, middle)
    return (low + high) / 2
