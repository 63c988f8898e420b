"""The mu = 1 lines of a surrogate, and how well they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from recast_dm.reinterpret.contour.surrogate import Surrogate

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]
    Mask: TypeAlias = npt.NDArray[np.bool_]
else:
    Array = Mask = Any

FINE, COARSE = 121, 41
"""Nodes along each axis: of the mesh on which lines are drawn, and of the one that tells how well they are known."""
ONE_SIGMA = 1.0

Line: TypeAlias = list[list[float]]


@dataclass(frozen=True, slots=True)
class Mesh:
    """A mesh over the plane, and where on it the analysis says something."""

    first: Array
    second: Array
    covered: Mask

    def places(self) -> Array:
        import numpy as np

        x, y = np.meshgrid(self.first, self.second, indexing="ij")
        return np.column_stack([x.ravel(), y.ravel()])


def mesh(surrogate: Surrogate, covered: Callable[[Array], Mask], nodes: int = FINE) -> Mesh:
    """The mesh of a surrogate's plane, with so many nodes along each axis."""
    import numpy as np

    plane = surrogate.plane
    first, second = (np.linspace(plane.low[n], plane.high[n], nodes) for n in range(2))
    x, y = np.meshgrid(first, second, indexing="ij")
    return Mesh(first, second, covered(np.column_stack([x.ravel(), y.ravel()])).reshape(nodes, nodes))


def lines(mesh: Mesh, log_mu: Array) -> list[Line]:
    """The lines on which log mu_UL = 0, each a list of [x, y] in the units of the axes."""
    import contourpy
    import numpy as np

    values = np.where(mesh.covered, log_mu.reshape(mesh.covered.shape), np.nan)
    masked = np.ma.masked_invalid(values.T)
    found: Any = contourpy.contour_generator(mesh.first, mesh.second, masked, corner_mask=True).lines(0.0)
    return [[[float(x), float(y)] for x, y in line] for line in found]


def drawn(mesh: Mesh, surrogate: Surrogate, *, banded: bool) -> dict[str, list[Line]]:
    """The line; `banded`, also the lines one standard deviation of what is known on both sides of it."""
    mean, deviation = surrogate.predict(mesh.places())
    found = {"central": lines(mesh, mean)}
    if banded:
        found["low"] = lines(mesh, mean + ONE_SIGMA * deviation)
        found["high"] = lines(mesh, mean - ONE_SIGMA * deviation)
    return found


def relative_width(mesh: Mesh, surrogate: Surrogate) -> float | None:
    """How well the line is known where it is known least: one standard deviation, across the line.

    The distance is the deviation of log mu_UL over its gradient, in parts of the place on the first axis and of the
    length of the second. None where there is no line.
    """
    import numpy as np

    mean, deviation = (each.reshape(mesh.covered.shape) for each in surrogate.predict(mesh.places()))
    along, across = np.gradient(mean, mesh.first, mesh.second)
    steepness = np.hypot(along * mesh.first[:, None], across * (mesh.second[-1] - mesh.second[0]))
    sign = np.signbit(mean)
    passes = np.zeros_like(sign)
    passes[:-1] |= (sign[1:] != sign[:-1]) & mesh.covered[1:] & mesh.covered[:-1]
    passes[:, :-1] |= (sign[:, 1:] != sign[:, :-1]) & mesh.covered[:, 1:] & mesh.covered[:, :-1]
    return float((deviation / steepness)[passes].max()) if passes.any() else None
