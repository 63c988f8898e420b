"""Expected counts of a compiled model, and -2 ln L with its gradient and its exact Hessian, for rows of parameters.

A cell (a bin of a sample) expects y = N f: N is the nominal yield with the shifts of `histosys`, f the product of what
multiplies it. With A_p = dN/dp and G_p = d ln f/dp,

    dy/dp = f A_p + y G_p,    d2y/dpdq = f (A_p G_q + A_q G_p) + y G_p G_q    (p != q)

so that the Hessian is three products of matrices. On its diagonal, second derivatives of the interpolation enter; for
a parameter that multiplies cells as it is, it is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recast_dm.statistics.histfactory.compiled import Compiled
from recast_dm.statistics.histfactory.interpolation import SMALLEST, bend, log_factor
from recast_dm.statistics.likelihood import Array
from recast_dm.statistics.poisson import deviance


@dataclass(frozen=True, slots=True)
class Cells:
    """Of each row and cell: `shifted` N, `factors` f; of each row: the derivatives of its interpolations."""

    shifted: Array
    factors: Array
    bends: tuple[Array, Array, Array]
    logs: tuple[Array, Array, Array, Array]


def cells(model: Compiled, theta: Array) -> Cells:
    """`theta` (rows, n)."""
    alpha = theta[:, model.histosys]
    bends = bend(alpha)
    shifted = model.nominal + alpha @ model.straight + bends[0] @ model.bent
    logs = log_factor(theta[:, model.normsys, None], model.polynomial, model.log_up, model.log_down)
    multiplied = np.maximum(theta[:, model.linear], SMALLEST)
    logarithm = logs[0].sum(axis=1)[:, model.sample_of] + np.log(multiplied) @ model.touches[model.linear]
    signs = logs[3].prod(axis=1)[:, model.sample_of]
    return Cells(shifted, signs * np.exp(logarithm), bends, logs)


def rates(model: Compiled, theta: Array) -> Array:
    """Expected counts (rows, bins)."""
    found = cells(model, theta)
    result: Array = (found.shifted * found.factors) @ model.sums
    return result


def constraints(model: Compiled, theta: Array) -> Array:
    """What the constraints' data are expected to be (rows, constraints)."""
    return np.concatenate([theta[:, model.normal], theta[:, model.poisson] * model.factor], axis=1)


def evaluate(model: Compiled, theta: Array, main: Array, aux: Array) -> tuple[Array, Array, Array]:
    """-2 ln L (rows,), its gradient (rows, n) and Hessian (rows, n, n); infinity where a rate is not possible."""
    found = cells(model, theta)
    y = found.shifted * found.factors
    expected = y @ model.sums
    value = deviance(main, expected).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(main > 0, main / expected, 0.0)
        weight = 2 * (1 - ratio)
        bend_of_bins = np.where(main > 0, 2 * ratio / expected, 0.0)
        gradient, hessian = _main_derivatives(model, theta, found, y, weight, bend_of_bins)
    value += _constrain(model, theta, aux, gradient, hessian)
    return value, gradient, hessian


def _main_derivatives(
    model: Compiled, theta: Array, found: Cells, y: Array, weight: Array, bend_of_bins: Array
) -> tuple[Array, Array]:
    rows, count = theta.shape
    shift = np.zeros((rows, count, y.shape[1]))  # f A_p
    shift[:, model.histosys] = found.factors[:, None, :] * (model.straight + found.bends[1][:, :, None] * model.bent)
    growth = np.zeros_like(shift)  # G_p
    growth[:, model.linear] = model.touches[model.linear] / np.maximum(theta[:, model.linear], SMALLEST)[:, :, None]
    growth[:, model.normsys] = found.logs[1][:, :, model.sample_of]
    by_cell = weight @ model.sums.T  # each cell's bin
    steps = (shift + y[:, None, :] * growth) @ model.sums  # d rate / d parameter (rows, n, bins)
    gradient = (steps @ weight[:, :, None])[:, :, 0]
    weighted = growth * by_cell[:, None, :]
    mixed = shift @ weighted.transpose(0, 2, 1)
    second = (weighted * y[:, None, :]) @ growth.transpose(0, 2, 1) + mixed + mixed.transpose(0, 2, 1)
    second[:, model.linear, model.linear] = 0.0
    bent = (found.factors * by_cell) @ model.bent.T
    second[:, model.histosys, model.histosys] += found.bends[2] * bent
    curved = (found.logs[2][:, :, model.sample_of] * (y * by_cell)[:, None, :]).sum(axis=2)
    second[:, model.normsys, model.normsys] += curved
    return gradient, second + (steps * bend_of_bins[:, None, :]) @ steps.transpose(0, 2, 1)


def _constrain(model: Compiled, theta: Array, aux: Array, gradient: Array, hessian: Array) -> Array:
    """-2 ln L of the constraints (rows,); adds their derivatives to those given."""
    normal, poisson, split = model.normal, model.poisson, len(model.normal)
    pull = (theta[:, normal] - aux[:, :split]) / model.sigma
    gradient[:, normal] += 2 * pull / model.sigma
    hessian[:, normal, normal] += 2 / model.sigma**2
    value: Array = (pull**2).sum(axis=1)
    if len(poisson):
        counts, parameter = aux[:, split:], theta[:, poisson]
        gradient[:, poisson] += 2 * (model.factor - counts / parameter)
        hessian[:, poisson, poisson] += 2 * counts / parameter**2
        value = value + deviance(counts, model.factor * parameter).sum(axis=1)
    return value
