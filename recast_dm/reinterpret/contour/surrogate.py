"""A Gaussian process for log mu_UL over a plane: what is known between the points, and how well.

What is cheap to know is taken out first: the rate of a narrow resonance goes with its branching ratio to dark matter
(arXiv:2203.12035), so log mu_UL minus that trend is smooth, also where the mediator's mass nears twice the dark
matter's. A polynomial of second degree carries the rest outwards, and the process learns what is left.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from recast_dm import signals

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
else:
    Array = Any

LEAST_ERROR = 0.002
"""Relative error of mu_UL below which two neighbours may differ for no reason: interpolated inputs, fits' precision."""
LEAST_BRANCHING = 1e-3
"""Where the mediator is off its mass shell, dark matter is made at roughly this fraction of the resonant rate."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Two parameters of a model, and how points become the coordinates that the process works in.

    Coordinates are log(x) and y, both scaled to [0, 1]; for a mediator's and dark matter's mass y is 2 m_dm/m_med.
    """

    model: str
    axes: tuple[str, str]
    fixed: Mapping[str, float]
    low: tuple[float, float]
    high: tuple[float, float]

    def coordinates(self, places: Array) -> Array:
        """(n, 2) coordinates of (n, 2) places in the units of the axes."""
        import numpy as np

        first, second = self._raw(places[:, 0], places[:, 1])
        corners = np.array([(x, y) for x in (self.low[0], self.high[0]) for y in (self.low[1], self.high[1])])
        ends = [self._raw(corners[:, 0], corners[:, 1])[n] for n in range(2)]
        bounds = [(each.min(), max(each.max() - each.min(), 1e-12)) for each in ends]
        columns = [(first - bounds[0][0]) / bounds[0][1], self._second(second, bounds[1])]
        return np.column_stack(columns)

    def _raw(self, x: Array, y: Array) -> tuple[Array, Array]:
        import numpy as np

        first = np.log(x) if self.low[0] > 0 else x
        if self.axes == ("m_med", "m_dm"):
            return first, np.minimum(2 * y / x, 2.0)
        return first, np.log(y) if self.low[1] > 0 and self.high[1] > 20 * self.low[1] else y

    def _second(self, second: Array, bounds: tuple[float, float]) -> Array:
        if self.axes == ("m_med", "m_dm"):
            return second / 2  # 1/2 is the mass shell
        return (second - bounds[0]) / bounds[1]

    def trend(self, places: Array) -> Array:
        """What log mu_UL does for a reason that needs no events: minus the log of g_q^2 times the branching ratio."""
        import numpy as np

        model = signals.find(self.model)
        return np.array([_trend(model, self._point(model, x, y)) for x, y in places])

    def _point(self, model: signals.SignalModel, x: float, y: float) -> signals.Point | None:
        from recast_dm.errors import UsageError

        try:
            return model.point({**self.fixed, self.axes[0]: float(x), self.axes[1]: float(y)})
        except UsageError:
            return None


def _trend(model: signals.SignalModel, point: signals.Point | None) -> float:
    import math

    widths = model.widths(point) if point is not None else None
    if point is None or widths is None or widths.total <= 0:
        return 0.0
    try:
        branching = max(widths["chi"] / widths.total, LEAST_BRANCHING)
    except KeyError:
        return 0.0
    coupling = point.parameters().get("g_q", 1.0)
    return -math.log(branching) - 2 * math.log(coupling)


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What is believed of log mu_UL after some points."""

    plane: Plane
    _trend: Callable[[Array], Array]
    _coefficients: Array
    _process: Any
    _scale: float

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of log mu_UL at (n, 2) places."""
        coordinates = self.plane.coordinates(places)
        mean, spread = self._process.predict(coordinates, return_std=True)
        return self._scale * mean + _basis(coordinates) @ self._coefficients + self._trend(places), self._scale * spread


def fit(plane: Plane, places: Array, log_mu: Array, errors: Array, trend: Callable[[Array], Array]) -> Surrogate:
    """The surrogate of (n, 2) places with log mu_UL and its relative errors (Monte-Carlo statistics)."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    coordinates = plane.coordinates(places)
    rest = log_mu - trend(places)
    basis = _basis(coordinates)
    columns = min(basis.shape[1], max(1, len(places) // 2))
    coefficients = np.zeros(basis.shape[1])
    coefficients[:columns] = np.linalg.lstsq(basis[:, :columns], rest, rcond=None)[0]
    left = rest - basis @ coefficients
    scale = max(float(np.std(left)), 1e-3)
    noise = (np.maximum(errors, LEAST_ERROR) / scale) ** 2
    kernel = ConstantKernel(1.0, (0.05, 50.0)) * Matern((0.3, 0.3), (0.05, 3.0), nu=2.5)
    process = GaussianProcessRegressor(kernel, alpha=noise, n_restarts_optimizer=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is as good as any
        process.fit(coordinates, left / scale)
    return Surrogate(plane, trend, coefficients, process, scale)


def _basis(coordinates: Array) -> Array:
    """1, x, y, x^2, xy, y^2: what few points determine comes first."""
    import numpy as np

    x, y = coordinates[:, 0], coordinates[:, 1]
    return np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])


def places_of(points: Sequence[Mapping[str, float]], axes: tuple[str, str]) -> Array:
    """(n, 2) places of points."""
    import numpy as np

    return np.array([[point[axes[0]], point[axes[1]]] for point in points], dtype=float).reshape(-1, 2)
