"""Do two outputs agree? By the rules of recast.yml: exact, json, histogram, limit.

`compare_outputs(rules, reference, found)` goes through the files that rules name; a module each knows one way to do it.
"""

from recast_dm.capsule.comparison.compare import Agreement, compare_outputs
from recast_dm.capsule.comparison.outputs import named

__all__ = ["Agreement", "compare_outputs", "named"]
