"""A collider's contour in the planes of direct and indirect detection: every vertex mapped by the model itself.

At fixed couplings a point (m_med, m_dm) is one point (m_dm, sigma). A value of m_dm is excluded between two mediator
masses, so that a region in the plane of sigma is bounded by both branches of the contour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

from recast_dm import signals
from recast_dm.curves import Curve, Quantity
from recast_dm.curves.point import Prediction
from recast_dm.curves.verdict import LIGHT, PROXY
from recast_dm.errors import RecastError, UsageError
from recast_dm.report.contours import Curve as Lines
from recast_dm.report.contours import Line
from recast_dm.report.planes import texts
from recast_dm.report.plots import plane as planes
from recast_dm.report.scan import Scan

PIECES = 40
"""Pieces into which an edge across the whole plane is cut before it is mapped: sigma is no straight line in m_med."""
QUANTITIES: tuple[Quantity, ...] = ("SI", "SD-p", "SD-n", "sigmav")
TOTAL = "total"
PROXY_ROLE = "observed, u d s c b together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One plane: m_dm in GeV against `quantity` in `unit`.

    `lines` are the mapped contours by their meaning; `region` outlines what the collider excludes, edges of the scan
    included. Of annihilation, `channel` is the final state, and `factor` what a prediction is multiplied with to stand
    beside limits for self-conjugate dark matter.
    """

    scan: Scan
    quantity: Quantity
    channel: str | None
    unit: str
    factor: float
    self_conjugate: bool | None
    lines: tuple[Lines, ...]
    region: tuple[Line, ...]
    curves: tuple[Curve, ...]
    formula: str
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """A name for files: `SI`, `sigmav-bb`."""
        return self.quantity if self.channel is None else f"{self.quantity}-{self.channel}"

    @property
    def title(self) -> str:
        return texts.title(self.quantity, self.channel)

    def line(self, role: str) -> Lines | None:
        return next((each for each in self.lines if each.role == role), None)

    def document(self) -> dict[str, Any]:
        return {
            "quantity": self.quantity,
            "channel": self.channel,
            "unit": self.unit,
            "factor": self.factor,
            "self_conjugate": self.self_conjugate,
            "at": dict(self.scan.at),
            "formula": self.formula,
            "lines": {each.role: [[list(point) for point in line] for line in each.lines] for each in self.lines},
            "region": [[list(point) for point in ring] for ring in self.region],
            "curves": [curve.document() for curve in self.curves],
            "notes": list(self.notes),
        }

    def table(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Every line of the figure, point by point."""
        head = ("series", "line", "m_dm_gev", f"value_{self.unit.replace('/', '_per_')}", "confidence_level", "used")
        ours = [
            (f"collider, {each.role}", n, *point, 0.95, "yes")
            for each in self.lines
            for n, line in enumerate(each.lines)
            for point in line
        ]
        edge = [("collider, region", n, *point, 0.95, "yes") for n, ring in enumerate(self.region) for point in ring]
        theirs = [
            (curve.name, 0, mass, limit, curve.confidence_level, "yes" if curve.used else "no")
            for curve in self.curves
            for mass, limit in zip(curve.masses, curve.limits, strict=True)
        ]
        return head, [*ours, *edge, *theirs]


@dataclass(frozen=True, slots=True)
class Absent:
    """A plane that the model is not in, and why."""

    quantity: str
    why: str

    def document(self) -> dict[str, str]:
        return {"quantity": self.quantity, "why": self.why}


def prepare(
    scan: Scan, curves: Iterable[Curve], wanted: Sequence[str] | None = None
) -> tuple[tuple[Plane, ...], tuple[Absent, ...]]:
    """The planes that a scan's model is in, and those that it is not in. Raises UsageError.

    Of annihilation there is a plane for all channels together, and one for each channel that has a curve and a rate.
    """
    model = signals.find(scan.model)
    if len(scan.axes) != 2:
        raise UsageError("planes need a scan over two parameters", hint="scan m_med and m_dm, or name another scan")
    unknown = set(wanted or ()) - set(QUANTITIES)
    if unknown:
        raise UsageError(f"there is no plane {min(unknown)!r}", hint=f"planes: {', '.join(QUANTITIES)}")
    contour = planes.prepare(scan)
    predict = _predictions(model, scan, contour.x, contour.y)
    known = tuple(curves)
    found: list[Plane] = []
    absent: list[Absent] = []
    for quantity in wanted or QUANTITIES:
        if why := texts.absent(model.record, quantity):
            absent.append(Absent(quantity, why))
            continue
        of_quantity = tuple(curve for curve in known if curve.quantity == quantity)
        found += _planes(contour, predict, quantity, of_quantity, model.record)  # type: ignore[arg-type]  # checked
    return tuple(found), tuple(absent)


def _reach(contour: planes.PlanePlot) -> tuple[float, float]:
    xs, ys = contour.scan.axes[contour.x], contour.scan.axes[contour.y]
    return xs[-1] - xs[0], ys[-1] - ys[0]


Predict = Callable[[float, float], "Prediction | None"]


def _predictions(model: signals.SignalModel, scan: Scan, x: str, y: str) -> Predict:
    """What the model predicts at a place of the scan's plane; None where it has no such point."""
    known: dict[tuple[float, float], Prediction | None] = {}

    def predict(at_x: float, at_y: float) -> Prediction | None:
        if (at_x, at_y) not in known:
            try:
                feeds = model.feeds(model.point({**scan.at, x: at_x, y: at_y}))
                known[at_x, at_y] = Prediction.from_document(feeds["planes"])
            except (RecastError, KeyError):
                known[at_x, at_y] = None
        return known[at_x, at_y]

    return predict


def _planes(
    contour: planes.PlanePlot,
    predict: Predict,
    quantity: Quantity,
    curves: Sequence[Curve],
    record: signals.SignalRecord,
) -> Iterator[Plane]:
    if quantity != "sigmav":
        yield _plane(contour, predict, quantity, None, curves, record)
        return
    yield _plane(contour, predict, quantity, TOTAL, (), record)
    for channel in dict.fromkeys(curve.channel for curve in curves if curve.channel):
        plane = _plane(contour, predict, quantity, channel, [c for c in curves if c.channel == channel], record)
        if any(value > 0 for each in plane.lines for line in each.lines for _, value in line):
            yield plane


def _plane(
    contour: planes.PlanePlot,
    predict: Predict,
    quantity: Quantity,
    channel: str | None,
    curves: Sequence[Curve],
    record: signals.SignalRecord,
) -> Plane:
    self_conjugate = record.dm.self_conjugate if record.dm else None
    factor = 0.5 if quantity == "sigmav" and self_conjugate is False else 1.0

    reach = _reach(contour)

    def mapped(line: Line) -> Iterator[Line]:
        return _mapped(cut(line, reach), predict, quantity, channel, factor)

    wanted = [curve for curve in contour.curves if curve.lines]
    proxy = _proxy(contour, predict, factor, reach) if channel == "bb" else ()
    return Plane(
        scan=contour.scan,
        quantity=quantity,
        channel=channel,
        unit="cm3/s" if quantity == "sigmav" else "cm2",
        factor=factor,
        self_conjugate=self_conjugate,
        lines=(
            *(Lines(role=each.role, lines=tuple(p for line in each.lines for p in mapped(line))) for each in wanted),
            *proxy,
        ),
        region=tuple(part for ring in contour.excluded for part in mapped((*ring, ring[0]))),
        curves=tuple(curves),
        formula=texts.formula(record, quantity),
        notes=(*texts.notes(record, contour.scan, quantity, channel), *(f"Thin line: {each.text}." for each in proxy)),
    )


def _proxy(contour: planes.PlanePlot, predict: Predict, factor: float, reach: tuple[float, float]) -> tuple[Lines, ...]:
    """The observed line of all light quarks with bb, for whose photons a limit on bb stands in: shown, never used."""
    observed = contour.curve("observed")

    def together(found: Prediction) -> float:
        return math.fsum(found.value("sigmav", channel) or 0.0 for channel in (*LIGHT, "bb"))

    def light(x: float, y: float) -> Prediction | None:
        found = predict(x, y)
        return replace(found, sigmav={"quarks": together(found)}) if found else None

    lines = observed.lines if observed else ()
    there = any(found and together(found) > (found.value("sigmav", "bb") or 0.0) for found in _seen(lines, predict))
    if not there:
        return ()
    parts = tuple(part for line in lines for part in _mapped(cut(line, reach), light, "sigmav", "quarks", factor))
    return (Lines(role=PROXY_ROLE, lines=parts, text=PROXY),)


def _seen(lines: Sequence[Line], predict: Predict) -> Iterator[Prediction | None]:
    return (predict(*point) for line in lines for point in line[:1])


def _mapped(line: Line, predict: Predict, quantity: Quantity, channel: str | None, factor: float) -> Iterator[Line]:
    """A line vertex by vertex, in as many parts as the model's own ranges leave of it."""

    def place(point: tuple[float, float]) -> tuple[float, float] | None:
        found = predict(*point)
        value = found.value(quantity, channel) if found else None
        return (found.m_dm, factor * value) if found and found.m_dm is not None and value else None

    places = [place(point) for point in line]
    for there, part in groupby(places, key=lambda each: each is not None):
        points = tuple(each for each in part if each is not None)
        if there and len(points) > 1:
            yield points


def cut(line: Line, reach: tuple[float, float]) -> Line:
    """A line with more points on its long edges; `reach` is the size of the plane along x and y.

    >>> cut(((0.0, 1.0), (1.0, 1.0), (1.0, 1.001)), (20.0, 1.0))
    ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (1.0, 1.001))
    """
    points = [line[0]]
    for (x, y), (to_x, to_y) in pairwise(line):
        length = max(abs(to_x - x) / reach[0], abs(to_y - y) / reach[1])
        pieces = max(1, math.ceil(length * PIECES))
        for n in range(1, pieces + 1):
            part = n / pieces
            points.append((x + part * (to_x - x), y + part * (to_y - y)))
    return tuple(points)
