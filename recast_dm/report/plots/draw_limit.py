"""Draws a curve of limits with its bands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recast_dm.report.plots import quantities, style
from recast_dm.report.plots.limit import LimitPlot, Step


def draw(plot: LimitPlot) -> Any:
    """The figure: bands, expected and observed limit, the model's own cross-section, and where it is excluded."""
    with style.styled() as (figure, axes):
        for run in _unbroken(plot.steps):
            _bands(axes, run)
        _theory(axes, plot)
        _outside(axes, plot)
        _missing(axes, plot)
        axes.set_yscale("log")
        if plot.steps[0].x < plot.steps[-1].x:
            axes.set_xlim(plot.steps[0].x, plot.steps[-1].x)
        _room(axes, plot)
        axes.set_xlabel(quantities.axis(plot.axis))
        axes.set_ylabel(_quantity(plot))
        style.label(axes, plot.scan.document)
        style.corner(axes, style.about(plot.scan), plot.scan.notes())
        style.legend(axes)
    return figure


def _quantity(plot: LimitPlot) -> str:
    if plot.quantity == "mu":
        return r"95 % CL limit on $\mu = \sigma / \sigma_\mathrm{model}$"
    return r"95 % CL limit on $\sigma$ [pb]"


def _unbroken(steps: tuple[Step, ...]) -> Iterator[list[Step]]:
    """Stretches of points that have limits: what lies between them is not drawn over."""
    run: list[Step] = []
    for step in steps:
        if step.observed is None and run:
            yield run
            run = []
        elif step.observed is not None:
            run.append(step)
    if run:
        yield run


def _bands(axes: Any, run: list[Step]) -> None:
    xs = [step.x for step in run]
    columns = list(zip(*(step.expected for step in run), strict=True))
    mark = "." if len(run) == 1 else ""
    axes.fill_between(xs, columns[0], columns[4], color=style.TWO_SIGMA, lw=0, label=r"expected $\pm 2\sigma$")
    axes.fill_between(xs, columns[1], columns[3], color=style.ONE_SIGMA, lw=0, label=r"expected $\pm 1\sigma$")
    axes.plot(xs, columns[2], color="black", ls="--", lw=1.8, marker=mark, label="expected")
    axes.plot(xs, [step.observed for step in run], color="black", lw=2.2, marker="o", ms=5, label="observed")


def _theory(axes: Any, plot: LimitPlot) -> None:
    if plot.quantity == "mu":
        axes.axhline(1, color=style.FLAGS[0], lw=1.6, label=r"$\mu = 1$")
    rates = {"": [step.theory for step in plot.steps], " x K": [step.theory_k for step in plot.steps]}
    for (name, rate), line in zip(rates.items(), ("-", ":"), strict=True):
        known = [(step.x, value) for step, value in zip(plot.steps, rate, strict=True) if value is not None]
        if known and (plot.quantity == "sigma" or name):
            order = quantities.plain(str(plot.scan.document["order"]))
            label = (rf"$\sigma$ {order}{name}" if plot.quantity == "sigma" else rf"$\mu$ = K ({order}{name})").strip()
            axes.plot(*zip(*known, strict=True), color=style.FLAGS[0], ls=line, lw=1.8, label=label)
    for role, line in (("observed", "-"), ("expected", "--")):
        for x in plot.crossings.get(role, ()):
            axes.axvline(x, ymax=0.5, color="#777777", ls=line, lw=1, zorder=0.5)
            text = f"{x:.4g}"
            axes.annotate(
                text, (x, 0.015), xycoords=("data", "axes fraction"), rotation=90, fontsize=10, ha="right", va="bottom"
            )


def _outside(axes: Any, plot: LimitPlot) -> None:
    """A mark on every point at which an assumption of the model does not hold."""
    names = dict.fromkeys(name for step in plot.steps for name in step.broken if step.observed is not None)
    for n, name in enumerate(names):
        places = [(step.x, step.observed) for step in plot.steps if name in step.broken and step.observed is not None]
        axes.plot(
            *zip(*places, strict=True),
            ls="none",
            marker="os^D"[n % 4],
            ms=11 + 3 * n,
            mfc="none",
            mec=style.FLAGS[n % len(style.FLAGS)],
            label=f"outside: {quantities.plain(name)}",
        )


def _missing(axes: Any, plot: LimitPlot) -> None:
    """Hatches where points have no limit, half-way to their neighbours."""
    xs = [step.x for step in plot.steps]
    for n, step in enumerate(plot.steps):
        if step.observed is not None:
            continue
        low = (xs[max(n - 1, 0)] + step.x) / 2
        high = (xs[min(n + 1, len(xs) - 1)] + step.x) / 2
        kind = "////" if step.status == "not covered" else "xxxx"
        axes.axvspan(low, high, fc="none", ec="#9a9a9a", hatch=kind, lw=0, label=step.status)


def _room(axes: Any, plot: LimitPlot) -> None:
    """A third of the height above the curves for words."""
    values = [v for s in plot.steps for v in (s.observed, s.theory, s.theory_k, *s.expected) if v is not None and v > 0]
    if values:
        low, high = min(values), max(values)
        axes.set_ylim(low / 1.6, high * (high / low) ** 0.55 * 1.6)
