"""RO-Crate: what a capsule or a run is, in the words that other people's tools read.

Provenance Run Crate 0.5, with the profiles that it rests on, where there is a run; Workflow RO-Crate 1.0 where there is
only the workflow. Nothing is hashed here: hashes come from the run's records, and from whoever has hashed the files.
"""

from recast_dm.capsule.crate.entities import METADATA
from recast_dm.capsule.crate.of import OUTPUTS, RUN, log_path, of_capsule, of_run, record_path
from recast_dm.capsule.crate.workflow import FILE as WORKFLOW

__all__ = ["METADATA", "OUTPUTS", "RUN", "WORKFLOW", "log_path", "of_capsule", "of_run", "record_path"]
