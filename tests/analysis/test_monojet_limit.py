"""CLs and limits against pyhf, the closed form against both."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pyhf
import pytest
from monojet import closed_form, limit, patch, workspace
from monojet.errors import ConvergenceError
from monojet_samples import four_bins

from recast_dm import schemas

MODELS = tuple(workspace.CORRELATION_MODELS)

# pyhf 0.7.6 uses what jsonschema has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")


def without_errors(yields, name, signal):
    """A pyhf model and its data; the signal has no error."""
    background = workspace.background_only(yields, name)
    sample = {
        "name": "signal",
        "data": list(signal),
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    background["channels"][0]["samples"].append(sample)
    spec = pyhf.Workspace(background)
    model = spec.model()
    return model, spec.data(model)


def with_errors(yields, name, histogram):
    background = workspace.background_only(yields, name)
    return background, patch.signal_patch(histogram, background)


@pytest.fixture(scope="module")
def counted(few_bins):
    """Limit documents of four bins, made once."""
    made = {}

    def of(name="independent", **changes):
        key = (name, *changes.items())
        if key not in made:
            histogram = four_bins(**changes)
            made[key] = limit.set_limit(*with_errors(few_bins, name, histogram), histogram, name)
        return made[key]

    return of


@pytest.mark.parametrize("name", MODELS)
def test_the_closed_form_agrees_with_pyhf(few_bins, name):
    signal = four_bins()["yields"]
    model, data = without_errors(few_bins, name, signal)
    bins = limit.counting(workspace.background_only(few_bins, name), name)
    observed, expected = closed_form.upper_limits(bins, np.array([signal, np.array(signal) * 2]))
    likelihood = limit.Likelihood(model, data)
    assert observed[0] == pytest.approx(limit.upper_limit(likelihood.cls_observed, 1.0), rel=1e-3)
    assert expected[0] == pytest.approx(limit.upper_limit(lambda mu: likelihood.cls_expected(mu, 0), 1.0), rel=1e-3)
    assert (observed[1], expected[1]) == pytest.approx((observed[0] / 2, expected[0] / 2), rel=1e-5)
    for mu, cls in ((observed[0], 0), (expected[0], 1)):  # and pyhf itself says 5 % there
        found = limit.hypotest(float(mu), data, model)
        assert (found[0], found[1][2])[cls] == pytest.approx(0.05, rel=2e-3)


def test_the_closed_form_agrees_with_pyhf_on_the_published_yields(yields, axial):
    model, data = without_errors(yields, "independent", axial["yields"])
    bins = limit.counting(workspace.background_only(yields, "independent"), "independent")
    observed, _ = closed_form.upper_limits(bins, np.array([axial["yields"]]))
    assert limit.hypotest(float(observed[0]), data, model)[0] == pytest.approx(0.05, rel=2e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_closed_form_reads_the_errors_out_of_the_workspace(yields, name):
    bins = limit.counting(workspace.background_only(yields, name), name)
    assert bins.error == pytest.approx(yields.background_error)
    assert bins.rho == workspace.CORRELATION_MODELS[name]


@pytest.mark.parametrize("name", MODELS)
def test_cls_is_that_of_pyhf(few_bins, name):
    background, signal = with_errors(few_bins, name, four_bins())
    spec = pyhf.Workspace(background)
    model = spec.model(patches=[signal])
    data = spec.data(model)
    likelihood = limit.Likelihood(model, data)
    for mu in (0.3, 1.0, 2.0):
        observed, expected = limit.hypotest(mu, data, model)
        assert likelihood.cls_observed(mu) == pytest.approx(observed, abs=1e-4)
        found = [likelihood.cls_expected(mu, n) for n in limit.N_SIGMA]
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_document_is_one_that_recast_dm_reads(published_limit):
    assert schemas.problem("limit-stage-1", published_limit) is None


def test_the_limit_of_a_signal_like_the_benchmark(published_limit):
    """The A1 benchmark at 2 TeV is excluded, barely; an excess at 1 TeV makes the observed limit weaker."""
    assert 0.5 < published_limit["mu_upper_exp"][2] < published_limit["mu_upper_obs"] < 2
    assert published_limit["mu_upper_exp"] == sorted(published_limit["mu_upper_exp"])
    assert published_limit["cls_exp"] == sorted(published_limit["cls_exp"])
    assert (published_limit["mu_upper_obs"] < 1) == (published_limit["cls_obs"] < 0.05)
    assert (published_limit["mu_upper_exp"][2] < 1) == (published_limit["cls_exp"][2] < 0.05)
    assert 0 < published_limit["mu_upper_obs_mc_error"] < 0.03
    assert published_limit["sigma_pb"] == pytest.approx(0.3526)


def test_the_errors_of_the_signal_weaken_the_limit_a_little(published_limit, tail):
    yields, signal = tail
    bins = limit.counting(workspace.background_only(yields, "independent"), "independent")
    observed, _ = closed_form.upper_limits(bins, np.array([signal["yields"]]))
    assert 1.0 < published_limit["mu_upper_obs"] / observed[0] < 1.1


def test_pyhf_says_five_per_cent_at_the_limit(counted, few_bins):
    found = counted()
    background, signal = with_errors(few_bins, "independent", four_bins())
    spec = pyhf.Workspace(background)
    model = spec.model(patches=[signal])
    data = spec.data(model)
    assert limit.hypotest(found["mu_upper_obs"], data, model)[0] == pytest.approx(0.05, abs=1e-4)
    for i, mu in enumerate(found["mu_upper_exp"]):
        assert limit.hypotest(mu, data, model)[1][i] == pytest.approx(0.05, abs=1e-4)
    observed, expected = limit.hypotest(1.0, data, model)
    assert found["cls_obs"] == pytest.approx(observed, abs=1e-4)
    assert found["cls_exp"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", [2.0, 1e-3, 50.0])
def test_the_limit_on_mu_falls_as_the_cross_section_grows(counted, scale):
    one, other = counted(), counted(scale=scale)
    assert other["mu_upper_obs"] * scale == pytest.approx(one["mu_upper_obs"], rel=1e-3)
    assert np.array(other["mu_upper_exp"]) * scale == pytest.approx(one["mu_upper_exp"], rel=1e-3)
    assert other["sigma_pb"] * other["mu_upper_obs"] == pytest.approx(one["sigma_pb"] * one["mu_upper_obs"], rel=1e-3)


def test_the_document_names_its_correlation_model(counted):
    assert [counted(name)["correlation_model"] for name in MODELS] == list(MODELS)


def test_a_bin_that_no_signal_event_reaches(few_bins):
    histogram = four_bins()
    histogram["counts"][1][3] = histogram["yields"][3] = histogram["yields_mc_error"][3] = 0
    found = limit.set_limit(*with_errors(few_bins, "independent", histogram), histogram, "independent")
    assert math.isfinite(found["mu_upper_obs"])


def test_the_bootstrap_error_falls_as_one_over_the_root_of_the_events(few_bins):
    bins = limit.counting(workspace.background_only(few_bins, "half"), "half")
    few, many = (np.array(limit.bootstrap(bins, four_bins(factor=factor))) for factor in (1, 100))
    assert few / many == pytest.approx([10.0, 10.0], rel=0.15)


def test_the_bootstrap_is_repeatable(few_bins):
    bins = limit.counting(workspace.background_only(few_bins, "full"), "full")
    assert limit.bootstrap(bins, four_bins()) == limit.bootstrap(bins, four_bins())


@pytest.fixture
def failing_optimizer(monkeypatch):
    """pyhf's minimiser ends without success."""
    from pyhf.optimize.mixins import OptimizerMixin
    from scipy.optimize import OptimizeResult

    failure = OptimizeResult(
        x=np.zeros(1), fun=np.nan, success=False, message="Positive directional derivative for linesearch", nfev=1
    )
    optimizer = type(pyhf.get_backend()[1])
    assert issubclass(optimizer, OptimizerMixin)
    monkeypatch.setattr(optimizer, "_minimize", lambda *args, **kwargs: failure)


