"""How HistFactory moves yields with a nuisance parameter alpha, as pyhf's codes 4 and 4p do, with two derivatives.

Both go through the variations at alpha = -1, 0 and +1 and have continuous second derivatives: polynomials in between,
straight (4p, for `histosys`) or exponential (4, for `normsys`) outside. Formulas: CERN-OPEN-2012-016 and pyhf's
documentation of its interpolation codes.
"""

from __future__ import annotations

import numpy as np

from recast_dm.statistics.likelihood import Array

_POLYNOMIAL = np.linalg.inv(
    np.array(
        [
            [1, 1, 1, 1, 1, 1],
            [-1, 1, -1, 1, -1, 1],
            [1, 2, 3, 4, 5, 6],
            [1, -2, 3, -4, 5, -6],
            [0, 2, 6, 12, 20, 30],
            [0, 2, -6, 12, -20, 30],
        ],
        dtype=np.float64,
    )
)
"""Coefficients of alpha..alpha^6 from value - 1, slope and curvature at alpha = +1 and -1, taken in turn."""


SMALLEST = 1e-100
"""A factor of zero is taken as this, so that logarithmic derivatives exist."""


def bend(alpha: Array) -> tuple[Array, Array, Array]:
    """c(alpha) and two derivatives: code 4p shifts a bin by alpha S + c(alpha) A.

    S is half the sum of the shifts up and down, A a sixteenth of their difference.

    >>> [bend(np.array(a))[0].tolist() for a in (0.0, 1.0, -2.0)]
    [0.0, 8.0, 16.0]
    """
    inside = np.abs(alpha) <= 1
    square = alpha**2
    return (
        np.where(inside, square * (15 - square * (10 - 3 * square)), 8 * np.abs(alpha)),
        np.where(inside, alpha * (30 - square * (40 - 18 * square)), 8 * np.sign(alpha)),
        np.where(inside, 30 - square * (120 - 90 * square), 0.0),
    )


def coefficients(up: Array, down: Array) -> Array:
    """The polynomial of code 4 between alpha = -1 and 1: (6, ...) for positive factors (...) at +1 and -1."""
    log_up, log_down = np.log(up), np.log(down)
    ends = np.stack([up - 1, down - 1, log_up * up, -log_down * down, log_up**2 * up, log_down**2 * down])
    result: Array = np.tensordot(_POLYNOMIAL, ends, axes=1)
    return result


def log_factor(alpha: Array, polynomial: Array, log_up: Array, log_down: Array) -> tuple[Array, Array, Array, Array]:
    """ln |factor| of code 4, two derivatives by alpha, and the factor's sign; alpha (rows, n, 1), the rest (n, cells).

    Between factors as far apart as 0.01 and 3 the polynomial goes below zero, in pyhf and here.

    >>> one = np.array([[1.1]]), np.array([[0.9]])
    >>> log_factor(np.array([[[1.0]]]), coefficients(*one), *map(np.log, one))[0].round(12) == np.log(1.1).round(12)
    array([[[ True]]])
    """
    inside = np.abs(alpha) < 1
    x = np.where(inside, alpha, 0.0)
    value, slope, curvature = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for power in range(6, 0, -1):
        curvature = curvature * x + power * (power - 1) * polynomial[power - 1] if power > 1 else curvature
        slope = slope * x + power * polynomial[power - 1]
        value = value * x + polynomial[power - 1]
    value = 1 + value * x
    value = np.where(np.abs(value) < SMALLEST, SMALLEST, value)
    outside = np.where(alpha > 0, log_up, -log_down)
    ratio = slope / value
    return (
        np.where(inside, np.log(np.abs(value)), alpha * outside),
        np.where(inside, ratio, outside),
        np.where(inside, curvature / value - ratio**2, 0.0),
        np.where(inside, np.sign(value), 1.0),
    )
