"""Spot checks find what is wrong, and only that; uncertainties come item by item."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from likelihoods import ATLAS_SIGNAL, atlas_model, cms_model, counting, random_model, signal_patch

from recast_dm.errors import StatisticsError
from recast_dm.statistics import check, found, reference, uncertainty
from recast_dm.statistics.asymptotic import Test as Fits
from recast_dm.statistics.limit import Limit, Uncertainty
from recast_dm.statistics.workspace import Model


def limit_of(model: Model) -> Limit:
    test = Fits(found.bind(model))
    at_one, upper = test.hypotest(1.0), test.upper_limits()
    return Limit(
        sigma_pb=1.0,
        sigma_pb_mc_error=0.0,
        cls_obs=at_one.cls_obs,
        cls_exp=at_one.cls_exp,
        mu_upper_obs=upper.observed,
        mu_upper_exp=upper.expected,
        mu_upper_obs_mc_error=0.0,
        mu_upper_exp_mc_error=0.0,
        correlation_model="any",
    )


MODEL = counting([52, 18, 6], [50, 20, 5], [5, 2, 1], [4, 6, 5])
PATCHES = [signal_patch([4 * k, 6, 5]) for k in range(1, 41)]


def limits_of(patches):
    return [limit_of(Model(MODEL.workspace, patch)) for patch in patches]


def test_good_limits_pass():
    done = check.spot_check(MODEL.workspace, PATCHES[:4], limits_of(PATCHES[:4]))
    assert done.points == 3
    assert done.largest_cls_difference < 1e-4
    assert done.reference == "pyhf"
    assert done.document() == {
        "reference": "pyhf",
        "points": 3,
        "largest_cls_difference": done.largest_cls_difference,
    }


@pytest.mark.parametrize(
    ("fraction", "at_least", "points"), [(0.05, 3, 3), (0.1, 3, 4), (0.0, 0, 0), (1.0, 3, 40), (0.05, 100, 40)]
)
def test_how_many_points_are_checked(monkeypatch, fraction, at_least, points):
    monkeypatch.setattr(check, "compare", lambda model, limit: (0.0, check.PYHF))
    limits = [limit_of(MODEL)] * 40
    done = check.spot_check(MODEL.workspace, PATCHES, limits, fraction=fraction, at_least=at_least, seed=1)
    assert done.points == points


def test_the_seed_chooses(monkeypatch):
    def seen(seed):
        patches = []
        monkeypatch.setattr(check, "compare", lambda model, limit: (patches.append(model.patch) or 0.0, check.PYHF))
        check.spot_check(MODEL.workspace, PATCHES, [limit_of(MODEL)] * 40, seed=seed)
        return patches

    assert seen(1) == seen(1) != seen(2)


@pytest.mark.parametrize(
    "change",
    [
        lambda limit: {"cls_obs": limit.cls_obs + 0.002},
        lambda limit: {"cls_exp": (*limit.cls_exp[:4], limit.cls_exp[4] - 0.002)},
        lambda limit: {"mu_upper_obs": 1.05 * limit.mu_upper_obs},
        lambda limit: {"mu_upper_exp": tuple(1.05 * mu for mu in limit.mu_upper_exp)},
        lambda limit: {"cls_obs": math.nan},
    ],
)
def test_a_number_that_is_off_is_an_error(change):
    limit = limit_of(Model(MODEL.workspace, PATCHES[0]))
    wrong = replace(limit, **change(limit))
    with pytest.raises(StatisticsError, match="is not the reference's") as caught:
        check.spot_check(MODEL.workspace, [PATCHES[0]], [wrong])
    assert caught.value.exit_code == 7


def test_a_wrong_likelihood_is_found_out_although_pyhf_begins_where_it_ended(monkeypatch):
    """A fast form that forgets the common shift: its numbers agree with themselves, and not with pyhf's."""
    model = atlas_model([0.05 * s for s in ATLAS_SIGNAL], rho=0.5)
    forgetful = atlas_model([0.05 * s for s in ATLAS_SIGNAL], rho=0.0)
    wrong = limit_of(forgetful)
    with pytest.raises(StatisticsError, match="is not the reference's"):
        check.spot_check(model.workspace, [model.patch], [wrong])


