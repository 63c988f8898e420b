"""Gates at capture: no secret goes in unseen, every package is listed, and what may not rerun is said.

inspection = gates.inspect(directory, workflow, images, layout.open_layer, history=blobs, allowed=names)
inspection.refuse_secrets()
"""

from recast_dm.capsule.gates.findings import Finding, Severity
from recast_dm.capsule.gates.inspection import Inspection, examine, inspect
from recast_dm.capsule.gates.secrets import Secret

__all__ = ["Finding", "Inspection", "Secret", "Severity", "examine", "inspect"]
