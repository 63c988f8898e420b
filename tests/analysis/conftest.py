"""The monojet analyses' own code: what runs inside their images, imported here without them."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "specs/cms-exo-20-004/code"))
sys.path.insert(0, str(Path(__file__).parents[2] / "specs/atlas-exot-2018-06/code"))

from monojet import histogram, limit, patch, workspace  # the path comes first
from monojet_samples import YIELDS, axial_selections, counting_yields


@pytest.fixture(scope="session")
def yields():
    """The published yields."""
    return workspace.read_yields(YIELDS)


@pytest.fixture(scope="session")
def axial():
    """The histogram of a signal with about the spectrum of the A1 benchmark at 2 TeV."""
    return histogram.merge(axial_selections(), lumi_fb=139.0)


@pytest.fixture(scope="session")
def few_bins():
    """Four bins, so that fits are quick."""
    return counting_yields()


@pytest.fixture(scope="session")
def tail(yields, axial):
    """The published yields above 700 GeV and the histogram of `axial` there: the bins that decide, and quick to fit."""
    cut = slice(7, None)
    bins = dataclasses.replace(
        yields,
        **{
            name: getattr(yields, name)[cut]
            for name in ("regions", "met_edges_gev", "observed", "background", "background_error")
        },
    )
    per_bin = {name: axial[name][cut] for name in ("yields", "yields_mc_error")}
    return bins, {**axial, **per_bin, "counts": [row[cut] for row in axial["counts"]]}


@pytest.fixture(scope="session")
def published_limit(tail):
    """The limit document of `tail`: seconds of fits, made once."""
    yields, signal = tail
    background = workspace.background_only(yields, "independent")
    return limit.set_limit(background, patch.signal_patch(signal, background), signal, "independent")
