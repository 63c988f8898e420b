"""Hadrons with a bottom or charm quark, which do not live to see the detector: what tells the flavour of a jet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PT_MIN_GEV = 5.0
"""Softer ones give a jet no flavour, as in the field's usual definition by hadrons."""


def heaviest_quark(pdg: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """5 for hadrons with a bottom quark, 4 for those with charm and none, 0 for everything else.

    >>> heaviest_quark(np.array([511, -5122, 421, 443, 4122, 211, 5, 22, 9900551])).tolist()
    [5, 5, 4, 4, 4, 0, 0, 0, 0]
    """
    number = np.abs(pdg.astype(np.int64))
    quarks = [(number // place) % 10 for place in (1000, 100, 10)]
    hadron = (number > 100) & (number < 1_000_000)
    found = np.zeros(len(number), dtype=np.int64)
    for quark in (4, 5):
        found[hadron & np.any([digit == quark for digit in quarks], axis=0)] = quark
    return found


def heavy_hadrons(batch: Any) -> dict[str, npt.NDArray[Any]]:
    """Bottom and charm hadrons above PT_MIN_GEV of each event, laid out as `generate.visible_particles`.

    Excited ones stand beside what they decay to: who matches directions does not mind.
    """
    import awkward as ak

    number = heaviest_quark(ak.to_numpy(ak.flatten(batch.prt.id)))
    px, py, pz = (ak.to_numpy(ak.flatten(part)) for part in (batch.prt.p.px, batch.prt.p.py, batch.prt.p.pz))
    chosen = np.flatnonzero((number > 0) & (np.hypot(px, py) > PT_MIN_GEV))
    event = np.repeat(np.arange(len(batch)), ak.to_numpy(ak.num(batch.prt.id)))[chosen]
    return {
        "heavy_counts": np.bincount(event, minlength=len(batch)).astype(np.int32),
        "heavy_quark": number[chosen].astype(np.int8),
        **{f"heavy_{name}": part[chosen].astype(np.float32) for name, part in (("px", px), ("py", py), ("pz", pz))},
    }
