"""Large extra dimensions (Arkani-Hamed, Dimopoulos, Dvali): a graviton escapes, recoiling against a jet.

Pythia follows arXiv:hep-ph/9811291 (M_D in its convention), as implemented in arXiv:0912.4233. The effective
theory holds for partonic energies squared s-hat below M_D^2. What to do above is a parameter:

- `truncation = 0`: every s-hat contributes (Pythia's `CutOffMode = 0`);
- `truncation = 1`: where s-hat > M_D^2 the cross-section is multiplied by M_D^4/s-hat^2 (`CutOffMode = 1`).
  Events above M_D^2 are suppressed, not removed.

Without truncation the cross-section falls as M_D^-(n+2) and kinematics do not depend on M_D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recast_dm.signals import planes
from recast_dm.signals import point as points
from recast_dm.signals.model import Finding
from recast_dm.signals.point import Point
from recast_dm.signals.record import Bound, Citation, Fixed, Generator, Parameter, Planes, SignalRecord
from recast_dm.signals.text import quantity, shortest

GRAVITON_ID = 5000039
BEAM_ENERGY = 13000.0
"""GeV in the centre of mass: no s-hat lies above its square."""

PTHAT_MIN = 150.0
"""GeV. Transverse momentum of the hard scattering, below what searches for a jet and missing momentum select."""

_PROCESSES = ("ExtraDimensionsLED:gg2Gg", "ExtraDimensionsLED:qg2Gq", "ExtraDimensionsLED:qqbar2Gg")


@dataclass(frozen=True, slots=True)
class Add:
    """See `SignalModel` for the methods."""

    record: SignalRecord

    def point(self, values: Mapping[str, object]) -> Point:
        """The ranges are all there is to check.

        >>> print(ADD.point({"n": 2, "m_d": "7e3"}))
        add n=2 m_d=7000 truncation=0
        """
        return points.checked(self.record, values)

    def validity(self, point: Point) -> tuple[Finding, ...]:
        """Whether s-hat > M_D^2, where the effective theory fails, may contribute in full.

        >>> [finding.ok for finding in ADD.validity(ADD.point({"n": 2, "m_d": 7000, "truncation": 1}))]
        [True]
        """
        m_d = quantity(point["m_d"], "GeV")
        if point["m_d"] >= BEAM_ENERGY:
            return (Finding("effective-theory", True, f"m_d = {m_d}: no collision at 13 TeV is above it"),)
        if point["truncation"]:
            text = f"partonic energies above m_d = {m_d} are suppressed by m_d^4/s-hat^2"
            return (Finding("effective-theory", True, text),)
        text = f"partonic energies above m_d = {m_d} contribute in full: compare with truncation = 1"
        return (Finding("effective-theory", False, text),)

    def widths(self, point: Point) -> None:  # noqa: ARG002  # the seam's signature
        """None: the graviton modes are a continuum, not a resonance."""
        return

    def feeds(self, point: Point) -> Mapping[str, Any]:
        """See `SignalModel.feeds`. The graviton both recoils and escapes.

        >>> ADD.feeds(ADD.point({"n": 3, "m_d": 6500.5}))["pythia8"]["settings"][3:6]
        ['ExtraDimensionsLED:n=3', 'ExtraDimensionsLED:MD=6500.5', 'ExtraDimensionsLED:CutOffMode=0']
        """
        return {
            "parameters": point.parameters(),
            "pythia8": {
                "settings": _settings(point),
                "couplings": [],
                "recoil_id": GRAVITON_ID,
                "invisible_ids": [GRAVITON_ID],
                "expected_width_gev": 0.0,
                "cross_section_factor": 1.0,
            },
            "planes": planes.empty(),
        }


def _settings(point: Point) -> list[str]:
    fixed = {fixed.name: shortest(fixed.value) for fixed in ADD.record.fixed}
    return [
        *(f"{process}=on" for process in _PROCESSES),
        f"ExtraDimensionsLED:n={point['n']}",
        f"ExtraDimensionsLED:MD={shortest(point['m_d'])}",
        f"ExtraDimensionsLED:CutOffMode={point['truncation']}",
        f"{GRAVITON_ID}:m0={fixed['graviton_m0']}",
        f"{GRAVITON_ID}:mWidth={fixed['graviton_width']}",
        f"{GRAVITON_ID}:mMin={fixed['graviton_min']}",
        f"{GRAVITON_ID}:mMax={fixed['graviton_max']}",
        f"PhaseSpace:pTHatMin={fixed['pthat_min']}",
    ]


_SAMPLING = "of the Breit-Wigner that proposes graviton masses; only speed depends on it"

ADD = Add(
    SignalRecord(
        name="add",
        title="Large extra dimensions (ADD): a graviton recoiling against a jet",
        family="large extra dimensions",
        version="1",
        parameters=(
            Parameter(
                name="n",
                unit="1",
                meaning="number of extra dimensions",
                lower=Bound(2.0, "one extra dimension would change gravity at astronomical distances"),
                upper=Bound(6.0, "searches quote 2 to 6, and string theory has six"),
                kind="integer",
            ),
            Parameter(
                name="m_d",
                unit="GeV",
                meaning="fundamental Planck scale M_D in 4 + n dimensions",
                lower=Bound(1000.0, "at 1 TeV 70 to 100 % of the events already have s-hat > M_D^2"),
                upper=Bound(30000.0, "above, the cross-section is below 2 fb even for n = 2"),
            ),
            Parameter(
                name="truncation",
                unit="1",
                meaning="0: every s-hat contributes; 1: s-hat > M_D^2 is suppressed by M_D^4/s-hat^2",
                lower=Bound(0.0, "a switch: 0 is off"),
                upper=Bound(1.0, "a switch: 1 is on"),
                default=0.0,
                kind="integer",
            ),
        ),
        fixed=(
            Fixed(
                name="pthat_min",
                value=PTHAT_MIN,
                unit="GeV",
                meaning="least transverse momentum of the hard scattering: select well above it",
            ),
            Fixed(name="graviton_m0", value=1500.0, unit="GeV", meaning=f"centre {_SAMPLING}"),
            Fixed(name="graviton_width", value=1000.0, unit="GeV", meaning=f"width {_SAMPLING}"),
            Fixed(name="graviton_min", value=1.0, unit="GeV", meaning="least graviton mass"),
            Fixed(name="graviton_max", value=BEAM_ENERGY, unit="GeV", meaning="greatest graviton mass"),
        ),
        dm=None,
        mediator=None,
        order="LO",
        generator=Generator("Pythia 8", "8.317", "NNPDF2.3 QCD+QED LO (PDF:pSet = 13)"),
        validity=(
            "The effective theory holds for s-hat < M_D^2: quote results with truncation = 0 and 1.",
            "Truncation multiplies by M_D^4/s-hat^2 where s-hat > M_D^2; it does not remove events.",
            "Without truncation the cross-section falls as M_D^-(n+2); kinematics do not depend on M_D.",
            "Cross-sections are leading order, without a K-factor, for a hard scattering above 150 GeV.",
        ),
        planes=Planes(dd=(), id="none"),
        citations=(
            Citation("hep-ph/9803315", "The Hierarchy Problem and New Dimensions at a Millimeter"),
            Citation("hep-ph/9811291", "Quantum Gravity and Extra Dimensions at High-Energy Colliders"),
            Citation("0912.4233", "Real Emission and Virtual Exchange of Gravitons and Unparticles in Pythia8"),
            Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
        ),
    )
)
