"""What has to stand on a plane: the formula and its source, what is neglected and assumed; why a plane is absent."""

from __future__ import annotations

from recast_dm.report.scan import Scan
from recast_dm.signals import SignalRecord
from recast_dm.signals.annihilation import THERMAL_DIRAC, THERMAL_SELF_CONJUGATE

SOURCE = "arXiv:1603.04156"
_CONTACT = r"\dfrac{g_\mathrm{DM}^2\,\mu^2}{\pi\,m_\mathrm{med}^4}"
_FORMULAS = {
    ("spin1-vector", "SI"): (r"$\sigma_\mathrm{SI} = (3 g_q)^2 " + _CONTACT + "$", SOURCE),
    ("spin1-axial", "SD"): (r"$\sigma_\mathrm{SD} = 3\,(0.32\,g_q)^2 " + _CONTACT + "$", SOURCE),
    ("spin0-scalar", "SI"): (r"$\sigma_\mathrm{SI} = (1.16\cdot 10^{-3}\,g_q)^2 " + _CONTACT + "$", SOURCE),
    ("higgs-portal", "SI"): (
        r"$\sigma_\mathrm{SI} \propto \Gamma_\mathrm{inv}\,m_N^4 f_N^2/(m_h^3 v^2 \beta\,(m_\mathrm{DM}+m_N)^2)$",
        "arXiv:1708.02245",
    ),
    ("spin1-vector", "sigmav"): (
        r"$\langle\sigma v\rangle = \sum_f N_c\,g_f^2 g_\mathrm{DM}^2\,(2m_\mathrm{DM}^2+m_f^2)\,\beta_f/(2\pi D)$",
        SOURCE,
    ),
    ("spin1-axial", "sigmav"): (
        (
            r"$\langle\sigma v\rangle = \sum_f N_c\,g_f^2 g_\mathrm{DM}^2\,m_f^2"
            r"\,(1-4m_\mathrm{DM}^2/m_\mathrm{med}^2)^2\,\beta_f/(2\pi D)$"
        ),
        SOURCE,
    ),
    ("spin0-pseudoscalar", "sigmav"): (
        (
            r"$\langle\sigma v\rangle = \sum_q 3\,(m_q/v)^2 g_q^2 g_\mathrm{DM}^2\,m_\mathrm{DM}^2\,\beta_q/(2\pi D)"
            r" + \langle\sigma v\rangle_{gg}$"
        ),
        SOURCE,
    ),
}
"""Formulas by model and kind of plane, as recast_dm.signals computes them, with where they are from."""


def formula(record: SignalRecord, quantity: str) -> str:
    """The formula for a figure; for a model that is not ours, where its numbers come from."""
    kind = "SD" if quantity.startswith("SD") else quantity
    if (record.name, kind) not in _FORMULAS:
        return f"as the model {record.name} predicts it"
    text, source = _FORMULAS[record.name, kind]
    return f"{text}  ({source})"


def title(quantity: str, channel: str | None) -> str:
    """What a plane shows, in words.

    >>> title("SD-p", None), title("sigmav", "bb")
    ('Spin-dependent scattering on protons', 'Annihilation at rest into bb')
    """
    if quantity != "sigmav":
        return _TITLES[quantity]
    return (
        "Annihilation at rest, all channels together" if channel == "total" else f"Annihilation at rest into {channel}"
    )


_TITLES = {
    "SI": "Spin-independent scattering on nucleons",
    "SD-p": "Spin-dependent scattering on protons",
    "SD-n": "Spin-dependent scattering on neutrons",
}


def absent(record: SignalRecord, quantity: str) -> str | None:
    """Why a model is not in a plane; None for one that it is in."""
    if quantity == "sigmav":
        if record.planes.id == "p-wave":
            return f"{record.name} annihilates in a p-wave: nothing at rest, so there is no indirect limit"
        return None if record.planes.id == "s-wave" else f"{record.name} predicts no annihilation here"
    if quantity in record.planes.dd:
        return None
    if record.mediator is not None and record.mediator.spin == 0 and not record.planes.dd:
        return f"{record.name} scatters only with its momentum: there is no direct-detection limit to compare with"
    return f"{record.name} has no {quantity} scattering"


def notes(record: SignalRecord, scan: Scan, quantity: str, channel: str | None) -> tuple[str, ...]:
    """What is assumed and neglected."""
    if quantity == "sigmav":
        return _annihilation(record, scan, channel)
    found = ["Collider: 95 % CL at the couplings given. Direct detection: CL as labelled."]
    if record.mediator is not None and record.mediator.spin == 1:
        leptons = " (here g_l is not 0)" if scan.at.get("g_l") else ""
        found.append(f"Neglected: loops that mix operators for g_l \u2260 0{leptons}.")
    found.append(
        "Direct limits assume that \u03c7 is all of the dark matter (\u03c1\u2080 = 0.3 GeV/cm\u00b3); "
        "a collider's does not."
    )
    return (*found, *scan.notes())


def _annihilation(record: SignalRecord, scan: Scan, channel: str | None) -> tuple[str, ...]:
    found = ["Collider: 95 % CL at the couplings given. At rest, s-channel only (valid for m_DM < m_med)."]
    if record.dm is not None and not record.dm.self_conjugate:
        found.append(
            "Dirac \u03c7: \u27e8\u03c3v\u27e9/2 is drawn, for limits are published for self-conjugate dark matter "
            f"(thermal target {THERMAL_DIRAC:.2g} Dirac, {THERMAL_SELF_CONJUGATE:.2g} self-conjugate)."
        )
    if channel not in (None, "total"):
        found.append(f"Only annihilation into {channel}; each limit is for 100 % into its channel.")
    else:
        found.append("All channels together: no limit is for all of them; planes of single channels have the curves.")
    found.append("Indirect limits assume that \u03c7 is all of the dark matter; a collider's does not.")
    return (*found, *scan.notes())