@pytest.mark.filterwarnings("ignore")
def test_a_fit_that_fails_is_an_error_and_no_number(few_bins, failing_optimizer):
    histogram = four_bins()
    with pytest.raises(ConvergenceError, match="did not converge"):
        limit.set_limit(*with_errors(few_bins, "independent", histogram), histogram, "independent")


def test_a_best_fit_that_is_not_the_best_is_an_error(few_bins):
    model, data = without_errors(few_bins, "full", four_bins()["yields"])
    likelihood = limit.Likelihood(model, data)
    pars, nll = likelihood.best_fit("data")
    likelihood.best["data"] = pars, nll + 1.0
    with pytest.raises(ConvergenceError, match="a fit to the data did not converge"):
        likelihood.q("data", float(pars[likelihood.index]) + 1e-6)


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (lambda mu: math.nan, "CLs is nan"),
        (lambda mu: 1.0, "stays above 0.05"),
        (lambda mu: 0.0, "stays below 0.05"),
    ],
)
def test_a_root_that_is_not_there_is_an_error(cls, why):
    with pytest.raises(ConvergenceError, match=why):
        limit.upper_limit(cls, 1.0)


@pytest.mark.parametrize("guess", [1e-4, 1.0, 2.9957, 1e4])
def test_a_bad_guess_does_not_matter(guess):
    assert limit.upper_limit(lambda mu: math.exp(-mu), guess) == pytest.approx(-math.log(0.05), rel=1e-3)


