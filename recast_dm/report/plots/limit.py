"""A limit against one parameter, with its bands: the numbers that are drawn, before anything draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from recast_dm.errors import UsageError
from recast_dm.reinterpret import crossing
from recast_dm.report.scan import Row, Scan

Quantity: TypeAlias = Literal["mu", "sigma"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One point of the curve. All limits are on mu, or all in pb; `theory` is what mu = 1 stands for, in the same.

    `expected` are -2, -1, 0, +1, +2 sigma. Without a limit, `status` and `reason` say why.
    """

    x: float
    observed: float | None = None
    expected: tuple[float, ...] = ()
    theory: float | None = None
    theory_k: float | None = None
    status: str = "done"
    reason: str = ""
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPlot:
    """A curve of limits. `excluded` is where limit and theory cross: observed, expected; with the K-factor too."""

    scan: Scan
    axis: str
    quantity: Quantity
    steps: tuple[Step, ...]
    crossings: Mapping[str, tuple[float, ...]]

    def table(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Head and rows of what is drawn."""
        unit = "_pb" if self.quantity == "sigma" else ""
        bands = tuple(f"expected_{n}{unit}" for n in ("minus_2", "minus_1", "median", "plus_1", "plus_2"))
        head = (self.axis, f"observed{unit}", *bands, f"theory{unit}", f"theory_k{unit}", "status", "reason", "broken")
        rows = [
            (
                s.x,
                s.observed,
                *(s.expected or (None,) * 5),
                s.theory,
                s.theory_k,
                s.status,
                s.reason,
                " ".join(s.broken),
            )
            for s in self.steps
        ]
        return head, rows

    def document(self) -> dict[str, Any]:
        head, rows = self.table()
        return {
            "kind": "limit",
            "quantity": self.quantity,
            "axis": self.axis,
            "at": dict(self.scan.at),
            "columns": list(head),
            "rows": [list(row) for row in rows],
            "crossings": {name: list(found) for name, found in self.crossings.items()},
            "notes": list(self.scan.notes()),
        }


def prepare(scan: Scan, at: Mapping[str, float] | None = None, quantity: Quantity | None = None) -> LimitPlot:
    """The curve of a scan, or of a slice of it. What `at` leaves open is taken where most is known.

    That is the value with the most limits, the least of several.

    The limit is on the cross-section where there is one at every point, else on mu. Raises UsageError.
    """
    whole = scan.cut(at or {})
    if not whole.axes:
        raise UsageError(
            "there is nothing to draw a limit against: no parameter varies", hint="use a scan, or less --at"
        )
    axis = "m_med" if "m_med" in whole.axes else next(iter(whole.axes))
    cut = _slice(whole, axis)
    known = all(row.sigma_obs is not None for row in cut.done)
    if quantity == "sigma" and not known:
        raise UsageError("this scan has no cross-sections", hint="--quantity mu")
    chosen: Quantity = quantity or ("sigma" if known and cut.done else "mu")
    rows = sorted(cut.rows, key=lambda row: row.parameters[axis])
    steps = tuple(_step(row, row.parameters[axis], chosen) for row in rows)
    return LimitPlot(scan=cut, axis=axis, quantity=chosen, steps=steps, crossings=_crossings(rows, axis))


def _slice(scan: Scan, axis: str) -> Scan:
    """The slice along one axis at the value of each other one that has the most limits. Raises UsageError."""
    for name in scan.axes:
        if name != axis:
            counts = Counter(row.parameters[name] for row in scan.done)
            best = max(scan.axes[name], key=lambda value: (counts[value], -value))
            scan = scan.cut({name: best})
    if not scan.rows:
        raise UsageError(f"no point of the scan lies along {axis} there", hint="--at names a slice")
    return scan


def _step(row: Row, x: float, quantity: Quantity) -> Step:
    common = Step(x=x, status=row.status, reason=row.reason, broken=row.broken)
    if not row.done:
        return common
    mu = quantity == "mu"
    theory = 1.0 if mu else row.sigma
    return Step(
        x=x,
        observed=row.mu_obs if mu else row.sigma_obs,
        expected=row.mu_exp if mu else row.sigma_exp,
        theory=theory,
        theory_k=None if row.k_factor is None or theory is None else theory * row.k_factor,
        broken=row.broken,
    )


def _crossings(rows: list[Row], axis: str) -> dict[str, tuple[float, ...]]:
    """Where the limits on mu are 1, linear in log mu between the points."""
    curves: dict[str, list[float | None]] = {
        "observed": [row.mu_obs for row in rows],
        "expected": [row.expected(0) for row in rows],
        "expected -1 sigma": [row.expected(-1) for row in rows],
        "expected +1 sigma": [row.expected(1) for row in rows],
    }
    if any(row.k_factor for row in rows):
        for name in ("observed", "expected"):
            corrected = [mu / (row.k_factor or 1) if mu else None for mu, row in zip(curves[name], rows, strict=True)]
            curves[f"{name}, with K"] = corrected
    xs = [row.parameters[axis] for row in rows]
    found = {name: crossing.crossings(list(zip(xs, mus, strict=True))) for name, mus in curves.items()}
    return {name: tuple(each.value for each in several) for name, several in found.items()}
