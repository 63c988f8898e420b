"""A capsule: one preserved analysis with everything that it takes to run it again. FORMAT.md describes the format.

`open_capsule(path)` gives one whose bytes have been checked; `capture` in `recast_dm.capsule.capture` writes one.
"""

from recast_dm.capsule.layout import MANIFEST
from recast_dm.capsule.opening import Capsule, open_capsule

__all__ = ["MANIFEST", "Capsule", "open_capsule"]
