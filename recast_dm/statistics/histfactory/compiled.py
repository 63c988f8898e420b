"""A HistFactory model as flat arrays: every bin of every sample is one cell of a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recast_dm.errors import UsageError
from recast_dm.statistics.histfactory import interpolation
from recast_dm.statistics.histfactory.blocks import PER_BIN, Block
from recast_dm.statistics.histfactory.parameters import NORMAL, POISSON, ParameterSet, parameter_sets
from recast_dm.statistics.likelihood import Array, Index, Mask, Parameter
from recast_dm.statistics.workspace import Document

SEEN = 0.1
"""A shift below this, in standard deviations of a bin's count, makes no second minimum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """n parameters, m cells (bins of samples), b bins, s samples.

    `sums` (m, b) adds cells to bins. `histosys` parameters shift cells by alpha @ `straight` + c(alpha) @ `bent`;
    `normsys` parameters multiply samples; `touches` (n, m) says which cells a parameter multiplies as it is. A
    `two_sided` parameter moves yields to the same side whether it rises or falls: -2 ln L may have two minima in it.
    """

    names: tuple[Parameter, ...]
    poi: int
    begin: Array
    lower: Array
    upper: Array
    fixed: Mask
    nominal: Array
    sums: Array
    sample_of: Index
    histosys: Index
    two_sided: Index
    straight: Array
    bent: Array
    normsys: Index
    polynomial: Array
    log_up: Array
    log_down: Array
    touches: Array
    linear: Index
    normal: Index
    sigma: Array
    poisson: Index
    factor: Array
    aux: Array
    """Constraints' data: the normal ones first."""


def compile_model(
    blocks: Sequence[Block], bins: Mapping[str, int], configured: Sequence[Document], poi: str
) -> Compiled:
    """Puts samples together; `bins` counts those of each channel, in order. Raises UsageError for what cannot be."""
    sets = parameter_sets(blocks, configured, poi)
    first, names = _places(sets)
    begins = np.cumsum([0, *(len(block.nominal) for block in blocks)])
    cells = [slice(int(a), int(b)) for a, b in pairwise(begins)]
    histosys = sorted({name for block in blocks for name in block.histosys})
    normsys = sorted({name for block in blocks for name in block.normsys})
    straight, bent = _histosys(blocks, cells, histosys)
    up, down = _normsys(blocks, normsys)
    every = [each for parameter_set in sets.values() for each in _components(parameter_set)]
    constraint = np.array([each[0] for each in every])
    column = np.array([each[1:] for each in every], dtype=np.float64)  # begin, lower, upper, fixed, aux, width
    normal, poisson = np.flatnonzero(constraint == NORMAL), np.flatnonzero(constraint == POISSON)
    touches = _touches(blocks, cells, first, len(names))
    nominal, sums = np.concatenate([block.nominal for block in blocks]), _sums(blocks, cells, bins)
    return Compiled(
        names=names,
        poi=first[poi],
        begin=np.clip(column[:, 0], column[:, 1], column[:, 2]),
        lower=column[:, 1],
        upper=column[:, 2],
        fixed=column[:, 3] > 0,
        nominal=nominal,
        sums=sums,
        sample_of=np.repeat(np.arange(len(blocks)), np.diff(begins)),
        histosys=np.array([first[name] for name in histosys], dtype=np.intp),
        two_sided=np.array([first[histosys[k]] for k in _two_sided(straight, bent, nominal, sums)], dtype=np.intp),
        straight=straight,
        bent=bent,
        normsys=np.array([first[name] for name in normsys], dtype=np.intp),
        polynomial=interpolation.coefficients(up, down),
        log_up=np.log(up),
        log_down=np.log(down),
        touches=touches,
        linear=np.flatnonzero(touches.any(axis=1)),
        normal=normal,
        sigma=column[normal, 5],
        poisson=poisson,
        factor=column[poisson, 5],
        aux=np.concatenate([column[normal, 4], column[poisson, 4]]),
    )


