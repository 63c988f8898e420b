"""The Likelihood of a compiled HistFactory model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, zip_longest

import numpy as np

from recast_dm.errors import StatisticsError
from recast_dm.statistics import gaussian, newton
from recast_dm.statistics.histfactory import rates
from recast_dm.statistics.histfactory.blocks import Block, block
from recast_dm.statistics.histfactory.compiled import Compiled, compile_model
from recast_dm.statistics.likelihood import Array, Data, Fit, Index, Parameter
from recast_dm.statistics.workspace import Document, Model, Sample, per_background, samples

NAME = "histfactory"
PULLED = 0.25
"""A parameter nearer to zero than this has no second minimum on its other side."""
MOST = 3
"""Of so many, the most pulled, each combination of sides is tried."""
NOISE = 1e-9
"""Two fits whose -2 ln L differ by less than this found the same minimum."""


def bind(model: Model) -> HistFactory:
    """The likelihood of any workspace and patch. Raises UsageError for one that pyhf would refuse."""
    if model.added is None:
        return _bound(model.patched, [block(sample) for sample in samples(model.patched["channels"])], model.poi)
    added, removed = model.added
    channels = [channel for channel in model.workspace["channels"] if channel["name"] not in removed]
    known = _blocks(model)
    background = [known[channel["name"]] for channel in channels]
    workspace = {**model.workspace, "channels": channels}
    likelihood = _bound(workspace, [*(b for each in background for b in each), *map(block, added)], model.poi)
    likelihood.begin_at(_background_fit(model, removed))
    return likelihood


@per_background
def _blocks(model: Model) -> dict[str, list[Block]]:
    """The background's samples by channel."""
    return {
        str(channel["name"]): [block(sample) for sample in samples([channel])]
        for channel in model.workspace["channels"]
    }


@per_background
def _fits(_: Model) -> dict[frozenset[str], dict[Parameter, float]]:
    """Background-only fits, by the channels that are left out."""
    return {}


def _background_fit(model: Model, removed: frozenset[str]) -> Mapping[Parameter, float]:
    """The best parameters without any signal, from the background alone: they do not depend on what came before."""
    fits = _fits(model)
    if removed not in fits:
        channels = [channel for channel in model.workspace["channels"] if channel["name"] not in removed]
        size = len(channels[0]["samples"][0]["data"])
        poi: Document = {"name": model.poi, "type": "normfactor", "data": None}
        nothing = Sample(channel=channels[0]["name"], name="", data=(0.0,) * size, modifiers=(poi,))
        known = _blocks(model)
        background = [b for channel in channels for b in known[channel["name"]]]
        alone = _bound({**model.workspace, "channels": channels}, [*background, block(nothing)], model.poi)
        fit = alone.fit(alone.observed(), np.zeros(1))
        fits[removed] = dict(zip(alone.parameters, fit.parameters[0].tolist(), strict=True))
    return fits[removed]


def _bound(workspace: Document, blocks: Sequence[Block], poi: str) -> HistFactory:
    names = sorted(str(channel["name"]) for channel in workspace["channels"])
    sizes = {str(channel["name"]): len(channel["samples"][0]["data"]) for channel in workspace["channels"]}
    counts = {str(each["name"]): each["data"] for each in workspace["observations"]}
    configured = workspace["measurements"][0]["config"].get("parameters", [])
    compiled = compile_model(blocks, {name: sizes[name] for name in names}, configured, poi)
    return HistFactory(compiled, np.array([float(x) for name in names for x in counts[name]]))


