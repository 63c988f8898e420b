"""Draws a plane of two parameters: what is excluded, where assumptions end, what was not covered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from recast_dm.report.contours import Line
from recast_dm.report.plots import quantities, style
from recast_dm.report.plots.plane import PlanePlot

_LINES: dict[str, dict[str, Any]] = {
    "observed": {"color": style.OBSERVED, "lw": 2.6},
    "observed, with K": {"color": style.OBSERVED, "lw": 1.8, "ls": ":"},
    "observed, low": {"color": style.OBSERVED, "lw": 0.8},
    "observed, high": {"color": style.OBSERVED, "lw": 0.8},
    "expected": {"color": style.EXPECTED, "lw": 2.2, "ls": "--"},
    "expected -1 sigma": {"color": style.EXPECTED, "lw": 1.2, "ls": ":"},
    "expected +1 sigma": {"color": style.EXPECTED, "lw": 1.2, "ls": ":"},
    "expected, low": {"color": style.EXPECTED, "lw": 0.8},
    "expected, high": {"color": style.EXPECTED, "lw": 0.8},
}
ROOM = 0.6
"""Room above the plane for words, as a part of its height."""
_LABELS = {
    "expected -1 sigma": r"expected $\pm 1\sigma$",
    "expected +1 sigma": r"expected $\pm 1\sigma$",
    "observed, low": "uncertainty of the line",
    "observed, high": "uncertainty of the line",
    "expected, low": "uncertainty of the line",
    "expected, high": "uncertainty of the line",
}
_SET = {
    "2 m_dm = m_med": r"$2\,m_\mathrm{DM} = m_\mathrm{med}$",
    "relic density: Omega h^2 = 0.12": r"relic density, $\Omega h^2 = 0.12$",
}
_BOUNDARIES: dict[str, dict[str, Any]] = {
    "unitarity-dm": {"color": "#7a7a7a", "ls": "-."},
    "on-shell": {"color": "#7a7a7a", "ls": (0, (6, 3))},
    "relic": {"color": "#964a8b", "ls": "-", "lw": 1.8},
}


def draw(plot: PlanePlot) -> Any:
    """The figure of a plane."""
    with style.styled() as (figure, axes):
        _excluded(axes, plot)
        _missing(axes, plot)
        for curve in plot.curves:
            _lines(axes, curve.lines, _LABELS.get(curve.role, curve.role), **_LINES.get(curve.role, {"lw": 1}))
        for boundary in plot.boundaries:
            look = {"color": "#b0b0b0", "ls": ":", "lw": 1.4, **_BOUNDARIES.get(boundary.role, {})}
            _lines(axes, boundary.lines, _text(boundary.text), **look)
        _points(axes, plot)
        _ends(axes, plot)
        axes.set_xlabel(quantities.axis(plot.x))
        axes.set_ylabel(quantities.axis(plot.y))
        style.label(axes, plot.scan.document)
        style.corner(axes, style.about(plot.scan), plot.notes)
        style.legend(axes, fontsize=10.5)
    return figure


def _text(text: str) -> str:
    return _SET.get(text, quantities.plain(text))


def _lines(axes: Any, lines: Sequence[Line], label: str, **look: Any) -> None:
    for line in lines:
        axes.plot(*zip(*line, strict=True), label=label, **look)


def _excluded(axes: Any, plot: PlanePlot) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    vertices, codes = [], []
    for ring in plot.excluded:
        vertices += [*ring]
        codes += [Path.MOVETO, *[Path.LINETO] * (len(ring) - 2), Path.CLOSEPOLY]
    if vertices:
        patch = PathPatch(
            Path(vertices, codes), fc="#9ec5e8", alpha=0.35, lw=0, label="excluded (observed)", zorder=0.5
        )
        axes.add_patch(patch)


def _missing(axes: Any, plot: PlanePlot) -> None:
    """Hatches on the cells of points without a limit; where the points are no grid, only their marks."""
    from matplotlib.patches import Rectangle

    if not plot.mesh:
        return
    edges = {name: _edges(plot.scan.axes[name]) for name in (plot.x, plot.y)}
    for status, hatch in (("not covered", "////"), ("failed", "xxxx")):
        for row in plot.scan.rows:
            if row.status != status:
                continue
            (left, right), (low, high) = (edges[name][row.parameters[name]] for name in (plot.x, plot.y))
            axes.add_patch(
                Rectangle(
                    (left, low), right - left, high - low, fc="#f2f2f2", ec="#b5b5b5", hatch=hatch, lw=0, label=status
                )
            )


def _edges(values: Sequence[float]) -> dict[float, tuple[float, float]]:
    """For each value of an axis, half-way to its neighbours."""
    middles = [(a + b) / 2 for a, b in pairwise(values)]
    lows, highs = [values[0], *middles], [*middles, values[-1]]
    return {value: (low, high) for value, low, high in zip(values, lows, highs, strict=True)}


def _points(axes: Any, plot: PlanePlot) -> None:
    """A dot on every point with a limit, a mark around those at which an assumption of the model does not hold."""
    done = [(row.parameters[plot.x], row.parameters[plot.y]) for row in plot.scan.done]
    if done:
        axes.plot(*zip(*done, strict=True), ls="none", marker=".", ms=4, color="#555555", clip_on=False, label="points")
    names = dict.fromkeys(name for row in plot.scan.rows for name in row.broken)
    for n, name in enumerate(names):
        places = [(row.parameters[plot.x], row.parameters[plot.y]) for row in plot.scan.rows if name in row.broken]
        look = {"marker": "os^D"[n % 4], "ms": 8 + 3 * n, "mec": style.FLAGS[n % len(style.FLAGS)]}
        axes.plot(
            *zip(*places, strict=True),
            ls="none",
            mfc="none",
            mew=0.9,
            label=f"outside: {quantities.plain(name)}",
            **look,
        )
    gone = [(r.parameters[plot.x], r.parameters[plot.y]) for r in plot.scan.rows if not r.done]
    if gone and not plot.mesh:
        axes.plot(*zip(*gone, strict=True), ls="none", marker="x", ms=6, color="#888888", label="not covered or failed")


def _ends(axes: Any, plot: PlanePlot) -> None:
    xs, ys = plot.scan.axes[plot.x], plot.scan.axes[plot.y]
    axes.set_xlim(xs[0], xs[-1])
    if plot.log_y:
        axes.set_yscale("log")
        axes.set_ylim(ys[0], ys[-1] * (ys[-1] / ys[0]) ** (0.6 * ROOM))
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.tick_params(axis="y", which="minor", labelsize="x-small")
    else:
        axes.set_ylim(ys[0], ys[-1] + ROOM * (ys[-1] - ys[0]))