def test_five_points_of_the_66_bins_take_seconds():
    models = [cms_model(mass) for mass in (1500, 2000, 2250)]
    limits = [limit_of(model) for model in models]
    done = check.spot_check(models[0].workspace, [model.patch for model in models], limits)
    assert done.points == 3
    assert done.largest_cls_difference < 1e-5


def test_where_pyhf_gives_up_scipy_minimises_its_likelihood(monkeypatch):
    def gives_up(self, data, mu=None, start=None):
        raise StatisticsError("a fit of pyhf did not converge")

    model = random_model(5)
    limit = limit_of(model)
    monkeypatch.setattr(reference.Reference, "fit", gives_up)
    difference, by = check.compare(model, limit)
    assert difference < 1e-4
    assert by == check.SCIPY


class TestUncertainty:
    def test_a_change_of_all_yields_is_a_change_of_the_limit(self):
        test = Fits(found.bind(cms_model(2000)))
        mu = test.upper_limits().expected[2]
        yields = np.array(cms_model(2000).patch[0]["value"]["data"])
        assert uncertainty.of_yields(test, mu, 0.07 * yields, correlated=True) == pytest.approx(0.07, rel=1e-4)
        assert uncertainty.of_yields(test, mu, 0.07 * yields, correlated=False) < 0.07

    def test_the_sensitivity_is_a_derivative(self):
        """A change of one bin, propagated to first order and by setting the limit anew."""
        model = MODEL
        test = Fits(found.bind(model))
        mu = test.upper_limits().expected[2]
        weight = uncertainty.sensitivity(test, mu)
        for k in range(3):
            changed = np.array(model.patch[0]["value"]["data"])
            changed[k] *= 1.001
            anew = Fits(found.bind(Model(model.workspace, signal_patch(changed)))).upper_limits().expected[2]
            step = changed[k] * 0.001 / 1.001
            assert anew / mu - 1 == pytest.approx(-weight[k] * step, rel=5e-3)

    def test_monte_carlo(self):
        test = Fits(found.bind(MODEL))
        item = uncertainty.monte_carlo(test, test.upper_limits().expected[2], np.array([0.2, 0.3, 0.25]))
        assert item.source == "monte-carlo"
        assert 0.01 < item.relative < 0.08

    def test_cross_section(self):
        given_ = uncertainty.cross_section(scale=0.03, pdf=0.04)
        assert given_.relative == pytest.approx(0.05)
        assert given_.how == "scale and PDF in quadrature"
        none = uncertainty.cross_section(statistical=0.005)
        assert none.relative == 0.005
        assert "not given" in none.how

    def test_closure(self):
        item = uncertainty.emulation([1.03, 0.96])
        assert item.relative == pytest.approx(math.sqrt((0.03**2 + 0.04**2) / 2))
        assert item.source == "closure"
        assert "2 published limits" in item.how

    def test_total(self):
        assert uncertainty.total([Uncertainty("a", 0.3, ""), Uncertainty("b", 0.4, "")]) == pytest.approx(0.5)

    @pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
    def test_the_correlation_models_of_a_workspace_of_either(self, rho):
        signal = [0.05 * s for s in ATLAS_SIGNAL]
        limits = uncertainty.by_correlation_model(atlas_model(signal, rho=rho))
        assert list(limits) == ["independent", "half", "full"]
        for name, share in uncertainty.CORRELATION_MODELS.items():
            direct = Fits(found.bind(atlas_model(signal, rho=share))).upper_limits()
            assert limits[name].observed == pytest.approx(direct.observed, rel=1e-6)
        item = uncertainty.correlations(limits)
        observed = sorted(each.observed for each in limits.values())
        assert (1 + item.relative) ** 2 == pytest.approx(observed[-1] / observed[0])
        assert "half" in item.how

    def test_there_is_one_correlation_model_where_the_covariance_is_known(self):
        limits = uncertainty.by_correlation_model(cms_model(2000))
        assert limits == {}
        assert uncertainty.correlations(limits) is None