def _places(sets: Mapping[str, ParameterSet]) -> tuple[dict[str, int], tuple[Parameter, ...]]:
    first: dict[str, int] = {}
    names: list[Parameter] = []
    for name, parameter_set in sets.items():
        first[name] = len(names)
        names += [(name, index) for index in range(len(parameter_set.begin))]
    return first, tuple(names)


def _components(each: ParameterSet) -> list[tuple[float, ...]]:
    columns = (each.begin, each.lower, each.upper, each.fixed, each.aux, each.width)
    return [(each.constraint, *values) for values in zip(*columns, strict=True)]


def _sums(blocks: Sequence[Block], cells: Sequence[slice], bins: Mapping[str, int]) -> Array:
    begins = dict(zip(bins, np.cumsum([0, *bins.values()]), strict=False))
    sums = np.zeros((cells[-1].stop, sum(bins.values())))
    for block, place in zip(blocks, cells, strict=True):
        if len(block.nominal) != bins[block.channel]:
            raise UsageError(f"a sample of {block.channel!r} has {len(block.nominal)} bins, not {bins[block.channel]}")
        sums[np.arange(place.start, place.stop), begins[block.channel] + np.arange(len(block.nominal))] = 1.0
    return sums


def _histosys(blocks: Sequence[Block], cells: Sequence[slice], names: Sequence[str]) -> tuple[Array, Array]:
    index = {name: k for k, name in enumerate(names)}
    straight, bent = np.zeros((len(names), cells[-1].stop)), np.zeros((len(names), cells[-1].stop))
    for block, place in zip(blocks, cells, strict=True):
        for name, (up, down) in block.histosys.items():
            straight[index[name], place] = (up + down) / 2
            bent[index[name], place] = (up - down) / 16
    return straight, bent


def _two_sided(straight: Array, bent: Array, nominal: Array, sums: Array) -> list[int]:
    """The `histosys` parameters whose shifts up and down are to the same side, by a tenth of a bin's error or more."""
    errors = np.sqrt(np.maximum(nominal @ sums, 1.0))
    same, opposite = np.abs(8 * bent @ sums) / errors, np.abs(straight @ sums) / errors
    return np.flatnonzero(((same > opposite) & (same > SEEN)).any(axis=1)).tolist()


def _normsys(blocks: Sequence[Block], names: Sequence[str]) -> tuple[Array, Array]:
    index = {name: k for k, name in enumerate(names)}
    up, down = np.ones((len(names), len(blocks))), np.ones((len(names), len(blocks)))
    for position, block in enumerate(blocks):
        for name, (hi, lo) in block.normsys.items():
            if hi <= 0 or lo <= 0:
                raise UsageError(f"normsys {name!r} multiplies a sample of {block.channel!r} by {min(hi, lo):g}")
            up[index[name], position], down[index[name], position] = hi, lo
    return up, down


def _touches(blocks: Sequence[Block], cells: Sequence[slice], first: Mapping[str, int], count: int) -> Array:
    """Staterror parameters of a name count the bins of its channels in order of their names."""
    channels: dict[str, dict[str, int]] = {}
    for block in sorted(blocks, key=lambda block: block.channel):
        for kind, name in block.factors:
            if kind == "staterror":
                before = channels.setdefault(name, {})
                before.setdefault(block.channel, _taken(before, blocks))
    touches = np.zeros((count, cells[-1].stop))
    for block, place in zip(blocks, cells, strict=True):
        for kind, name in block.factors:
            if kind in PER_BIN:
                offset = channels[name][block.channel] if kind == "staterror" else 0
                touches[first[name] + offset + np.arange(len(block.nominal)), np.arange(place.start, place.stop)] = 1.0
            else:
                touches[first[name], place] = 1.0
    return touches


def _taken(before: Mapping[str, int], blocks: Sequence[Block]) -> int:
    """How many parameters the channels before this one have."""
    sizes = {block.channel: len(block.nominal) for block in blocks}
    return sum(sizes[channel] for channel in before)
