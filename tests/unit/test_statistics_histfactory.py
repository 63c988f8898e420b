"""The full likelihood: pyhf's rates and -2 ln L to rounding, and derivatives that are those of the function."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from likelihoods import SPECS, counting, random_model, susy_model, susy_patches
from scipy.optimize import approx_fprime

from recast_dm.errors import StatisticsError, UsageError
from recast_dm.statistics import found, histfactory, newton, reference
from recast_dm.statistics.asymptotic import Test as Fits
from recast_dm.statistics.histfactory import rates
from recast_dm.statistics.histfactory.interpolation import bend, coefficients, log_factor
from recast_dm.statistics.likelihood import Data
from recast_dm.statistics.workspace import Model


def sides(model: Model):
    """Our model, pyhf's, its data; our indices for each of pyhf's parameters and constraints."""
    ours, (theirs, data) = histfactory.bind(model), reference.pyhf_model(model)
    named = reference.Reference(theirs, data)
    order = [ours.names.index(name) for name in named.names]
    constrained = [ours.constrained.index(name) for name in named.constrained]
    return ours, theirs, np.array(data), order, constrained


def somewhere(ours: histfactory.HistFactory, seed: int) -> np.ndarray:
    """Parameters away from where they begin, some of them far, none at a bound."""
    compiled = ours._compiled
    random = np.random.default_rng(seed)
    theta = compiled.begin + random.normal(0, 1, len(compiled.begin)) * np.where(compiled.begin == 0, 1.3, 0.05)
    return np.where(compiled.fixed, compiled.begin, np.clip(theta, compiled.lower + 1e-3, compiled.upper))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_rates_and_likelihood_are_pyhfs(seed):
    ours, theirs, data, order, constrained = sides(random_model(seed))
    first, second = somewhere(ours, seed), somewhere(ours, seed + 1)
    bins = theirs.config.nmaindata
    expected = theirs.expected_data(first[order].tolist())
    assert rates.rates(ours._compiled, first[None, :])[0] == pytest.approx(expected[:bins], rel=1e-12)
    aux = rates.constraints(ours._compiled, first[None, :])[0]
    assert aux[constrained] == pytest.approx(expected[bins:], rel=1e-12)
    measured = ours.observed()
    assert measured.main[0].tolist() == data[:bins].tolist()
    assert measured.aux[0, constrained] == pytest.approx(data[bins:])
    values = [
        rates.evaluate(ours._compiled, each[None, :], measured.main, measured.aux)[0][0] for each in (first, second)
    ]
    if np.isfinite(values).all():
        said = [-2 * float(theirs.logpdf(each[order].tolist(), data.tolist())[0]) for each in (first, second)]
        assert values[0] - values[1] == pytest.approx(said[0] - said[1], abs=1e-7, rel=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_derivatives(seed):
    ours, *_ = sides(random_model(seed))
    compiled, data = ours._compiled, ours.observed()
    theta = somewhere(ours, seed)

    def value(at):
        return rates.evaluate(compiled, at[None, :], data.main, data.aux)[0][0]

    if not np.isfinite(value(theta)):
        return
    _, gradient, hessian = (each[0] for each in rates.evaluate(compiled, theta[None, :], data.main, data.aux))
    scale = np.sqrt(np.abs(np.diagonal(hessian))) + 1
    assert (gradient / scale) == pytest.approx(approx_fprime(theta, value, 1e-7) / scale, abs=1e-3)
    for column in range(len(theta)):
        step = np.zeros(len(theta))
        step[column] = 1e-5
        ahead, behind = (
            rates.evaluate(compiled, (theta + sign * step)[None, :], data.main, data.aux)[1][0] for sign in (1, -1)
        )
        numeric = (ahead - behind) / 2e-5
        assert hessian[:, column] / (scale * scale[column]) == pytest.approx(
            numeric / (scale * scale[column]), abs=2e-4
        )
    assert np.allclose(hessian, hessian.T)


def test_mu_of_zero_has_its_derivatives():
    """The signal's yields vanish with mu, their derivative by it does not."""
    ours = histfactory.bind(counting([52, 18], [50, 20], [5, 2], [4, 6]))
    at_zero = ours.fit(ours.observed(), np.zeros(1))
    near = ours.fit(ours.observed(), np.array([1e-6]))
    assert at_zero.slope[0] == pytest.approx(near.slope[0], rel=1e-4)
    assert at_zero.slope[0] != 0


