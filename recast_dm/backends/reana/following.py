"""How far a workflow at REANA is, told as events of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recast_dm import store
from recast_dm.backends import Work
from recast_dm.backends.reana.places import directory
from recast_dm.backends.reana.values import Status
from recast_dm.engine import events, expand
from recast_dm.model import StepId


@dataclass(slots=True)
class Following:
    """Tells an observer what has changed since the last look, by the names that REANA has for the steps."""

    w: str
    work: Work
    observer: events.Observer
    _steps: Mapping[str, StepId] = field(default_factory=dict)
    _last: str = ""

    def __post_init__(self) -> None:
        files = store.init_names(self.work.initdir) if self.work.initdir else None
        steps, _ = expand.plan(self.work.workflow, self.work.initdata, files, self.work.relaxations)
        self._steps = {directory(self.work.workflow, step.id): step.id for step in expand.steps_of(steps)}

    def take(self, status: Status) -> None:
        """One look. What is running is named where it is known."""
        progress = status.progress
        running = [str(self._steps.get(job.step, job.step)) for job in status.jobs if job.status == "running"]
        names = f": {', '.join(running[:3])}{', ...' if len(running) > 3 else ''}" if running else ""
        failed = f", {progress.failed} failed" if progress.failed else ""
        said = f"{self.w}: {status.state}, {progress.finished} of {progress.total} steps{failed}{names}"
        if said != self._last:
            self._last = said
            self.observer(events.Noted(said))
