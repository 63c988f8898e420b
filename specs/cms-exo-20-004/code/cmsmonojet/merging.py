"""Merge samples of selected events into efficiencies of the 66 bins: integer counts first, then weights.

Every event stands for the data of all three years. So the bins of 2016 and 2017 hold the same events, and those of
2018 the ones that its calorimeter kept: the MC errors of a year's bin and of its neighbours are correlated, and
`error_of_limit` counts each event once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from monojet.errors import InputError, StageError
from monojet.histogram import slice_efficiencies

Array = npt.NDArray[np.float64]


NOT_EMULATED = 0.94
"""Efficiency of what generated particles cannot tell: the veto on hadronic taus, which jets are taken for (0.979), and
the removal of events that the mono-V categories take (0.960). Ratios of CMS' own cut flow for the axial-vector model at
2 TeV, as the authors of the efficiency maps quote it beside theirs; not checked against the paper's record."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Counts (slices, bins of a year), in all years and in 2018; `weight` is what an event of a slice adds."""

    counts: npt.NDArray[np.int64]
    counts_2018: npt.NDArray[np.int64]
    weight: Array
    share: tuple[float, ...]

    @property
    def bins(self) -> Array:
        """Efficiencies, year by year; each holds the year's share of the luminosity."""
        return self._years(self.weight @ self.counts, self.weight @ self.counts_2018)

    @property
    def mc_error(self) -> Array:
        return self._years(*(np.sqrt(self.weight**2 @ counts) for counts in (self.counts, self.counts_2018)))

    def _years(self, every: Array, in_2018: Array) -> Array:
        return np.concatenate([self.share[0] * every, self.share[1] * every, self.share[2] * in_2018])

    def error_of_limit(self, covariance: Array) -> float:
        """Relative MC error of an upper limit on mu, where the data vary by `covariance` (events squared).

        There mu_UL goes as (s V^-1 s)^-1/2, so an event in bins i with efficiencies w_i moves log mu_UL by
        - sum_i w_i g_i with g = V^-1 s / (s V^-1 s), and independent events add in quadrature.
        """
        pull = np.linalg.solve(covariance, self.bins)
        g_2016, g_2017, g_2018 = np.split(pull / (self.bins @ pull), len(self.share))
        early = self.share[0] * g_2016 + self.share[1] * g_2017
        kept = early + self.share[2] * g_2018
        lost = self.counts - self.counts_2018
        squares = self.weight**2 @ (self.counts_2018 * kept**2 + lost * early**2)
        return float(np.sqrt(squares.sum()))


def merge(selections: Sequence[Mapping[str, Any]], share: tuple[float, ...]) -> Merged:
    """The samples together. `share` is each year's part of the luminosity; a year's efficiencies hold it.

    Raises StageError when no event is left: that is no efficiency of zero.
    """
    generations = [selection["generation"] for selection in selections]
    if len({g["seed"] for g in generations}) != len(generations):
        raise InputError("two samples have the same seed: they hold the same events")
    if any(g["slice_edges_gev"] != generations[0]["slice_edges_gev"] for g in generations):
        raise InputError("samples with different slices cannot be merged")
    tried = sum(g["tried"] for g in generations)
    seen, kept = (np.sum([g[key] for g in generations], axis=0) for key in ("seen", "kept"))
    counts, counts_2018 = (np.sum([s[key] for s in selections], axis=0) for key in ("counts", "counts_2018"))
    if counts_2018.sum() == 0:
        raise StageError(f"none of {int(kept.sum())} generated events passes the selection")
    weight = NOT_EMULATED * slice_efficiencies(tried, seen, kept)
    return Merged(counts=counts, counts_2018=counts_2018, weight=weight, share=share)
