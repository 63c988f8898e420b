"""How our figures look: mplhep's ROOT style, our own name on them and nobody else's, what they are of in a corner."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from recast_dm.report.plots.quantities import plain
from recast_dm.report.scan import Scan

OBSERVED, EXPECTED = "black", "#1f5fa8"
ONE_SIGMA, TWO_SIGMA = "#607641", "#F5BB54"
FLAGS = ("#e42536", "#964a8b", "#f89c20", "#5790fc")
MOST_LINES, NOTE_WIDTH = 8, 120
"""Lines of notes below a figure, and their characters."""


@contextmanager
def styled(size: tuple[float, float] = (8.8, 7.2), **parts: Any) -> Iterator[Any]:
    """A figure and its axes, in so many `parts` as `Figure.subplots` takes, while our style holds."""
    import matplotlib as mpl
    import mplhep  # type: ignore[import-untyped]  # it ships no types
    from matplotlib.figure import Figure

    ours: dict[str, Any] = {"font.size": 17, "axes.linewidth": 1.4, "legend.fontsize": 12.5}
    ours |= {f"{axis}tick.{kind}.size": size for axis in "xy" for kind, size in (("major", 8), ("minor", 4))}
    ours |= {"mathtext.fontset": "stixsans"}  # a text keeps it, where the figure is saved outside of our style
    whole: dict[Any, Any] = {**mplhep.style.ROOT, **ours}
    with mpl.rc_context(whole):
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots(**parts)


def label(axes: Any, document: Mapping[str, Any]) -> None:
    """Our name, luminosity and energy above the axes. No collaboration stands behind a reinterpretation."""
    luminosity, energy = document.get("luminosity_fb"), document.get("sqrt_s_tev")
    words = [rf"{luminosity:g} fb$^{{-1}}$"] if luminosity else []
    words += [f"({energy:g} TeV)"] if energy else []
    name = axes.annotate(
        "recast-dm", (0, 1), xytext=(0, 5), xycoords="axes fraction", textcoords="offset points", weight="bold"
    )
    axes.annotate(
        "reinterpretation",
        (1, 0),
        xytext=(7, 0),
        xycoords=name,
        textcoords="offset points",
        style="italic",
        va="bottom",
    )
    axes.annotate(
        " ".join(words),
        (1, 1),
        xytext=(0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        size=15,
    )


def legend(axes: Any, **options: Any) -> None:
    """One entry a label, on a ground that hatches do not shine through."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    box = {"frameon": True, "framealpha": 0.9, "edgecolor": "none"}
    axes.legend(once.values(), once.keys(), **{"loc": "upper right", **box, **options}).set_zorder(9)


def about(scan: Scan) -> str:
    """The lines in the corner: analysis, model, order, what is fixed, how bins are correlated."""
    from recast_dm.report.plots import quantities

    document = scan.document
    arxiv = document["references"].get("arxiv")
    fixed = [quantities.value(name, value) for name, value in scan.at.items()]
    corrected = next((row.numbers["k_factor"]["name"] for row in scan.done if row.k_factor), None)
    lines = [
        plain(str(document["analysis"])) + (f" (arXiv:{plain(arxiv)})" if arxiv else ""),
        f"{plain(scan.model)}, {plain(str(document['order']))}"
        + (f", K: {plain(str(corrected))}" if corrected else ""),
        *(", ".join(fixed[n : n + 3]) for n in range(0, len(fixed), 3)),
        "95 % CL limits; bins: " + (", ".join(map(plain, scan.correlation_models)) or "none"),
    ]
    return "\n".join(lines)


def corner(axes: Any, text: str, notes: tuple[str, ...] = (), *, formula: str = "") -> None:
    """What a figure is of, inside the axes, with a formula; what is missing from it, below them."""
    box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 3}
    shown = axes.text(
        0.03,
        0.97,
        text,
        transform=axes.transAxes,
        va="top",
        fontsize=11.5,
        linespacing=1.35,
        bbox=box,
        zorder=10,
    )
    shown.set_in_layout(False)
    if formula:
        place = {"xytext": (0, -8), "xycoords": shown, "textcoords": "offset points"}
        axes.annotate(formula, (0, 0), va="top", fontsize=12, bbox=box, zorder=10, **place).set_in_layout(False)
    below(axes, notes)


def below(axes: Any, notes: tuple[str, ...]) -> None:
    """Small print under a figure."""
    lines = [line for note in notes for line in textwrap.wrap(note, NOTE_WIDTH)]
    lines = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "\u2026"]
    if lines:
        wrapped = "\n".join(plain(line, NOTE_WIDTH) for line in lines)
        axes.figure.supxlabel(wrapped, fontsize=9.5, x=0.02, ha="left", color="#444444")
