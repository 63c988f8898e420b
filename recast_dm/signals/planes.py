"""A model point in the planes of direct and indirect detection: what a curve of limits is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recast_dm.signals import annihilation, direct
from recast_dm.signals.point import Point


def empty() -> dict[str, Any]:
    """A model that is in no plane.

    >>> sorted(empty())
    ['SD-n', 'SD-p', 'SI', 'm_dm', 'self_conjugate', 'sigmav']
    """
    return {"SI": None, "SD-p": None, "SD-n": None, "sigmav": None, "self_conjugate": None, "m_dm": None}


def of_spin1(point: Mapping[str, float] | Point, width: float, *, axial: bool) -> dict[str, Any]:
    """Dirac dark matter with a spin-1 mediator: SI or SD, and <sigma v>."""
    g_q, g_l, g_dm, m_med, m_dm = (point[name] for name in ("g_q", "g_l", "g_dm", "m_med", "m_dm"))
    scattering = direct.axial(g_q, g_dm, m_med, m_dm) if axial else direct.vector(g_q, g_dm, m_med, m_dm)
    return {
        **empty(),
        **({"SD-p": scattering, "SD-n": scattering} if axial else {"SI": scattering}),
        "sigmav": annihilation.spin1(g_q, g_l, g_dm, m_med, m_dm, width, axial=axial),
        "self_conjugate": False,
        "m_dm": m_dm,
    }


def of_spin0(point: Mapping[str, float] | Point, width: float, *, pseudoscalar: bool) -> dict[str, Any]:
    """Dirac dark matter with a spin-0 mediator. A scalar annihilates in a p-wave only: nothing at rest."""
    g_q, g_dm, m_med, m_dm = (point[name] for name in ("g_q", "g_dm", "m_med", "m_dm"))
    found = (
        {"sigmav": annihilation.pseudoscalar(g_q, g_dm, m_med, m_dm, width)}
        if pseudoscalar
        else {"SI": direct.scalar(g_q, g_dm, m_med, m_dm)}
    )
    return {**empty(), **found, "self_conjugate": False, "m_dm": m_dm}


def of_higgs_portal(br_inv: float, m_dm: float, spin: float) -> dict[str, Any]:
    """A real scalar or a Majorana fermion that scatters by exchange of the Higgs boson."""
    scattering = direct.higgs_portal(br_inv, m_dm, spin)
    return {**empty(), "SI": scattering, "self_conjugate": True, "m_dm": m_dm}
