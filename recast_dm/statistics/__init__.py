"""Limits: what a preserved limit stage says, as a checked value. The preserved stage is the authority."""

from recast_dm.statistics.limit import NO_CONVERGENCE, Limit, read_limit

__all__ = ["NO_CONVERGENCE", "Limit", "read_limit"]
