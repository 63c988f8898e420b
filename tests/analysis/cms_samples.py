"""The CMS monojet search's own files, and maps made up."""

from functools import cache
from pathlib import Path

import numpy as np
from cmsmonojet import efficiency_map, search, workspace
from cmsmonojet.efficiency_map import Column, EfficiencyMap

DATA = Path(__file__).parents[2] / "specs/cms-exo-20-004/data"


@cache
def bins():
    """The published bins."""
    return search.read(DATA / "bins.yaml")


@cache
def covariance():
    """Their published covariance."""
    return workspace.read_covariance(DATA / "covariance_66x66.csv")


@cache
def published(topology: str) -> EfficiencyMap:
    """A published map: TRV1 (spin 1) or TRS1 (spin 0)."""
    return efficiency_map.read(DATA / f"efficiency_{topology}.csv", f"map {topology}")


@cache
def background_only():
    return workspace.background_only(bins(), covariance())


def made_map(total, *, masses=(500.0, 600.0, 700.0, 800.0), fractions=(0.0, 0.3, 0.6, 0.9)) -> EfficiencyMap:
    """A map of `total(m_med, x)` with an even shape, at m_dm = 1 GeV and at these fractions of m_med / 2."""
    columns = []
    for m_med in masses:
        m_dm = np.array([max(1.0, x * m_med / 2) for x in fractions])
        efficiency = np.array([np.full(66, total(m_med, 2 * m / m_med) / 66) for m in m_dm])
        columns.append(Column(m_med=m_med, m_dm=m_dm, efficiency=efficiency))
    return EfficiencyMap("made map", tuple(columns))
