"""Every likelihood that is installed, the fake and a combination behave alike."""

from __future__ import annotations

from importlib.metadata import entry_points

import numpy as np
import pytest
from likelihoods import atlas_model, cms_model, counting, random_model

from recast_dm.errors import StatisticsError, ToolMissing, UsageError
from recast_dm.statistics import found
from recast_dm.statistics.asymptotic import Test as Fits
from recast_dm.statistics.combination import Product
from recast_dm.statistics.fake import FakeLikelihood
from recast_dm.statistics.likelihood import Likelihood
from recast_dm.statistics.workspace import Model

SMALL = {"observed": [52, 18, 6], "background": [50, 20, 5], "error": [5, 2, 1], "signal": [4, 6, 5]}


def independent() -> Likelihood:
    return found.bind(counting(**SMALL), "independent")


MADE = {
    "independent": independent,
    "independent-half": lambda: found.bind(counting(**SMALL, rho=0.5), "independent"),
    "independent-full": lambda: found.bind(counting(**SMALL, rho=1.0), "independent"),
    "covariance": lambda: found.bind(cms_model(2000), "covariance"),
    "covariance-fewer-shifts": lambda: found.bind(counting(**SMALL, rho=1.0), "covariance"),
    "histfactory": lambda: found.bind(random_model(5), "histfactory"),
    "pyhf": lambda: found.bind(counting(**SMALL), "pyhf"),
    "fake": FakeLikelihood,
    "combination": lambda: Product({"one": independent(), "two": FakeLikelihood()}),
}


def test_every_installed_likelihood_is_tried():
    assert set(found.names()) <= set(MADE)


@pytest.fixture(scope="module", params=MADE)
def likelihood(request) -> Likelihood:
    return MADE[request.param]()


@pytest.fixture(scope="module")
def loose(likelihood) -> float:
    """How exact a minimum is, in -2 ln L: pyhf's optimiser stops earlier than ours."""
    return 1e-4 if likelihood.name == "pyhf" else 1e-8


class TestConformance:
    def test_is_a_likelihood(self, likelihood):
        assert isinstance(likelihood, Likelihood)
        assert likelihood.name
        assert len(set(likelihood.parameters)) == len(likelihood.parameters)

    def test_the_data_are_one_row(self, likelihood):
        data = likelihood.observed()
        assert len(data) == len(data.main) == len(data.aux) == 1
        assert np.isfinite(data.main).all()
        assert np.isfinite(data.aux).all()

    def test_a_fit_at_mu_has_that_mu_and_every_parameter(self, likelihood):
        fit = likelihood.fit(likelihood.observed(), np.array([0.7]))
        assert fit.mu.tolist() == [0.7]
        assert fit.value.shape == fit.slope.shape == (1,)
        assert fit.parameters.shape == (1, len(likelihood.parameters))

    def test_no_other_mu_is_better_than_the_best(self, likelihood, loose):
        data = likelihood.observed()
        best = likelihood.fit(data)
        assert best.mu[0] >= 0
        for mu in (0.0, 0.5 * best.mu[0], 1.1 * best.mu[0] + 0.01, 2.0, 5.0):
            assert likelihood.fit(data, np.array([mu])).value[0] >= best.value[0] - loose

    def test_the_slope_is_that_of_the_profile(self, likelihood, loose):
        data = likelihood.observed()
        mu, step = 1.5, 0.02
        at = likelihood.fit(data, np.array([mu]))
        low, high = (likelihood.fit(data, np.array([mu + sign * step]), at).value[0] for sign in (-1, 1))
        assert at.slope[0] == pytest.approx((high - low) / (2 * step), rel=2e-2, abs=10 * loose / step + 1e-4)

    def test_where_a_fit_begins_does_not_decide_where_it_ends(self, likelihood, loose):
        data = likelihood.observed()
        fresh = likelihood.fit(data, np.array([1.0]))
        led = likelihood.fit(data, np.array([1.0]), likelihood.fit(data, np.array([3.0])))
        assert led.value[0] == pytest.approx(fresh.value[0], abs=loose, rel=1e-9)

    @pytest.mark.parametrize("mu", [0.0, 1.0])
    def test_injection(self, likelihood, mu, loose):
        """What a fit expects is fitted best by what it was made of: mu-hat is mu, within 1 % and better."""
        truth = likelihood.fit(likelihood.observed(), np.array([mu]))
        asimov = likelihood.expected(truth)
        found_again = likelihood.fit(asimov)
        assert found_again.mu[0] == pytest.approx(mu, abs=1e-2 if loose > 1e-6 else 1e-5)
        assert likelihood.fit(asimov, np.array([mu])).value[0] <= found_again.value[0] + 10 * loose

    def test_toys_scatter_around_what_is_expected(self, likelihood):
        truth = likelihood.fit(likelihood.observed(), np.array([1.0]))
        toys = likelihood.sample(truth.rows(np.zeros(4000, dtype=np.intp)), np.random.default_rng(1))
        expected = likelihood.expected(truth)
        assert len(toys) == 4000
        for drawn, mean in ((toys.main, expected.main[0]), (toys.aux, expected.aux[0])):
            spread = drawn.std(axis=0)
            assert (spread > 0).all()
            assert (np.abs(drawn.mean(axis=0) - mean) < 5 * spread / np.sqrt(4000)).all()

    def test_toys_come_back_with_their_seed(self, likelihood):
        truth = likelihood.fit(likelihood.observed(), np.array([1.0])).rows(np.zeros(3, dtype=np.intp))
        one, again, other = (likelihood.sample(truth, np.random.default_rng(seed)) for seed in (7, 7, 8))
        assert np.array_equal(one.main, again.main)
        assert np.array_equal(one.aux, again.aux)
        assert not np.array_equal(one.aux, other.aux)

    def test_a_row_does_not_see_the_others(self, likelihood):
        truth = likelihood.fit(likelihood.observed(), np.array([1.0])).rows(np.zeros(3, dtype=np.intp))
        toys = likelihood.sample(truth, np.random.default_rng(3))
        together = likelihood.fit(toys, np.array([0.5, 1.0, 2.0]), truth)
        for row in range(3):
            alone = likelihood.fit(
                toys.rows(slice(row, row + 1)), together.mu[row : row + 1], truth.rows(slice(row, row + 1))
            )
            assert alone.value[0] == pytest.approx(together.value[row], rel=1e-9, abs=1e-9)

    def test_limits_are_where_cls_is_five_percent(self, likelihood):
        test = Fits(likelihood)
        limits = test.upper_limits()
        at = test.hypotest(limits.observed)
        assert at.cls_obs == pytest.approx(0.05, rel=1e-3)
        for k, mu in enumerate(limits.expected):
            assert test.hypotest(mu).cls_exp[k] == pytest.approx(0.05, rel=1e-3)
        assert list(limits.expected) == sorted(limits.expected)

    def test_cls_is_a_probability_and_rises_with_the_fluctuation(self, likelihood):
        at = Fits(likelihood).hypotest(1.0)
        assert 0 <= at.cls_obs <= 1
        assert list(at.cls_exp) == sorted(at.cls_exp)
        assert at.cls_exp[0] >= 0
        assert at.cls_exp[-1] <= 1


