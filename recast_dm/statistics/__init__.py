"""Likelihoods and limits: what a limit stage computes, here and in images, and what it said, as a checked value.

    workspace + patch ── Model ── found.bind ─▶ Likelihood ── asymptotic.Test ─▶ CLs, upper limits
                                                    │
                     independent | covariance | histfactory | pyhf (the reference; `check` holds the others to it)

`python3 -m recast_dm.statistics limit` is the limit stage of analyses whose images carry this room.
"""

from recast_dm.statistics.limit import NO_CONVERGENCE, Limit, NotCovered, read_limit, read_outcome

__all__ = ["NO_CONVERGENCE", "Limit", "NotCovered", "read_limit", "read_outcome"]
