"""The background's likelihood, and the signal on top: pyhf reads what is meant."""

from __future__ import annotations

import jsonpatch
import numpy as np
import pyhf
import pytest
from monojet import patch, workspace
from monojet.errors import InputError
from monojet_samples import four_bins

MODELS = tuple(workspace.CORRELATION_MODELS)

# pyhf 0.7.6 uses what jsonschema has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def full_model(few_bins):
    """Signal and background of four bins, as pyhf sees them."""
    background = workspace.background_only(few_bins, "independent")
    return pyhf.Workspace(background).model(patches=[patch.signal_patch(four_bins(), background)])


def expected(model, **moved):
    """Expected events, with parameters moved away from their initial values; a vector moves all its components."""
    pars = np.array(model.config.suggested_init())
    for name, value in moved.items():
        pars[model.config.par_slice(name)] = value
    return model.expected_actualdata(pars)


def test_the_published_yields(yields):
    assert yields.lumi_fb == 139.0
    assert yields.regions == tuple(f"EM{i:02}" for i in range(13))
    assert yields.met_edges_gev == (200, 250, 300, 350, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200)
    assert (yields.observed[-1], yields.background[-1], yields.background_error[-1]) == (207, 218, 9)


def test_the_bins_of_yields_and_selection_are_the_same(yields):
    from monojet.selection import MET_EDGES_GEV

    assert yields.met_edges_gev == MET_EDGES_GEV


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "cannot read"),
        ("lumi_fb: 139", "cannot read"),
        (
            "lumi_fb: 139\nexclusive: [{region: A, met_low: 1, met_high: 2, observed: 1, background: 1, bkg_error: 1}]",
            "not adjacent",
        ),
    ],
)
def test_yields_that_make_no_sense_are_refused(tmp_path, text, why):
    (tmp_path / "yields.yaml").write_text(text)
    with pytest.raises(InputError, match=why):
        workspace.read_yields(tmp_path / "yields.yaml")


@pytest.mark.parametrize("name", MODELS)
def test_pyhf_accepts_the_workspace(yields, name):
    spec = pyhf.Workspace(workspace.background_only(yields, name))
    assert spec.channel_slices == {"monojet": slice(0, 13)}
    assert spec.data(spec.model(poi_name=None), include_auxdata=False) == list(yields.observed)


@pytest.mark.parametrize("name", MODELS)
def test_the_covariance_is_the_stated_one(yields, name):
    """d_i d_j (rho + (1 - rho) delta_ij), out of the shifts that pyhf makes."""
    model = pyhf.Workspace(workspace.background_only(yields, name)).model(poi_name=None)
    nominal = expected(model)
    assert nominal == pytest.approx(yields.background)
    covariance = np.zeros((13, 13))
    for parameter in model.config.par_names:
        shift = expected(model, **{parameter: 1.0}) - nominal
        assert expected(model, **{parameter: -3.0}) - nominal == pytest.approx(-3 * shift, abs=1e-6)
        covariance += np.outer(shift, shift)
    rho = {"independent": 0.0, "half": 0.5, "full": 1.0}[name]
    d = np.array(yields.background_error)
    assert covariance == pytest.approx(np.outer(d, d) * (rho + (1 - rho) * np.eye(13)), rel=1e-6, abs=1e-6)


def test_an_unknown_correlation_model_is_refused(yields):
    with pytest.raises(InputError, match="'some' is none of independent, half, full"):
        workspace.background_only(yields, "some")


def test_the_patch_is_an_rfc_6902_patch(few_bins):
    background = workspace.background_only(few_bins, "half")
    signal = patch.signal_patch(four_bins(), background)
    patched = jsonpatch.apply_patch(background, signal)
    assert [sample["name"] for sample in patched["channels"][0]["samples"]] == ["background", "signal"]
    assert len(background["channels"][0]["samples"]) == 1
    pyhf.Workspace(patched)


def test_the_signal_is_scaled_by_mu_alone(full_model, few_bins):
    b, s = np.array(few_bins.background), np.array(four_bins()["yields"])
    assert full_model.config.poi_name == "mu"
    for mu in (0.0, 1.0, 2.5):
        assert expected(full_model, mu=mu) == pytest.approx(b + mu * s)


def test_the_luminosity_moves_the_signal_and_not_the_background(full_model, few_bins):
    b, s = np.array(few_bins.background), np.array(four_bins()["yields"])
    assert expected(full_model, mu=1.0, lumi=1.017) == pytest.approx(b + 1.017 * s)
    assert full_model.config.param_set("lumi").width() == pytest.approx([0.017])


@pytest.mark.parametrize("name", tuple(patch.SHARED_ERRORS))
def test_shared_errors_move_all_bins_together(full_model, few_bins, name):
    b, s = np.array(few_bins.background), np.array(four_bins()["yields"])
    relative = np.linspace(*patch.SHARED_ERRORS[name], 4)
    for pull in (1.0, -1.0, 0.5):
        assert expected(full_model, mu=1.0, **{name: pull}) == pytest.approx(b + s * (1 + pull * relative))


def test_the_monte_carlo_error_enters_bin_by_bin(full_model, few_bins):
    histogram = four_bins()
    b, s = np.array(few_bins.background), np.array(histogram["yields"])
    relative = np.array(histogram["yields_mc_error"]) / s
    assert full_model.config.param_set("signal_mc").width() == pytest.approx(relative)
    gamma = np.array([1.1, 0.9, 1.0, 1.3])
    assert expected(full_model, mu=1.0, signal_mc=gamma) == pytest.approx(b + gamma * s)


def test_the_parameters_are_these_and_no_other(full_model):
    assert set(full_model.config.parameters) == {
        "mu",
        "lumi",
        "signal_mc",
        *patch.SHARED_ERRORS,
        *(f"background_bin{i}" for i in range(4)),
    }


def test_a_histogram_of_other_bins_is_refused(yields):
    with pytest.raises(InputError, match="the histogram has 4 bins, the workspace 13"):
        patch.signal_patch(four_bins(), workspace.background_only(yields, "full"))


def test_a_workspace_of_another_analysis_is_refused(few_bins):
    background = workspace.background_only(few_bins, "full")
    background["channels"][0]["name"] = "dijet"
    with pytest.raises(InputError, match="no channel 'monojet'"):
        patch.signal_patch(four_bins(), background)