class HistFactory:
    """The likelihood of one signal and one background; `counts` (bins,) are the observed ones.

    Channels are in the order of their names, as in pyhf. Constraints: the normal ones, then the Poisson ones.
    """

    name = NAME

    def __init__(self, compiled: Compiled, counts: Array) -> None:
        self._compiled = compiled
        self._counts = counts
        self._nuisance = np.delete(np.arange(len(compiled.names)), compiled.poi)
        self._begin = compiled.begin.copy()
        self.parameters: tuple[Parameter, ...] = tuple(compiled.names[i] for i in self._nuisance)

    @property
    def names(self) -> tuple[Parameter, ...]:
        """All parameters, mu among them."""
        return self._compiled.names

    @property
    def constrained(self) -> tuple[Parameter, ...]:
        """The parameters that auxiliary data constrain, in the order of these data."""
        indices = (*self._compiled.normal, *self._compiled.poisson)
        return tuple(self._compiled.names[index] for index in indices)

    def gradient(self, theta: Array, main: Array, aux: Array) -> Array:
        """That of -2 ln L by all parameters (n,), for one data set."""
        gradient: Array = rates.evaluate(self._compiled, theta[None, :], main[None, :], aux[None, :])[1][0]
        return gradient

    def begin_at(self, values: Mapping[Parameter, float]) -> None:
        """Where fits without a start begin, for the parameters named."""
        compiled = self._compiled
        for index, name in enumerate(compiled.names):
            if name in values and not compiled.fixed[index]:
                self._begin[index] = np.clip(values[name], compiled.lower[index], compiled.upper[index])

    def observed(self) -> Data:
        return Data(main=self._counts[None, :], aux=self._compiled.aux[None, :])

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        """As the seam says. Without a start several are tried, since -2 ln L may have several minima."""
        theta = np.tile(self._begin, (len(data), 1))
        if start is not None:
            theta[:, self._nuisance] = start.parameters
        theta[:, self._compiled.poi] = mu if mu is not None else 0.0 if start is None else start.mu
        if start is None:
            return self._lowest(data, theta, mu is None)
        return self._minimised(data, self._possible(data, theta), mu is None)

    def expected(self, fit: Fit) -> Data:
        theta = self._theta(fit)
        return Data(main=rates.rates(self._compiled, theta), aux=rates.constraints(self._compiled, theta))

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        expected, split = self.expected(fit), len(self._compiled.normal)
        normal = random.normal(expected.aux[:, :split], self._compiled.sigma)
        poisson = random.poisson(expected.aux[:, split:]).astype(np.float64)
        return Data(
            main=random.poisson(np.maximum(expected.main, 0.0)).astype(np.float64),
            aux=np.concatenate([normal, poisson], axis=1),
        )

    def _theta(self, fit: Fit) -> Array:
        theta = np.empty((len(fit.mu), len(self._compiled.names)))
        theta[:, self._nuisance], theta[:, self._compiled.poi] = fit.parameters, fit.mu
        return theta

    def _lowest(self, data: Data, theta: Array, with_mu: bool) -> Fit:
        """The best of several fits for each row: from `theta`; from where fits for a stronger signal end, for which
        another minimum may already be the lowest; and with parameters that move yields to the same side either way,
        where they are pulled, on their other sides. What one row tries and finds does not depend on the others."""
        poi = self._compiled.poi
        strength = theta[:, poi].copy()
        best = self._attempt(data, self._possible(data, theta), self._unfitted(theta), with_mu)
        for begin in (np.tile(self._compiled.begin, (len(data), 1)), theta.copy()):
            begin[:, poi] = 2.0 if with_mu else np.where(strength > 0, 2 * strength, 0.5)
            begin[:, self._nuisance] = self._attempt(data, begin, self._unfitted(begin), False).parameters
            begin[:, poi] = begin[:, poi] if with_mu else strength
            best = self._attempt(data, begin, best, with_mu)
        best = self._from_other_sides(data, best, with_mu)
        if not np.all(np.isfinite(best.value)):
            raise StatisticsError("a fit did not converge, wherever it began")
        return best

    def _unfitted(self, begin: Array) -> Fit:
        """Rows before any fit: anything is better."""
        nowhere = np.full(len(begin), np.inf)
        parameters = begin[:, self._nuisance]
        return Fit(mu=begin[:, self._compiled.poi].copy(), value=nowhere, slope=nowhere, parameters=parameters)

    def _from_other_sides(self, data: Data, best: Fit, with_mu: bool) -> Fit:
        """Each row's turns one after the other, each from the best so far."""
        for turn in zip_longest(*(self._other_sides(theta) for theta in self._theta(best))):
            rows = np.array([row for row, flipped in enumerate(turn) if flipped is not None])
            now = best.rows(rows)
            begin = self._theta(now)
            for place, row in enumerate(rows):
                begin[place, turn[row]] = self._flipped(begin[place], turn[row])
            best = gaussian.merged(best, rows, self._attempt(data.rows(rows), begin, now, with_mu))
        return best

    def _flipped(self, theta: Array, indices: list[int]) -> Array:
        other = np.where(theta[indices] > 0, -1.0, 1.0)
        flipped: Array = np.clip(other, self._compiled.lower[indices], self._compiled.upper[indices])
        return flipped

    def _other_sides(self, theta: Array) -> list[list[int]]:
        """Which two-sided parameters to try on their other sides: any of the most pulled, the rest one by one."""
        free = self._compiled.two_sided[~self._compiled.fixed[self._compiled.two_sided]]
        pulls = np.abs(theta[free])
        pulled = [int(free[k]) for k in np.argsort(-pulls) if pulls[k] > PULLED]
        most, rest = pulled[:MOST], pulled[MOST:]
        together = [list(some) for size in range(1, len(most) + 1) for some in combinations(most, size)]
        return together + [[index] for index in rest]

    def _attempt(self, data: Data, begin: Array, best: Fit, with_mu: bool) -> Fit:
        """The better, row by row, of a fit and one that begins elsewhere; one that does not converge is no better."""
        try:
            fit = self._minimised(data, begin, with_mu)
        except StatisticsError:
            if len(data) == 1:
                return best
            for row in np.arange(len(data))[:, None]:  # those that converge are not lost for the one that does not
                best = gaussian.merged(best, row, self._attempt(data.rows(row), begin[row], best.rows(row), with_mu))
            return best
        rows = np.flatnonzero(fit.value < best.value - NOISE)
        return gaussian.merged(best, rows, fit.rows(rows))

    def _possible(self, data: Data, theta: Array) -> Array:
        """Rows that begin where the likelihood is zero begin elsewhere: at the parameters' own beginning."""
        value = rates.evaluate(self._compiled, theta, data.main, data.aux)[0]
        bad = np.flatnonzero(~np.isfinite(value))
        for row in bad:
            theta[row, self._nuisance] = self._compiled.begin[self._nuisance]
        return theta

    def _minimised(self, data: Data, theta: Array, with_mu: bool) -> Fit:
        compiled = self._compiled
        free = ~compiled.fixed
        free[compiled.poi] = with_mu
        index = np.flatnonzero(free)
        square = np.ix_(index, index)

        def evaluate(point: Array, rows: Index) -> tuple[Array, Array, Array]:
            at = theta[rows]
            at[:, index] = point
            value, gradient, hessian = rates.evaluate(compiled, at, data.main[rows], data.aux[rows])
            return value, gradient[:, index], hessian[:, square[0], square[1]]

        box = newton.Box(compiled.lower[index], compiled.upper[index])
        theta = theta.copy()
        theta[:, index] = newton.minimise(evaluate, theta[:, index], box=box)
        value, gradient, _ = rates.evaluate(compiled, theta, data.main, data.aux)
        return Fit(
            mu=theta[:, compiled.poi].copy(),
            value=value,
            slope=gradient[:, compiled.poi].copy(),
            parameters=theta[:, self._nuisance],
        )