@pytest.mark.parametrize(("q", "q_asimov"), [(0.5, 3.0), (3.0, 3.0), (5.0, 2.0), (0.0, 1.0)])
def test_the_asymptotic_formulas_are_those_of_pyhf(q, q_asimov):
    distribution = pyhf.infer.calculators.AsymptoticTestStatDistribution
    root = math.sqrt(q_asimov)
    t = math.sqrt(q) - root if q <= q_asimov else (q - q_asimov) / (2 * root)
    ratio = distribution(-root).pvalue(t) / distribution(0.0).pvalue(t)
    assert limit.cls_from_q(q, q_asimov) == pytest.approx(float(ratio), rel=1e-9)


def test_without_sensitivity_nothing_is_excluded():
    assert limit.cls_from_q(0.0, 0.0) == 1.0


def test_underflowing_tails_are_taken_by_their_logarithms(few_bins, monkeypatch):
    """pyhf divides 0 by 0 where a signal is excluded by far; by logarithms CLs stays a number, and the same one."""
    background, operations = with_errors(few_bins, "independent", four_bins())
    spec = pyhf.Workspace(background)
    model = spec.model(patches=[operations])
    likelihood = limit.Likelihood(model, spec.data(model))
    observed, expected = limit.cls_at(1.0, likelihood)
    assert (observed, expected) == limit.hypotest(1.0, spec.data(model), model)
    monkeypatch.setattr(limit, "hypotest", lambda *_: (math.nan, [math.nan] * 5))
    by_logarithms = limit.cls_at(1.0, likelihood)
    assert by_logarithms[0] == pytest.approx(observed, rel=1e-3)
    assert by_logarithms[1] == pytest.approx(expected, rel=1e-3)


def test_cls_that_is_no_number_is_no_convergence(monkeypatch):
    def nowhere(*_):
        return math.nan

    likelihood = SimpleNamespace(sets={"data": None}, model=None, cls_observed=nowhere, cls_expected=nowhere)
    monkeypatch.setattr(limit, "hypotest", lambda *_: (math.nan, [0.1] * 5))
    with pytest.raises(ConvergenceError, match="CLs is nan"):
        limit.cls_at(1.0, likelihood)
