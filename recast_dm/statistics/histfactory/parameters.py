"""The parameters of a HistFactory model: where they begin, bounds, and what constrains them, as in pyhf."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recast_dm.errors import UsageError
from recast_dm.statistics.histfactory.blocks import Block
from recast_dm.statistics.likelihood import Array
from recast_dm.statistics.workspace import Document

NONE, NORMAL, POISSON = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """Parameters of one name, one entry of each tuple for each.

    `constraint` is NONE, NORMAL (`width` is sigma) or POISSON (`width` is the rate at a parameter of 1).
    """

    constraint: int
    begin: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    fixed: tuple[bool, ...]
    aux: tuple[float, ...]
    width: tuple[float, ...]


def _uniform(count: int, constraint: int, begin: float, lower: float, upper: float) -> ParameterSet:
    return ParameterSet(
        constraint=constraint,
        begin=(begin,) * count,
        lower=(lower,) * count,
        upper=(upper,) * count,
        fixed=(False,) * count,
        aux=(begin,) * count,
        width=(1.0,) * count,
    )


def parameter_sets(blocks: Sequence[Block], configured: Sequence[Document], poi: str) -> dict[str, ParameterSet]:
    """All parameter sets of the samples, by name; `configured` is the measurement's `parameters`."""
    found: dict[str, ParameterSet] = {}
    user = {str(each["name"]): each for each in configured}
    for block in blocks:
        for name in (*block.histosys, *block.normsys):
            _enter(found, name, _uniform(1, NORMAL, 0.0, -5.0, 5.0))
        for kind, name in block.factors:
            if kind == "lumi":
                _enter(found, name, _lumi(name, user))
            elif kind == "normfactor":
                _enter(found, name, _uniform(1, NONE, 1.0, 0.0, 10.0))
            elif kind == "shapefactor":
                _enter(found, name, _uniform(len(block.nominal), NONE, 1.0, 0.0, 10.0))
            elif kind == "shapesys":
                _enter(found, name, _shapesys(block.nominal, block.errors[kind, name]))
    for name in dict.fromkeys(name for block in blocks for kind, name in block.factors if kind == "staterror"):
        _enter(found, name, _staterror([block for block in blocks if ("staterror", name) in block.factors], name))
    adjusted = {name: _configured(each, user.get(name, {})) for name, each in found.items()}
    if poi not in adjusted:
        raise UsageError(f"the signal patch brings no normfactor {poi!r}, the workspace's parameter of interest")
    adjusted[poi] = _uniform(1, NONE, 1.0, 0.0, math.inf)  # q-tilde is for mu >= 0; nothing bounds it from above
    return adjusted


def _enter(found: dict[str, ParameterSet], name: str, new: ParameterSet) -> None:
    if found.setdefault(name, new) != new:
        raise UsageError(f"two modifiers named {name!r} do not go together")


def _lumi(name: str, user: Mapping[str, Document]) -> ParameterSet:
    try:
        aux, sigma = user[name]["auxdata"][0], user[name]["sigmas"][0]
    except (KeyError, IndexError):
        raise UsageError(f"the measurement does not say auxdata and sigmas of the lumi modifier {name!r}") from None
    return ParameterSet(
        constraint=NORMAL,
        begin=(aux,),
        lower=(0.0,),
        upper=(10.0 * aux,),
        fixed=(False,),
        aux=(aux,),
        width=(sigma,),
    )


def _shapesys(nominal: Array, errors: Array) -> ParameterSet:
    """A bin with yield b and error d is as a measurement of tau = (b / d)^2 events. Without either it is fixed."""
    valid = (nominal > 0) & (errors > 0)
    rates = np.where(valid, nominal**2 / np.where(valid, errors, 1.0) ** 2, 1.0)
    return ParameterSet(
        constraint=POISSON,
        begin=(1.0,) * len(rates),
        lower=(1e-10,) * len(rates),
        upper=(10.0,) * len(rates),
        fixed=tuple((~valid).tolist()),
        aux=tuple(rates.tolist()),
        width=tuple(rates.tolist()),
    )


def _staterror(blocks: Sequence[Block], name: str) -> ParameterSet:
    """One error for all samples of a bin: in quadrature, relative to the sum of their yields."""
    channels = sorted({block.channel for block in blocks})
    widths: list[float] = []
    for channel in channels:
        here = [block for block in blocks if block.channel == channel]
        total = np.sum([block.nominal for block in here], axis=0)
        errors = np.sqrt(np.sum([block.errors["staterror", name] ** 2 for block in here], axis=0))
        widths += np.where(total > 0, errors / np.where(total > 0, total, 1.0), 0.0).tolist()
    fixed = tuple(width == 0 for width in widths)
    return ParameterSet(
        constraint=NORMAL,
        begin=(1.0,) * len(widths),
        lower=(1e-10,) * len(widths),
        upper=(10.0,) * len(widths),
        fixed=fixed,
        aux=(1.0,) * len(widths),
        width=tuple(1.0 if none else width for none, width in zip(fixed, widths, strict=True)),
    )


def _configured(default: ParameterSet, user: Document) -> ParameterSet:
    """With what the measurement says about it."""
    count = len(default.begin)
    fixed: Any = user.get("fixed", default.fixed)
    bounds = user.get("bounds", list(zip(default.lower, default.upper, strict=True)))
    return ParameterSet(
        constraint=default.constraint,
        begin=tuple(user.get("inits", default.begin)),
        lower=tuple(low for low, _ in bounds),
        upper=tuple(high for _, high in bounds),
        fixed=(fixed,) * count if isinstance(fixed, bool) else tuple(fixed),
        aux=tuple(user.get("auxdata", default.aux)),
        width=tuple(user.get("sigmas" if default.constraint == NORMAL else "factors", default.width)),
    )
