"""The seam: what a likelihood of one signal on one background can be asked, whoever computes it.

Everything works on rows: a row is one data set with one signal strength mu, so that a limit's five expectations, or a
thousand toys, are one call. Values are -2 ln L; a likelihood may leave out what depends on the data alone, so that only
differences between fits to the same data mean anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    Index: TypeAlias = npt.NDArray[np.intp]
    Mask: TypeAlias = npt.NDArray[np.bool_]
else:
    Array = Index = Mask = Any  # programs that only ask for --help need no numpy

Parameter: TypeAlias = tuple[str, int]
"""A component of a parameter set, as pyhf names and counts them: ("staterror_SR", 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Data sets: `main` holds counts (rows, bins), `aux` what was measured of parameters (rows, constraints)."""

    main: Array
    aux: Array

    def __len__(self) -> int:
        return len(self.main)

    def rows(self, index: Index | slice) -> Data:
        return Data(main=self.main[index], aux=self.aux[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The best parameters for each row.

    `mu` (rows,); `value` (rows,) is -2 ln L there; `slope` (rows,) is its derivative by mu with everything else
    profiled; `parameters` (rows, n) are the nuisance parameters, in the order of the likelihood's `parameters`.
    """

    mu: Array
    value: Array
    slope: Array
    parameters: Array

    def rows(self, index: Index | slice) -> Fit:
        return Fit(
            mu=self.mu[index], value=self.value[index], slope=self.slope[index], parameters=self.parameters[index]
        )


@runtime_checkable
class Likelihood(Protocol):
    """L(mu, nuisance parameters) of a signal of strength mu >= 0, with nominal yields at mu = 1.

    An implementation is a function `bind(Model) -> Likelihood | None` in the entry-point group `recast_dm.likelihoods`
    (None: not a model that it can do exactly). A fit that does not converge raises StatisticsError.
    """

    @property
    def name(self) -> str:
        """Which implementation this is, as a result names it: `covariance`."""
        ...

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The nuisance parameters that a fit gives, named as pyhf names them."""
        ...

    def observed(self) -> Data:
        """The data that were measured: one row."""
        ...

    def fit(self, data: Data, mu: Array | None = None, start: Fit | None = None) -> Fit:
        """The nuisance parameters that fit best at `mu` (rows,); or, without it, with the best mu >= 0.

        `start` holds earlier fits, row by row, from which to begin.
        """
        ...

    def expected(self, fit: Fit) -> Data:
        """The data that each row of a fit expects: with mu = 0 the background-only Asimov set."""
        ...

    def sample(self, fit: Fit, random: np.random.Generator) -> Data:
        """Toy data, one row for each row of a fit: counts and constraints fluctuate."""
        ...
