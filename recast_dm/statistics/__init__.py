"""Limits: what a preserved limit stage says, as a checked value. The preserved stage is the authority."""

from recast_dm.statistics.limit import Limit, read_limit

__all__ = ["Limit", "read_limit"]
