"""The records of the spin-1 models: parameters, assumptions, sources. What they do is in `spin1.py`."""

from __future__ import annotations

from typing import Literal

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

LOWEST_VIRTUALITY = 10.0
"""GeV. Every cross-section here includes the Breit-Wigner tail; half of m_med would lose 11 % at 2 TeV."""

OFF_SHELL_MARGIN = 0.1
"""GeV above 2 m_dm at which off-shell generation starts. Measured with Pythia 8.317 for a vector: 1 GeV would lose 21 %
of the rate at m_med 100, m_dm 50, and 35 % at 1000, 500 with couplings .05/.1; 0.1 and 0.01 GeV give the same rate."""

COUPLING_MAX = Bound(3.5, "a perturbative coupling has g^2 < 4 pi")
COUPLING_MIN = Bound(0.001, "the rate falls with g^2, and no LHC search sees a coupling this small")

_AXIAL_ONLY = (
    "Perturbative unitarity: m_dm < sqrt(pi/2) m_med/g_dm, m_t < sqrt(pi/2) m_med/g_q (arXiv:1510.02110).",
    "With g_l = 0 the Yukawa terms break the gauge symmetry of the axial coupling (arXiv:1510.02110).",
)

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
        "1703.05703",
        "Recommendations of the LHC Dark Matter Working Group: Comparing LHC searches for "
        "heavy mediators of dark matter production in visible and invisible decay channels",
    ),
    Citation(
        "1510.02110",
        "Implications of unitarity and gauge invariance for simplified dark matter models",
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
            lower=Bound(
                50.0,
                "QCD corrections to the width reach 5 % below, and hard jets from the shower become rare",
            ),
            upper=Bound(10000.0, "never resonant at 13 TeV above: a contact interaction"),
        ),
        Parameter(
            name="m_dm",
            unit="GeV",
            meaning="mass of the Dirac dark-matter particle",
            lower=Bound(
                0.1,
                "Pythia 8.317 does not start with a lighter one, and no collider sees the difference",
            ),
            upper=Bound(5000.0, "half of the heaviest mediator; a heavier pair is not produced at 13 TeV"),
        ),
        Parameter(
            name="g_q",
            unit="1",
            meaning=f"{kind} coupling of the mediator to every quark flavour",
            lower=COUPLING_MIN,
            upper=COUPLING_MAX,
            default=0.25,
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
        Parameter(
            name="g_l",
            unit="1",
            meaning=f"{kind} coupling to charged leptons; neutrinos take the left-handed half",
            lower=Bound(0.0, "no coupling to leptons; rates depend on g_l^2 only"),
            upper=COUPLING_MAX,
            default=0.0,
        ),
    )


def _benchmarks(letter: str) -> tuple[Benchmark, ...]:
    """Leptophobic and leptophilic, arXiv:1703.05703, section 2.1; only V2 and A2 couple to leptons."""
    leptons = {"A": 0.1, "V": 0.01}[letter]
    return (
        Benchmark(f"{letter}1", (("g_q", 0.25), ("g_dm", 1.0), ("g_l", 0.0))),
        Benchmark(f"{letter}2", (("g_q", 0.1), ("g_dm", 1.0), ("g_l", leptons))),
    )


def record(kind: Literal["axial-vector", "vector"]) -> SignalRecord:
    axial = kind == "axial-vector"
    return SignalRecord(
        name="spin1-axial" if axial else "spin1-vector",
        title=f"Simplified model: {kind} mediator in the s-channel, Dirac dark matter",
        family="s-channel spin-1",
        version="1",
        parameters=_parameters(kind),
        fixed=(
            Fixed(
                name="m_min",
                value=LOWEST_VIRTUALITY,
                unit="GeV",
                meaning="lowest mediator virtuality generated when 2 m_dm < m_med; otherwise 2 m_dm + 0.1 GeV",
            ),
            Fixed(
                name="g_4",
                value=0.0,
                unit="1",
                meaning="coupling to the other fourth-generation fermions",
            ),
        ),
        dm=DarkMatter(spin=0.5, self_conjugate=False),
        mediator=Mediator(spin=1, parity="+" if axial else "-", width="auto"),
        order="LO",
        generator=Generator("Pythia 8", "8.317", "NNPDF2.3 QCD+QED LO (PDF:pSet = 13)"),
        validity=(
            *(_AXIAL_ONLY if axial else ()),
            "Rescaling in couplings holds for width/mass up to 0.1 and m_med > 2 m_dm (arXiv:2203.12035).",
            "The jet comes from the parton shower; its first emission follows the matrix element for Z' + jet.",
            "Cross-sections are leading order, without a K-factor, and include the Breit-Wigner tail.",
            "Mixing and running induced by loops are neglected.",
        ),
        planes=Planes(dd=("SD-p", "SD-n") if axial else ("SI",), id="s-wave"),
        citations=_CITATIONS,
        benchmarks=_benchmarks("A" if axial else "V"),
    )
