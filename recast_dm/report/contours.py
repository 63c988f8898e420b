"""Lines on which a limit on mu is 1, out of its values at points: linear in log mu between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

Line: TypeAlias = tuple[tuple[float, float], ...]
"""Points (x, y) of one open or closed line."""
FINE = 161
"""Nodes a side of the mesh on which points that form no grid are interpolated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Lines of one meaning: `observed`, `expected`, `expected -1 sigma`, or the name of a boundary with its text."""

    role: str
    lines: tuple[Line, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """log10 mu on a mesh: `x` of shape (nx,), `y` (ny,), `z` (ny, nx), masked where there is no number.

    With `log_x` and `log_y`, x and y are logarithms themselves.
    """

    x: Any
    y: Any
    z: Any
    log_x: bool = False
    log_y: bool = False

    def lines(self, level: float = 0.0) -> tuple[Line, ...]:
        """The lines on which log10 mu is `level`."""
        if self.z.mask.all():
            return ()
        return tuple(self._back(line) for line in self._generator().lines(level) if len(line) > 1)

    def regions(self) -> tuple[Line, ...]:
        """The outlines of where mu < 1, the edges of the mesh included; holes are outlines of their own."""
        if self.z.mask.all():
            return ()
        filled, offsets = self._generator().filled(-float("inf"), 0.0)
        rings = []
        for points, cuts in zip(filled, offsets, strict=True):
            rings += [points[start:end] for start, end in pairwise(cuts)]
        return tuple(self._back(ring) for ring in rings)

    def _generator(self) -> Any:
        import contourpy

        return contourpy.contour_generator(self.x, self.y, self.z, corner_mask=True, fill_type="OuterOffset")

    def _back(self, line: Any) -> Line:
        xs = 10.0 ** line[:, 0] if self.log_x else line[:, 0]
        ys = 10.0 ** line[:, 1] if self.log_y else line[:, 1]
        return tuple((float(x), float(y)) for x, y in zip(xs, ys, strict=True))


def field(
    points: Sequence[tuple[float, float, float | None]],
    *,
    log_x: bool = False,
    log_y: bool = False,
    on_line: Sequence[tuple[float, float]] = (),
) -> Field | None:
    """The field of limits on mu at points (x, y, mu); mu is None where there is none. None: too few points.

    Points that form a whole grid are its nodes. Others are interpolated linearly on a fine mesh, `on_line` with them:
    more places where mu is known to be 1.

    >>> found = field([(0, 0, .5), (0, 1, .5), (2, 0, 2), (2, 1, 2)])
    >>> sorted(found.lines()[0])
    [(1.0, 0.0), (1.0, 1.0)]
    """
    import numpy as np

    table = np.array([(x, y, np.nan if mu is None else np.log10(mu)) for x, y, mu in points], dtype=float)
    line = np.array([(x, y, 0.0) for x, y in on_line], dtype=float).reshape(-1, 3)
    for column, logarithmic in ((0, log_x), (1, log_y)):
        if logarithmic:
            table[:, column], line[:, column] = np.log10(table[:, column]), np.log10(line[:, column])
    xs, ys = np.unique(table[:, 0]), np.unique(table[:, 1])
    if len(xs) < 2 or len(ys) < 2:
        return None
    if len(line) or len(xs) * len(ys) != len(table):
        return _scattered(np.concatenate([table, line]), xs, ys, log_x, log_y)
    z = np.full((len(ys), len(xs)), np.nan)
    z[np.searchsorted(ys, table[:, 1]), np.searchsorted(xs, table[:, 0])] = table[:, 2]
    return Field(xs, ys, np.ma.masked_invalid(z), log_x, log_y)


def _scattered(table: Any, xs: Any, ys: Any, log_x: bool, log_y: bool) -> Field | None:
    import numpy as np
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    known = table[np.isfinite(table[:, 2])]
    x, y = np.linspace(xs[0], xs[-1], FINE), np.linspace(ys[0], ys[-1], FINE)
    mesh_x, mesh_y = np.meshgrid(x, y)
    try:
        z = griddata(known[:, :2], known[:, 2], (mesh_x, mesh_y), method="linear", rescale=True)
    except (QhullError, ValueError):  # fewer than three points, or all on one line
        return None
    return Field(x, y, np.ma.masked_invalid(z), log_x, log_y)