def test_entry_points_and_the_table_of_images_say_the_same():
    ours = {entry.name: entry.value for entry in entry_points(group=found.GROUP)}
    assert {name: ours[name] for name in found.OURS} == found.OURS


def test_the_first_that_is_exact_is_taken():
    assert found.bind(counting(**SMALL)).name == "independent"
    assert found.bind(atlas_model([10] * 13, rho=0.5)).name == "independent"
    assert found.bind(cms_model(2000)).name == "covariance"
    assert found.bind(random_model(5)).name == "histfactory"


def test_a_signal_with_errors_of_its_own_is_for_the_full_likelihood():
    model = counting(**SMALL)
    sample = model.patch[0]["value"]
    sample["modifiers"].append({"name": "pdf", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}})
    assert found.bind(model).name == "histfactory"
    with pytest.raises(UsageError, match="cannot do this workspace and signal exactly"):
        found.bind(model, "independent")


def test_an_unknown_likelihood():
    with pytest.raises(UsageError, match="no likelihood 'bayes'"):
        found.bind(counting(**SMALL), "bayes")


def test_a_broken_one(monkeypatch):
    monkeypatch.setitem(found.OURS, "covariance", "recast_dm.no_such_module:bind")
    found.targets.cache_clear()
    try:
        with pytest.raises(ToolMissing, match="cannot be loaded"):
            found.find("covariance")
    finally:
        monkeypatch.undo()
        found.targets.cache_clear()


def test_a_signal_without_events_is_an_error_and_not_a_limit():
    with pytest.raises(StatisticsError, match="expects no event in any bin"):
        found.bind(counting([5], [5], [1], [0.0]))


def test_a_combination_needs_two():
    with pytest.raises(UsageError, match="two analyses"):
        Product({"one": FakeLikelihood()})


def test_a_combination_excludes_more_than_its_parts():
    one, two = FakeLikelihood(measured=10.0), independent()
    both = Fits(Product({"one": one, "two": two})).upper_limits()
    alone = [Fits(part).upper_limits().expected[2] for part in (one, two)]
    assert both.expected[2] < min(alone)


def test_a_combination_of_twins_is_one_with_twice_the_data():
    """Two equal Gaussian measurements are one whose error is smaller by the square root of two."""
    part = FakeLikelihood(error=1.0, systematic=0.5)
    twice = FakeLikelihood(error=1.0 / np.sqrt(2), systematic=0.5 / np.sqrt(2))
    both = Fits(Product({"a": part, "b": part})).upper_limits()
    assert both.observed == pytest.approx(Fits(twice).upper_limits().observed, rel=1e-6)
    assert both.expected == pytest.approx(Fits(twice).upper_limits().expected, rel=1e-6)


def test_models_are_told_apart_by_their_backgrounds():
    one, other = counting(**SMALL), counting(**{**SMALL, "background": [60, 20, 5]})
    limits = [Fits(found.bind(model)).upper_limits().observed for model in (one, other, one)]
    assert limits[0] == limits[2] != limits[1]
    assert Model(one.workspace, []).background_hash == one.background_hash
