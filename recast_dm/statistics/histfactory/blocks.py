"""A sample of a channel as arrays: what its modifiers do, by parameter name. Backgrounds are read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recast_dm.errors import UsageError
from recast_dm.statistics.likelihood import Array
from recast_dm.statistics.workspace import Document, Sample

PER_BIN = frozenset({"staterror", "shapesys", "shapefactor"})
SCALAR = frozenset({"normfactor", "lumi"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sample: yields (bins,); `histosys` shifts up and down; `normsys` factors; what multiplies it, by type and name.

    `errors` holds the data of `staterror` and `shapesys` modifiers.
    """

    channel: str
    nominal: Array
    histosys: Mapping[str, tuple[Array, Array]]
    normsys: Mapping[str, tuple[float, float]]
    factors: tuple[tuple[str, str], ...]
    errors: Mapping[tuple[str, str], Array]


def block(sample: Sample) -> Block:
    """Reads a sample. Raises UsageError for modifiers that HistFactory does not have."""
    nominal = np.array(sample.data)
    histosys: dict[str, tuple[Array, Array]] = {}
    normsys: dict[str, tuple[float, float]] = {}
    factors: list[tuple[str, str]] = []
    errors: dict[tuple[str, str], Array] = {}
    for modifier in sample.modifiers:
        kind, name, data = str(modifier["type"]), str(modifier["name"]), modifier["data"]
        if kind == "histosys":
            histosys[name] = _shifts(nominal, modifier)
        elif kind == "normsys":
            normsys[name] = float(data["hi"]), float(data["lo"])
        elif kind in PER_BIN | SCALAR:
            factors.append((kind, name))
            if kind in {"staterror", "shapesys"}:
                errors[kind, name] = np.array(data, dtype=np.float64)
        else:
            raise UsageError(f"sample {sample.name!r} of {sample.channel!r} has a modifier of type {kind!r}")
    _check(sample, [*errors.values(), *(shift for pair in histosys.values() for shift in pair)])
    return Block(
        channel=sample.channel,
        nominal=nominal,
        histosys=histosys,
        normsys=normsys,
        factors=tuple(factors),
        errors=errors,
    )


def _shifts(nominal: Array, modifier: Document) -> tuple[Array, Array]:
    up, down = (np.array(modifier["data"][side], dtype=np.float64) for side in ("hi_data", "lo_data"))
    if up.shape != nominal.shape or down.shape != nominal.shape:
        raise UsageError(f"modifier {modifier['name']!r} has {len(up)} and {len(down)} bins, its sample {len(nominal)}")
    return up - nominal, nominal - down


def _check(sample: Sample, arrays: list[Array]) -> None:
    if any(len(array) != len(sample.data) for array in arrays):
        raise UsageError(f"a modifier of sample {sample.name!r} of {sample.channel!r} has another number of bins")
