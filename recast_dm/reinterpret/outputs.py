"""Where the outputs of one point's pipeline lie: in a run of its own, or in the scope of a scan's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.engine.rundir import RunDirectory
from recast_dm.errors import IntegrityError
from recast_dm.model import StepId
from recast_dm.spec.analysis import Output


@dataclass(frozen=True, slots=True)
class Outputs:
    """The steps of a pipeline in a run directory; `scope` is empty, or the way to a sub-workflow (`point/3`)."""

    run: Path
    scope: str = ""

    @property
    def place(self) -> Path:
        """The directory with the stages."""
        return self.run / self.scope if self.scope else self.run

    def file(self, wanted: Output) -> Path:
        """The file that the only step of a stage publishes under a name. Raises IntegrityError."""
        step = StepId(f"{self.scope}/{wanted.stage}" if self.scope else wanted.stage)
        record = RunDirectory(self.run).read(step)
        if record is None or not isinstance(record["published"].get(wanted.output), str):
            raise IntegrityError(
                f"{self.run} holds no output {wanted.output!r} of {step}", hint="`recast-dm status` says more"
            )
        return self.run / str(record["published"][wanted.output])

    def document(self, wanted: Output) -> Any:
        """The JSON document in such a file. Raises IntegrityError."""
        file = self.file(wanted)
        try:
            return json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{file} cannot be read: {error}") from None
