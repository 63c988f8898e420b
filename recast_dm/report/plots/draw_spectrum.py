"""Draws the bins of a limit: data, background with its uncertainty, the signal at mu = 1, and their ratios."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from recast_dm.report.plots import style
from recast_dm.report.plots.quantities import plain
from recast_dm.spec.analysis import Observable

if TYPE_CHECKING:
    from recast_dm.report.spectrum import Spectrum

BACKGROUND, SIGNAL = "#3f90da", "#e42536"
ROOM = 1.35
"""The height of the axes, on a logarithmic scale, over that of what is drawn: words stand above."""
WIDE = 62


def draw(
    spectrum: Spectrum, observable: Observable | None, title: str, label: str, document: Mapping[str, Any] | None = None
) -> Any:
    """The figure; without an observable, against the number of the bin. `document` knows luminosity and energy."""
    edges, unit = edges_of(observable, len(spectrum.data))
    with style.styled((8.8, 7.8), nrows=2, sharex=True, height_ratios=(3, 1)) as (figure, (upper, lower)):
        _densities(upper, spectrum, edges)
        _ratios(lower, spectrum, edges)
        upper.set_ylabel(f"events / {plain(unit)}" if unit else "events / bin")
        lower.set_xlabel(_name(observable))
        lower.set_xlim(edges[0], edges[-1])
        if observable is None:
            lower.set_xticks(_centres(edges), [str(n + 1) for n in range(len(edges) - 1)], minor=False)
            lower.tick_params(axis="x", which="minor", bottom=False, top=False)
        style.label(upper, document or {})
        words = [*textwrap.wrap(title, WIDE)[:3], *textwrap.wrap(f"signal: {label}", WIDE)[:2]]
        style.corner(upper, "\n".join(plain(line, WIDE + 10) for line in words))
        style.legend(upper, loc="lower left")
    return figure


def _name(observable: Observable | None) -> str:
    if observable is None:
        return "bin"
    overflow = " (last bin: overflow)" if observable.edges[-1] is None else ""
    return f"{observable.symbol} [{observable.unit}]{overflow}"


def _centres(edges: Sequence[float]) -> list[float]:
    return [(low + high) / 2 for low, high in pairwise(edges)]


def _densities(axes: Any, spectrum: Spectrum, edges: Sequence[float]) -> None:
    widths = [high - low for low, high in pairwise(edges)]

    def density(values: Sequence[float]) -> list[float]:
        return [value / width for value, width in zip(values, widths, strict=True)]

    background, error = density(spectrum.background), density(spectrum.uncertainty)
    floor = min((b for b in (*background, *density(spectrum.signal)) if b > 0), default=1e-3) / 5
    low = [max(b - e, floor / 10) for b, e in zip(background, error, strict=True)]
    high = [max(b + e, floor / 10) for b, e in zip(background, error, strict=True)]
    axes.stairs(background, edges, color=BACKGROUND, lw=1.8, label="background")
    axes.stairs(high, edges, baseline=low, fill=True, color=BACKGROUND, alpha=0.3, label="its uncertainty")
    axes.stairs(density(spectrum.signal), edges, color=SIGNAL, ls="--", lw=1.8, label=r"signal, $\mu = 1$")
    data = density(spectrum.data)
    axes.errorbar(
        _centres(edges),
        data,
        yerr=density([value**0.5 for value in spectrum.data]),
        fmt="o",
        color="black",
        ms=5,
        label="data",
    )
    top = max(*high, *data)
    axes.set_yscale("log")
    axes.set_ylim(floor / 8, top * (top / floor) ** (ROOM - 1))


def _ratios(axes: Any, spectrum: Spectrum, edges: Sequence[float]) -> None:
    """Over the background, in the bins that have one."""
    relative = [u / b if b > 0 else 0.0 for u, b in zip(spectrum.uncertainty, spectrum.background, strict=True)]
    axes.stairs(
        [1 + r for r in relative], edges, baseline=[1 - r for r in relative], fill=True, color=BACKGROUND, alpha=0.3
    )
    bins = zip(_centres(edges), spectrum.data, spectrum.background, strict=True)
    known = [(x, d / b, d**0.5 / b) for x, d, b in bins if b > 0]
    if known:
        xs, ratios, errors = zip(*known, strict=True)
        axes.errorbar(xs, ratios, yerr=errors, fmt="o", color="black", ms=5)
    total = [1 + s / b if b > 0 else 1.0 for b, s in zip(spectrum.background, spectrum.signal, strict=True)]
    axes.stairs(total, edges, baseline=1, color=SIGNAL, ls="--", lw=1.6)
    axes.set_ylabel("ratio", loc="center")
    reach = max(0.3, *(abs(ratio - 1) + error for _, ratio, error in known), *(r for r in relative))
    axes.set_ylim(1 - min(1.15 * reach, 1.0), 1 + min(1.15 * reach, 2.0))


def edges_of(observable: Observable | None, bins: int) -> tuple[list[float], str]:
    """Bin edges to draw, and their unit: an open last bin is drawn as wide as its neighbour."""
    if observable is None:
        return [float(n) for n in range(bins + 1)], ""
    edges = [edge for edge in observable.edges if edge is not None]
    if observable.edges[-1] is None:
        edges.append(2 * edges[-1] - edges[-2])
    return edges, observable.unit
