"""Draws a plane of direct or indirect detection with a collider's region and published curves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recast_dm.curves import Curve
from recast_dm.report.planes.mapping import PROXY_ROLE, TOTAL, Plane
from recast_dm.report.plots import style
from recast_dm.report.plots.quantities import plain
from recast_dm.signals.annihilation import THERMAL_SELF_CONJUGATE

_COLOURS = ("#e42536", "#f89c20", "#964a8b", "#3f90da", "#717581", "#92dadd", "#a96b59", "#2b8a3e")
_LOOKS: dict[str, tuple[str, Any, float]] = {
    "observed": ("black", "-", 2.4),
    "observed, with K": ("black", ":", 1.8),
    PROXY_ROLE: ("#555555", (0, (1, 1)), 1.2),
    "expected": ("#1f5fa8", "--", 1.8),
    "expected -1 sigma": ("#1f5fa8", ":", 1.0),
    "expected +1 sigma": ("#1f5fa8", ":", 1.0),
}
_LABELS = {"expected -1 sigma": r"expected $\pm 1\sigma$", "expected +1 sigma": r"expected $\pm 1\sigma$"}
_AXES = {
    "SI": r"$\sigma_\mathrm{SI}$ (DM-nucleon) [cm$^2$]",
    "SD-p": r"$\sigma_\mathrm{SD}$ (DM-proton) [cm$^2$]",
    "SD-n": r"$\sigma_\mathrm{SD}$ (DM-neutron) [cm$^2$]",
}
DECADES = 10.0
"""Decades of the axis above the collider's region and below the curves, at most, that are shown."""


def draw(plane: Plane) -> Any:
    """The figure of a plane: the region and both branches of the contour, curves, thermal target, formula, notes."""
    with style.styled((9.6, 8.4)) as (figure, axes):
        axes.set_xscale("log")
        axes.set_yscale("log")
        _region(axes, plane)
        for each in plane.lines:
            colour, line, width = _look(each.role)
            label = f"collider, {_label(each.role)} (95 % CL)"
            for points in each.lines:
                axes.plot(*zip(*points, strict=True), color=colour, ls=line, lw=width, label=label)
        for n, curve in enumerate(plane.curves):
            _curve(axes, curve, _COLOURS[n % len(_COLOURS)])
        if plane.quantity == "sigmav":
            axes.axhline(THERMAL_SELF_CONJUGATE, color="#666666", ls="-.", lw=1.4, label="thermal target")
        _ends(axes, plane)
        axes.set_xlabel(r"$m_\mathrm{DM}$ [GeV]")
        axes.set_ylabel(_axis(plane))
        style.label(axes, plane.scan.document)
        style.corner(axes, style.about(plane.scan), formula=plane.formula)
        style.below(axes, plane.notes)
        style.legend(axes, fontsize=9.5, loc="lower left", ncols=2)
    return figure


def _look(role: str) -> tuple[str, Any, float]:
    """Colour, line and width; what is known of a contour's own place is thin, in its colour."""
    line, _, part = role.partition(", ")
    if part in ("low", "high"):
        return _LOOKS[line][0], "-", 0.7
    return _LOOKS.get(role, ("black", "-", 0.7))


def _label(role: str) -> str:
    if role.endswith((", low", ", high")):
        return "uncertainty of the line"
    return _LABELS.get(role, role)


def _axis(plane: Plane) -> str:
    if plane.quantity != "sigmav":
        return _AXES[plane.quantity]
    half = r"/2" if plane.factor == 0.5 else ""
    into = "" if plane.channel == TOTAL else rf" ($\chi\chi \to$ {plain(str(plane.channel))})"
    return rf"$\langle\sigma v\rangle${half}{into} [cm$^3$/s]"


def _region(axes: Any, plane: Plane) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for ring in plane.region:
        patch = PathPatch(Path([*ring, ring[0]], closed=True), fc="#9ec5e8", alpha=0.35, lw=0, zorder=0.5)
        patch.set_label("collider, excluded within the scan")
        axes.add_patch(patch)
        axes.plot(*zip(*ring, strict=True), color="#7d93a8", ls=":", lw=1, label="edge of the scan")


def _curve(axes: Any, curve: Curve, colour: str) -> None:
    """A published limit; one that decides nothing here is dashed."""
    level = f"{100 * curve.confidence_level:g} % CL"
    said = [plain(f"{curve.experiment} {curve.year}"), level, *(["digitised"] if curve.digitised else [])]
    said += [plain(_source(curve))] + ([] if curve.used else ["not used"])
    line = "-" if curve.used else (0, (5, 3))
    axes.plot(curve.masses, curve.limits, color=colour, ls=line, lw=1.7, label=", ".join(said))
    if curve.band is not None:
        axes.fill_between(curve.masses, curve.band[0], curve.band[1], color=colour, alpha=0.12, lw=0)


def _source(curve: Curve) -> str:
    if curve.citation.arxiv:
        return f"arXiv:{curve.citation.arxiv}"
    return f"doi:{curve.citation.doi}" if curve.citation.doi else curve.citation.text


def _ends(axes: Any, plane: Plane) -> None:
    """Around the collider's region and the curves near it, with room for words above and below."""
    ours = [point for each in plane.lines for line in each.lines for point in line]
    masses = [mass for mass, _ in ours] or [mass for curve in plane.curves for mass in curve.masses]
    low, high = min(masses), max(masses)
    low, high = max(low * 0.8, 0.5), max(high * 3, 100.0)
    near = [
        limit
        for curve in plane.curves
        for mass, limit in zip(curve.masses, curve.limits, strict=True)
        if low <= mass <= high
    ]
    values = [value for _, value in ours]
    ceiling = max(values, default=1e-30) * 10**DECADES
    values += [limit for limit in near if limit < ceiling]
    values += [THERMAL_SELF_CONJUGATE] if plane.quantity == "sigmav" else []
    if values:
        axes.set_xlim(low, high)
        axes.set_ylim(*_roomy(values))


def _roomy(values: Iterable[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis: two fifths more below the values, for the legend, and a third above, for words."""
    from math import log10

    logs = [log10(value) for value in values if value > 0]
    low, high = min(logs), max(logs)
    reach = max(high - low, 2.0)
    return 10 ** (low - 0.42 * reach), 10 ** (high + 0.36 * reach)
