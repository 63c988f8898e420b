"""A capsule: one preserved analysis in one directory.

X.capsule/capsule.json     what is in it, by hash, and the digest of it all
X.capsule/captured.json    when, where and by which version: outside the digest
X.capsule/data/workflow.yml        the specification, flattened
X.capsule/data/analysis/...        the analysis directory: recast.yml, inputs, source
"""

from recast_dm.capsule.capture import capture
from recast_dm.capsule.layout import MANIFEST
from recast_dm.capsule.opening import Capsule, open_capsule

__all__ = ["MANIFEST", "Capsule", "capture", "open_capsule"]