class TestInterpolation:
    """Codes 4 and 4p as pyhf's own classes compute them."""

    ALPHAS = (-3.0, -1.0, -0.999999, -0.4, 0.0, 0.3, 1.0, 1.000001, 2.5)

    def test_code_4p(self):
        from pyhf.interpolators import code4p

        down, nominal, up = 8.0, 10.0, 13.0
        theirs = code4p([[[[down], [nominal], [up]]]], subscribe=False)
        straight, bent = (up - down) / 2, (up + down - 2 * nominal) / 16
        for alpha in self.ALPHAS:
            ours = alpha * straight + float(bend(np.array(alpha))[0]) * bent
            assert ours == pytest.approx(float(theirs(np.array([[alpha]]))[0][0][0][0]), abs=1e-12)

    def test_code_4(self):
        from pyhf.interpolators import code4

        low, high = np.array([[0.85]]), np.array([[1.3]])
        theirs = code4([[[[0.85], [1.0], [1.3]]]], subscribe=False)
        polynomial = coefficients(high, low)
        for alpha in self.ALPHAS:
            ours = np.exp(log_factor(np.array([[[alpha]]]), polynomial, np.log(high), np.log(low))[0])
            assert float(ours[0, 0, 0]) == pytest.approx(float(theirs(np.array([[alpha]]))[0][0][0][0]), rel=1e-12)

    @pytest.mark.parametrize("alpha", ALPHAS)
    def test_derivatives_of_both(self, alpha):
        step = 1e-6

        def both(x):
            high, low = np.array([[1.3]]), np.array([[0.85]])
            factor = log_factor(np.array([[[x]]]), coefficients(high, low), np.log(high), np.log(low))
            return [bend(np.array(x)), [float(each[0, 0, 0]) for each in factor]]

        for at, ahead, behind in zip(both(alpha), both(alpha + step), both(alpha - step), strict=True):
            assert at[1] == pytest.approx((ahead[0] - behind[0]) / (2 * step), abs=1e-4)
            assert at[2] == pytest.approx((ahead[1] - behind[1]) / (2 * step), abs=1e-3)


def test_a_channel_that_the_patch_removes_is_gone():
    name = next(iter(susy_patches()))
    ours, theirs, *_ = sides(susy_model(name))
    assert any(operation["op"] == "remove" for operation in susy_model(name).patch)
    assert ours.observed().main.shape[1] == theirs.config.nmaindata == 6
    assert set(ours.names) == {
        (each, k) for each in theirs.config.par_order for k in range(theirs.config.param_set(each).n_parameters)
    }


def test_a_patch_that_does_more_is_applied_as_it_stands():
    """One that replaces a number of the background: nothing is taken from what was read before."""
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    more = [*model.patch, {"op": "replace", "path": "/observations/0/data/0", "value": 70.0}]
    changed = Model(model.workspace, more)
    assert changed.added is None
    assert found.bind(changed).name == "histfactory"
    assert found.bind(changed).observed().main[0].tolist() == [70.0, 18.0]
    other = counting([70, 18], [50, 20], [5, 2], [4, 6])
    limits = [Fits(found.bind(each)).upper_limits().observed for each in (changed, other)]
    assert limits[0] == pytest.approx(limits[1], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "normsys", "name": "x", "data": {"hi": 1.1, "lo": 0.0}}, "multiplies a sample of 'SR' by 0"),
        ({"type": "staterror", "name": "x", "data": [1.0]}, "another number of bins"),
        ({"type": "histosys", "name": "x", "data": {"hi_data": [1.0], "lo_data": [1.0]}}, "1 and 1 bins, its sample 2"),
        ({"type": "lumi", "name": "lumi", "data": None}, "does not say auxdata and sigmas"),
        ({"type": "spline", "name": "x", "data": None}, "modifier of type 'spline'"),
        ({"type": "normfactor", "name": "bin0", "data": None}, "two modifiers named 'bin0' do not go together"),
    ],
)
def test_what_cannot_be(change, message):
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    model.patch[0]["value"]["modifiers"].append(change)
    with pytest.raises(UsageError, match=message):
        found.bind(model)


def test_a_patch_without_the_parameter_of_interest():
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    model.patch[0]["value"]["modifiers"] = []
    with pytest.raises(UsageError, match="brings no normfactor 'mu'"):
        found.bind(model)


def test_what_the_measurement_says_of_parameters_holds():
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    fixed = {"name": "bin0", "inits": [0.5], "bounds": [[-1.0, 1.0]], "fixed": True}
    model.workspace["measurements"][0]["config"]["parameters"] = [fixed]
    likelihood = found.bind(model)
    fit = likelihood.fit(likelihood.observed(), np.ones(1))
    assert likelihood.name == "histfactory"
    assert fit.parameters[0, likelihood.parameters.index(("bin0", 0))] == 0.5


def test_a_fixed_parameter_is_not_tried_on_its_other_side():
    """A parameter that moves yields to one side either way has two minima, unless it may not move at all."""
    model = counting([70, 18], [50, 20], [5, 2], [4, 6])
    both = {"name": "both", "type": "histosys", "data": {"hi_data": [60.0, 20.0], "lo_data": [59.0, 20.0]}}
    model.workspace["channels"][0]["samples"][0]["modifiers"].append(both)
    for parameter in (
        {"name": "both", "inits": [0.5], "bounds": [[-5.0, 5.0]], "fixed": True},
        {"name": "both", "inits": [0.5], "bounds": [[0.4, 0.6]]},
    ):
        model.workspace["measurements"][0]["config"]["parameters"] = [parameter]
        likelihood = found.bind(model)
        fit = likelihood.fit(likelihood.observed(), np.ones(1))
        place = likelihood.parameters.index(("both", 0))
        assert parameter["bounds"][0][0] <= fit.parameters[0, place] <= parameter["bounds"][0][1]
        assert not parameter.get("fixed") or fit.parameters[0, place] == 0.5


