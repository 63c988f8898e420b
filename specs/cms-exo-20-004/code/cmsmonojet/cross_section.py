"""The leading-order cross-section of a signal: Pythia at the level of the hard process, where an event costs 15 us.

Beams, PDF, couplings, width and the lowest virtuality of the mediator are those of `monojet.generate`, so that the
events of a full chain have the same cross-section; shower and hadrons do not change it and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from monojet import generate
from monojet.errors import InputError, StageError
from monojet.files import write_json

SCHEMA = "cmsmonojet/cross-section/1"
PRECISION = 0.003
"""Relative MC error at which generation ends; PHYSICS asks for half a per cent."""
CHUNK = 5000
MOST_EVENTS = 400_000
SEED = 20_040
PROCESS_ONLY = ("PartonLevel:all=off",)


@dataclass(frozen=True, kw_only=True)
class CrossSection:
    """A cross-section before any cut and its MC error, in pb; `factor` is contained in both."""

    sigma_pb: float
    sigma_pb_mc_error: float
    factor: float
    width_gev: float
    events: int
    pythia_version: str


def measure(signal: generate.Signal, *, factor: float = 1.0, precision: float = PRECISION) -> CrossSection:
    """The cross-section of what the signal model switches on, times `factor`, to a relative precision.

    `factor` is what a model multiplies the generator's cross-section with, such as a branching ratio that Pythia does
    not know. Raises StageError where no event can be made: a cross-section of zero is never a result.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise InputError(f"the factor on the cross-section is {factor}; it must be positive")
    pythia = generate.start_pythia(signal, SEED, settings=PROCESS_ONLY)
    width_gev = pythia.particleData.mWidth(signal.recoil_id)
    if signal.expected_width_gev > 0:
        generate.check_width(width_gev, signal.expected_width_gev)
    info = pythia.infoPython()
    while (done := info.nAccepted()) < MOST_EVENTS:
        made = sum(bool(pythia.next()) for _ in range(CHUNK))
        info = pythia.infoPython()
        if made == 0 or info.sigmaGen() <= 0:
            raise StageError("the cross-section of this signal is zero: no event can be generated")
        if done > 0 and info.sigmaErr() <= precision * info.sigmaGen():
            break
    return CrossSection(
        sigma_pb=factor * info.sigmaGen() * 1e9,
        sigma_pb_mc_error=factor * info.sigmaErr() * 1e9,
        factor=factor,
        width_gev=width_gev,
        events=info.nAccepted(),
        pythia_version=f"{pythia.parm('Pythia:versionNumber'):.3f}",
    )


def run(signal: generate.Signal, *, factor: float, cross_section_path: Path) -> None:
    """The cross_section stage."""
    found = measure(signal, factor=factor)
    write_json(cross_section_path, {"schema": SCHEMA, "order": "LO", **vars(found)})
