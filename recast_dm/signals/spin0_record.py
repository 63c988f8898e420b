"""The records of the spin-0 models: parameters, assumptions, sources. What they do is in `spin0.py`."""

from __future__ import annotations

from recast_dm.signals.record import (
    Benchmark,
    Bound,
    Citation,
    DarkMatter,
    Fixed,
    Generator,
    Mediator,
    Parameter,
    Planes,
    SignalRecord,
)
from recast_dm.signals.spin1_record import COUPLING_MAX, COUPLING_MIN

_CITATIONS = (
    Citation(
        "1507.00966",
        "Dark Matter Benchmark Models for Early LHC Run-2 Searches: Report of the ATLAS/CMS Dark Matter Forum",
    ),
    Citation(
        "1603.04156",
        "Recommendations on presenting LHC searches for missing transverse energy signals "
        "using simplified s-channel models of dark matter",
    ),
    Citation(
        "2203.12035",
        "Displaying dark matter constraints from colliders with varying simplified model parameters",
    ),
    Citation("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
)


def _parameters(kind: str) -> tuple[Parameter, ...]:
    return (
        Parameter(
            name="m_med",
            unit="GeV",
            meaning="mediator mass",
            lower=Bound(50.0, "hard jets from the shower become rare below"),
            upper=Bound(5000.0, "the gluon-fusion rate at g_q = 1 is below an attobarn above"),
        ),
        Parameter(
            name="m_dm",
            unit="GeV",
            meaning="mass of the Dirac dark-matter particle",
            lower=Bound(0.1, "no collider sees the difference below"),
            upper=Bound(2500.0, "half of the heaviest mediator"),
        ),
        Parameter(
            name="g_q",
            unit="1",
            meaning=f"{kind} coupling of the mediator to quarks, in units of their Yukawa couplings",
            lower=COUPLING_MIN,
            upper=COUPLING_MAX,
            default=1.0,
            nonzero="without a coupling to quarks nothing is produced",
        ),
        Parameter(
            name="g_dm",
            unit="1",
            meaning=f"{kind} coupling of the mediator to dark matter",
            lower=COUPLING_MIN,
            upper=COUPLING_MAX,
            default=1.0,
            nonzero="without a coupling to dark matter none is produced",
        ),
    )


def record(*, pseudoscalar: bool) -> SignalRecord:
    kind = "pseudoscalar" if pseudoscalar else "scalar"
    return SignalRecord(
        name=f"spin0-{kind}",
        title=f"Simplified model: {kind} mediator in the s-channel through a top loop, Dirac dark matter",
        family="s-channel spin-0",
        version="1",
        parameters=_parameters(kind),
        fixed=(
            Fixed(name="g_l", value=0.0, unit="1", meaning="coupling to leptons, and to W and Z"),
            Fixed(name="m_min", value=10.0, unit="GeV", meaning="lowest mediator virtuality, or 2 m_dm + 0.1 GeV"),
        ),
        dm=DarkMatter(spin=0.5, self_conjugate=False),
        mediator=Mediator(spin=0, parity="-" if pseudoscalar else "+", width="auto"),
        order="LO",
        generator=Generator("Pythia 8", "8.317", "NNPDF2.3 QCD+QED LO (PDF:pSet = 13)"),
        validity=(
            "Production is gluon fusion through a top loop; b loops and b b-bar or t t-bar + mediator are left out.",
            "Events: Pythia recoils as from an infinitely heavy top, at 500 GeV 3 to 17 times too many above 470 GeV.",
            "So chains with events refuse the model; efficiency maps and cross-sections do not need the recoil.",
            "Cross-sections are leading order, without a K-factor; they go with the square of the analysis's alpha_s.",
            "Cross-sections are Pythia's times `pythia8.cross_section_factor`, which mends thresholds and tails.",
            "Rescaling in couplings holds for width/mass up to 0.1 and m_med > 2 m_dm (arXiv:2203.12035).",
            "A Yukawa-like coupling without mixing with the Higgs boson is not gauge invariant by itself.",
        ),
        planes=Planes(dd=(), id="s-wave") if pseudoscalar else Planes(dd=("SI",), id="p-wave"),
        citations=_CITATIONS,
        benchmarks=(Benchmark("P1" if pseudoscalar else "S1", (("g_q", 1.0), ("g_dm", 1.0))),),
    )
