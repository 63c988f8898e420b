"""The spectrum that a limit was set on: data, background with its band, signal, from the run's own pyhf workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.reinterpret import Result
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.report.plots import files
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
    if analysis is None or analysis.statistics is None or result.limit is None or result.point is None:
        return ()
    statistics = analysis.statistics
    spectrum = read(result, statistics)
    label = f"{result.point.model} " + ", ".join(f"{k}={v:g}" for k, v in result.point.parameters.items())
    about = {"luminosity_fb": analysis.luminosity_fb, "sqrt_s_tev": analysis.sqrt_s_tev}
    drawn = figure(spectrum, statistics.observable, result.subject.title, label, about)
    places = tuple(result.finished.directory / f"spectrum.{suffix}" for suffix in ("png", "svg"))
    for place in places:
        store.write_atomic(place, files.picture(drawn, place.suffix[1:]))
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


def figure(
    spectrum: Spectrum, observable: Observable | None, title: str, label: str, document: Mapping[str, Any] | None = None
) -> Any:
    """The figure of a spectrum; without an observable, against the number of the bin.

    `document` is that of the limit, if there is one: it knows the luminosity.
    """
    from recast_dm.report.plots import draw_spectrum

    return draw_spectrum.draw(spectrum, observable, title, label, document)
