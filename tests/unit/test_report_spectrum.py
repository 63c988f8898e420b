"""The bins of a limit: found by what files hold, read by pyhf, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast_dm.report import likelihood, spectrum
from recast_dm.report.plots import draw_spectrum, files
from recast_dm.spec.analysis import Observable, Output, Statistics

BACKGROUND, ERRORS, DATA, SIGNAL = [50.0, 20.0], [5.0, 4.0], [52.0, 17.0], [1.0, 3.0]


def workspace(channel: str = "monojet") -> dict:
    modifiers = [{"name": "error", "type": "shapesys", "data": ERRORS}]
    background = {"name": "background", "data": BACKGROUND, "modifiers": modifiers}
    control = {"name": "control", "samples": [{"name": "background", "data": [9.0], "modifiers": []}]}
    return {
        "channels": [control, {"name": channel, "samples": [background]}],
        "observations": [{"name": "control", "data": [9.0]}, {"name": channel, "data": DATA}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


def patch(sample: str = "signal") -> list:
    modifier = {"name": "mu", "type": "normfactor", "data": None}
    value = {"name": sample, "data": SIGNAL, "modifiers": [modifier]}
    return [{"op": "add", "path": "/channels/1/samples/1", "value": value}]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, document in (("a.json", workspace()), ("b.json", patch()), ("c.json", {"other": 1})):
        (tmp_path / name).write_text(json.dumps(document))
    (tmp_path / "d.json").write_text("not JSON")
    return tmp_path


def test_a_likelihood_is_found_by_what_its_files_hold(place):
    found = likelihood.of_directory(place)
    assert found is not None
    assert (found.workspace.name, found.patch.name) == ("a.json", "b.json")
    assert (found.channel, found.signal_sample, found.observable) == ("monojet", "signal", None)


def test_what_the_analysis_says_goes_before(place):
    observable = Observable("met", "$E$", "GeV", (200.0, 300.0, None))
    known = Statistics(Output("w", "w"), Output("p", "p"), "monojet", "signal", observable)
    found = likelihood.of_directory(place, known)
    assert found is not None
    assert found.observable == observable


def test_no_workspace_or_no_patch_is_no_likelihood(place):
    (place / "b.json").unlink()
    assert likelihood.of_directory(place) is None


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # pyhf 0.7.6 uses it
def test_the_numbers_of_a_spectrum(place):
    found = likelihood.of_directory(place)
    assert found is not None
    seen = found.spectrum()
    assert seen.data == tuple(DATA)
    assert seen.background == pytest.approx(BACKGROUND)
    assert seen.signal == tuple(SIGNAL)
    assert seen.uncertainty == pytest.approx(ERRORS, rel=1e-6)
    document = spectrum.document(seen, Observable("met", "$E$", "GeV", (200.0, 300.0, None)))
    assert document["rows"][1] == [300.0, None, 17.0, pytest.approx(20), pytest.approx(4), 3.0]


def test_a_figure_holds_the_ratio_and_survives_empty_bins():
    seen = spectrum.Spectrum((5.0, 0.0, 2.0), (4.0, 0.0, 2.5), (1.0, 0.0, 0.5), (0.0, 0.0, 1.0))
    figure = spectrum.figure(seen, None, "a $title_{ with braces", "model$")
    _, lower = figure.axes
    (points,) = (line for line in lower.get_lines() if line.get_marker() == "o")
    assert list(points.get_ydata()) == pytest.approx([5 / 4, 2 / 2.5])
    assert files.picture(figure, "svg")


def test_an_open_last_bin_is_as_wide_as_its_neighbour():
    observable = Observable("met", "$E$", "GeV", (200.0, 300.0, 450.0, None))
    assert draw_spectrum.edges_of(observable, 3) == ([200.0, 300.0, 450.0, 600.0], "GeV")
