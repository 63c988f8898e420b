"""The spectrum that a limit was set on: data, background with its band, signal, from the run's own pyhf workspace."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from recast_dm.reinterpret import Result
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.spec.analysis import Observable, Statistics


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Events per bin: data, background and its total uncertainty, and the signal at mu = 1."""

    data: tuple[float, ...]
    background: tuple[float, ...]
    uncertainty: tuple[float, ...]
    signal: tuple[float, ...]


def draw(result: Result) -> tuple[Path, ...]:
    """Writes `spectrum.png` and `spectrum.svg` into the run directory; nothing where there is no pyhf likelihood."""
    analysis = result.subject.analysis
    statistics = analysis.statistics if analysis else None
    if statistics is None or result.limit is None or result.point is None:
        return ()
    spectrum = read(result, statistics)
    title = f"{result.subject.title}"
    label = f"{result.point.model} " + ", ".join(f"{k}={v:g}" for k, v in result.point.parameters.items())
    picture = figure(spectrum, statistics.observable, title, label)
    places = tuple(result.finished.directory / f"spectrum.{suffix}" for suffix in ("png", "svg"))
    for place in places:
        picture.savefig(place, dpi=150, metadata={"Date": None} if place.suffix == ".svg" else None)
    return places


def read(result: Result, statistics: Statistics) -> Spectrum:
    """The spectrum of a run, out of its background-only workspace and its signal patch, by pyhf."""
    outputs = Outputs(result.finished.directory)
    likelihood, patch = outputs.file(statistics.likelihood), outputs.file(statistics.patch)
    return of_files(likelihood, patch, statistics.channel, statistics.signal_sample)


def of_files(workspace_file: Path, patch: Path, channel: str, signal_sample: str) -> Spectrum:
    """The spectrum of one channel of a background-only workspace, with the signal of a patch."""
    import jsonpatch
    import numpy as np
    import pyhf

    background_only = json.loads(workspace_file.read_bytes())
    with_signal = jsonpatch.apply_patch(background_only, json.loads(patch.read_bytes()))
    workspace = pyhf.Workspace(background_only)
    model = workspace.model(poi_name=None)
    bins = model.config.channel_slices[channel]
    nominal = np.asarray(model.config.suggested_init())
    background = np.asarray(model.expected_actualdata(nominal))[bins]
    spread = _spread(model, nominal)[bins]
    samples = next(c for c in with_signal["channels"] if c["name"] == channel)["samples"]
    signal = next(s for s in samples if s["name"] == signal_sample)["data"]
    data = workspace.data(model, include_auxdata=False)[bins]
    return Spectrum(*(tuple(float(x) for x in values) for values in (data, background, spread, signal)))


def document(spectrum: Spectrum, observable: Observable | None) -> dict[str, Any]:
    """The numbers of a spectrum, bin by bin; edges are null where they are infinite, or not known."""
    edges: list[float | None] = [*observable.edges] if observable else [None] * (len(spectrum.data) + 1)
    columns = (spectrum.data, spectrum.background, spectrum.uncertainty, spectrum.signal)
    return {
        "observable": observable.name if observable else "bin",
        "unit": observable.unit if observable else "",
        "columns": ["low", "high", "data", "background", "background_uncertainty", "signal"],
        "rows": [[*pair, *values] for pair, *values in zip(pairwise(edges), *columns, strict=True)],
    }


def _spread(model: Any, nominal: Any) -> Any:
    """One standard deviation of the expected events: each constrained parameter moved by its width, in quadrature."""
    import numpy as np

    widths = model.config.par_map
    total = np.zeros_like(np.asarray(model.expected_actualdata(nominal)))
    for name in model.config.par_order:
        parameter_set = model.config.param_set(name)
        if not parameter_set.constrained:
            continue
        sigmas = np.asarray(parameter_set.width())
        for offset, sigma in zip(range(widths[name]["slice"].start, widths[name]["slice"].stop), sigmas, strict=True):
            up, down = nominal.copy(), nominal.copy()
            up[offset] += sigma
            down[offset] -= sigma
            shift = (np.asarray(model.expected_actualdata(up)) - np.asarray(model.expected_actualdata(down))) / 2
            total += shift**2
    return np.sqrt(total)


def figure(spectrum: Spectrum, observable: Observable | None, title: str, label: str) -> Any:
    """The figure of a spectrum; without an observable, against the number of the bin."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "recast-dm"
    edges, unit = _edges(observable, len(spectrum.data))
    widths = [high - low for low, high in pairwise(edges)]
    picture = Figure(figsize=(7.5, 6.5), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True, height_ratios=(3, 1))

    def density(values: tuple[float, ...]) -> list[float]:
        return [value / width for value, width in zip(values, widths, strict=True)]

    centres = [(low + high) / 2 for low, high in pairwise(edges)]
    background = density(spectrum.background)
    error = density(spectrum.uncertainty)
    low = [max(b - e, 1e-9) for b, e in zip(background, error, strict=True)]
    high = [b + e for b, e in zip(background, error, strict=True)]
    upper.stairs(background, edges, color="tab:blue", label="background")
    upper.stairs(high, edges, baseline=low, fill=True, color="tab:blue", alpha=0.3, label="its uncertainty")
    upper.stairs(density(spectrum.signal), edges, color="tab:red", linestyle="--", label=f"signal: {label}")
    poisson = [value**0.5 for value in spectrum.data]
    upper.errorbar(
        centres,
        density(spectrum.data),
        yerr=density(tuple(poisson)),
        fmt="o",
        color="black",
        markersize=4,
        label="data",
    )
    upper.set_yscale("log")
    upper.set_ylabel(f"events / {unit}" if unit else "events / bin")
    upper.set_title("\n".join(textwrap.wrap(title, 80)), fontsize="medium")
    upper.legend(fontsize="small")
    _ratios(lower, spectrum, edges, centres)
    name = f"{observable.symbol} [{observable.unit}]" if observable else "bin"
    overflow = observable is not None and observable.edges[-1] is None
    lower.set_xlabel(name + (" (last bin: overflow)" if overflow else ""))
    return picture


def _ratios(axes: Any, spectrum: Spectrum, edges: list[float], centres: list[float]) -> None:
    relative = [u / b for u, b in zip(spectrum.uncertainty, spectrum.background, strict=True)]
    axes.stairs(
        [1 + r for r in relative],
        edges,
        baseline=[1 - r for r in relative],
        fill=True,
        color="tab:blue",
        alpha=0.3,
    )
    axes.errorbar(
        centres,
        [d / b for d, b in zip(spectrum.data, spectrum.background, strict=True)],
        yerr=[d**0.5 / b for d, b in zip(spectrum.data, spectrum.background, strict=True)],
        fmt="o",
        color="black",
        markersize=4,
    )
    with_signal = [(b + s) / b for b, s in zip(spectrum.background, spectrum.signal, strict=True)]
    axes.stairs(with_signal, edges, baseline=1, color="tab:red", linestyle="--")
    axes.set_ylabel("ratio to\nbackground")
    axes.set_ylim(0.5, 1.6)


def _edges(observable: Observable | None, bins: int) -> tuple[list[float], str]:
    """Bin edges to draw: an open last bin is drawn as wide as its neighbour."""
    if observable is None:
        return [float(n) for n in range(bins + 1)], ""
    edges = [edge for edge in observable.edges if edge is not None]
    if observable.edges[-1] is None:
        edges.append(2 * edges[-1] - edges[-2])
    return edges, observable.unit