@pytest.mark.parametrize("seed", [5, 13])
@pytest.mark.parametrize("mu", [None, 1.0])
def test_a_fit_does_not_depend_on_the_rows_beside_it(seed, mu):
    """With 13, fits of the extreme rows do not converge where those of the data do, and took these with them."""
    likelihood = found.bind(random_model(seed))
    data = likelihood.observed()
    main = np.concatenate([data.main, 0 * data.main, 10 * data.main, data.main[:, ::-1]])
    rows = Data(main=main, aux=np.tile(data.aux, (4, 1)))
    together = likelihood.fit(rows, None if mu is None else np.full(4, mu))
    for row in range(4):
        alone = likelihood.fit(rows.rows(slice(row, row + 1)), None if mu is None else np.array([mu]))
        assert together.value[row] == pytest.approx(alone.value[0], abs=1e-8)
        assert together.mu[row] == pytest.approx(alone.mu[0], rel=1e-4, abs=1e-4)


def test_what_comes_first_does_not_change_what_follows():
    """Signals of one background share its reading and its fit, and still are what each is alone."""
    names = list(susy_patches())[:3]
    susy = [Model(susy_model(name).workspace, susy_model(name).patch, identity) for name in names for identity in "ab"]
    alone = Fits(found.bind(susy[4])).hypotest(1.0)
    for model in susy[:4]:
        Fits(found.bind(model)).hypotest(1.0)
    assert Fits(found.bind(susy[4])).hypotest(1.0) == alone == Fits(found.bind(susy[5])).hypotest(1.0)


class TestNewton:
    def test_a_function_without_a_value_where_it_begins(self):
        def nowhere(x, rows):
            return np.full(len(x), np.inf), x, np.broadcast_to(np.eye(1), (len(x), 1, 1))

        with pytest.raises(StatisticsError, match="no value where it begins"):
            newton.minimise(nowhere, np.ones((1, 1)))

    def test_a_function_that_falls_for_ever(self):
        def falling(x, rows):
            return x.sum(axis=1), np.ones_like(x), np.broadcast_to(1e-9 * np.eye(1), (len(x), 1, 1))

        with pytest.raises(StatisticsError, match="did not converge"):
            newton.minimise(falling, np.ones((1, 1)))

    def test_derivatives_that_lie(self):
        def lying(x, rows):
            return (x**2).sum(axis=1), -2 * x, np.broadcast_to(2 * np.eye(1), (len(x), 1, 1))

        with pytest.raises(StatisticsError, match="did not converge"):
            newton.minimise(lying, np.ones((1, 1)))

    def test_a_row_that_bends_downwards_leaves_the_others_their_steps(self):
        gradient = np.array([[1.0, 2.0], [0.3, -0.1]])
        hessian = np.array([[[3.0, 0.7], [0.7, 2.0]], [[-1.0, 0.2], [0.2, 1.0]]])
        at = np.zeros(2), gradient, hessian
        together = newton.direction(np.zeros((2, 2)), at, None)[0]
        alone = newton.direction(np.zeros((1, 2)), (at[0][:1], gradient[:1], hessian[:1]), None)[0]
        assert together[0].tolist() == alone[0].tolist()
        assert gradient[1] @ together[1] < 0

    def test_a_saddle_is_left(self):
        """(x^2 - 1)^2 bends downwards at 0.1: the step is turned, and a minimum found."""

        def double(x, rows):
            return ((x**2 - 1) ** 2).sum(axis=1), 4 * x * (x**2 - 1), (12 * x**2 - 4)[:, :, None]

        assert newton.minimise(double, np.array([[0.1], [-0.2]])) == pytest.approx(np.array([[1.0], [-1.0]]), abs=1e-6)


def test_a_signal_that_its_own_errors_can_hide_has_no_limit():
    """One of ATLAS' patches: an event or so, with errors as large. CLs at mu = 1 has a value, mu no upper limit."""
    test = Fits(found.bind(susy_model("sbottom_700_680_550")))
    assert test.hypotest(1.0).cls_obs == pytest.approx(0.586, abs=2e-3)
    with pytest.raises(StatisticsError, match="CLs stays above 5% however strong the signal is"):
        test.upper_limits()


def test_the_data_are_those_of_the_specification():
    assert len(susy_patches()) == 217
    assert (SPECS / "atlas-susy-2018-31/data/BkgOnly.json").is_file()
