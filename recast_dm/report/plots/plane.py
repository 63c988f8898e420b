"""Two parameters against each other and the lines on which mu = 1: the numbers that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recast_dm.errors import UsageError
from recast_dm.report import contours
from recast_dm.report.contours import Curve, Field, Line
from recast_dm.report.plots import boundaries, relic_line
from recast_dm.report.plots.quantities import COUPLINGS
from recast_dm.report.scan import Row, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanePlot:
    """A plane. `excluded` outlines where the observed limit on mu is below 1; `method` says how lines were found."""

    scan: Scan
    x: str
    y: str
    curves: tuple[Curve, ...]
    excluded: tuple[Line, ...]
    boundaries: tuple[Curve, ...]
    method: str
    mesh: bool
    log_y: bool = False
    notes: tuple[str, ...] = field(default=())

    def curve(self, role: str) -> Curve | None:
        return next((curve for curve in (*self.curves, *self.boundaries) if curve.role == role), None)

    def table(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Every point of the plane with its limits; the lines are in the JSON document."""
        bands = tuple(f"mu_expected_{n}" for n in ("minus_2", "minus_1", "median", "plus_1", "plus_2"))
        head = (self.x, self.y, "mu_observed", *bands, "status", "reason", "broken")
        rows = [
            (*_place(row, self), row.mu_obs, *(row.mu_exp or (None,) * 5), row.status, row.reason, " ".join(row.broken))
            for row in self.scan.rows
        ]
        return head, rows

    def document(self) -> dict[str, Any]:
        head, rows = self.table()
        return {
            "kind": "coupling" if self.y in COUPLINGS else "plane",
            "axes": [self.x, self.y],
            "at": dict(self.scan.at),
            "method": self.method,
            "columns": list(head),
            "rows": [list(row) for row in rows],
            "lines": {
                curve.role: [[list(point) for point in line] for line in curve.lines]
                for curve in (*self.curves, *self.boundaries)
            },
            "notes": list(self.notes),
        }


def _place(row: Row, plot: PlanePlot) -> tuple[float, float]:
    return row.parameters[plot.x], row.parameters[plot.y]


def prepare(
    scan: Scan, at: Mapping[str, float] | None = None, *, coupling: bool = False, relic: bool = False
) -> PlanePlot:
    """The plane of a scan with two axes, or of a slice that leaves two. Raises UsageError.

    With `coupling`, one of the axes has to be a coupling. `relic` adds the line of the observed density, which takes
    some seconds.
    """
    cut = scan.cut(at or {})
    x, y = _axes(cut, coupling)
    log_y = y in COUPLINGS and min(cut.axes[y]) > 0
    found = cut.document["contour"] if tuple(cut.axes) == tuple(scan.axes) else None
    lines = _given(found, x, y) if found else _interpolated(cut, x, y, log_y)
    mesh = _field(cut, x, y, log_y, lambda row: row.mu_obs, _on_line(lines) if found else ())
    return PlanePlot(
        scan=cut,
        x=x,
        y=y,
        curves=tuple(lines),
        excluded=mesh.regions() if mesh else (),
        boundaries=(*boundaries.of(cut, x, y), *relic_line.of(cut)) if relic else boundaries.of(cut, x, y),
        method=str(found["method"]) if found else "linear in log mu between the points",
        mesh=len(cut.rows) == len(cut.axes[x]) * len(cut.axes[y]),
        log_y=log_y,
        notes=cut.notes(),
    )


def _axes(scan: Scan, coupling: bool) -> tuple[str, str]:
    axes = list(scan.axes)
    if len(axes) != 2:
        said = "no parameter varies" if not axes else f"{', '.join(axes)} var{'y' if len(axes) > 1 else 'ies'}"
        raise UsageError(
            f"a plane needs two parameters that vary: here {said}", hint="--kind limit, or --at NAME=VALUE"
        )
    couplings = [name for name in axes if name in COUPLINGS]
    if coupling and not couplings:
        raise UsageError(f"neither {axes[0]} nor {axes[1]} is a coupling", hint="--kind plane; or `recast-dm rescale`")
    y = couplings[-1] if couplings else "m_dm" if "m_dm" in axes else axes[1]
    return next(name for name in axes if name != y), y


def _field(
    scan: Scan, x: str, y: str, log_y: bool, mu: Callable[[Row], float | None], on_line: Any = ()
) -> Field | None:
    points = [(row.parameters[x], row.parameters[y], mu(row)) for row in scan.rows]
    return contours.field(points, log_y=log_y, on_line=on_line)


def _interpolated(scan: Scan, x: str, y: str, log_y: bool) -> list[Curve]:
    roles: dict[str, Callable[[Row], float | None]] = {
        "observed": lambda row: row.mu_obs,
        "expected": lambda row: row.expected(0),
        "expected -1 sigma": lambda row: row.expected(-1),
        "expected +1 sigma": lambda row: row.expected(1),
    }
    if any(row.k_factor for row in scan.done):
        roles["observed, with K"] = lambda row: row.mu_obs / (row.k_factor or 1) if row.mu_obs else None
    fields = {role: _field(scan, x, y, log_y, mu) for role, mu in roles.items()}
    return [Curve(role=role, lines=found.lines() if found else ()) for role, found in fields.items()]


def _given(found: Mapping[str, Any], x: str, y: str) -> list[Curve]:
    """The lines of the document, whichever way round it has the axes."""
    turned = tuple(found["axes"]) != (x, y)
    roles = {"observed": "observed", "expected": "expected"}
    roles |= {"expected_minus_1": "expected -1 sigma", "expected_plus_1": "expected +1 sigma"}
    curves = []
    for key, role in roles.items():
        for part, lines in found.get(key, {}).items():
            name = role if part == "central" else f"{role}, {part}"
            curves.append(Curve(role=name, lines=tuple(_line(line, turned) for line in lines)))
    return curves


def _line(line: Any, turned: bool) -> Line:
    return tuple((float(p[1]), float(p[0])) if turned else (float(p[0]), float(p[1])) for p in line)


def _on_line(curves: list[Curve]) -> list[tuple[float, float]]:
    return [point for curve in curves if curve.role == "observed" for line in curve.lines for point in line]
