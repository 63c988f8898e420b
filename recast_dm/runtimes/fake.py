"""A runtime without containers, for unit tests: images are Python functions that act on the job's directories."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from recast_dm.images import fake
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome

Program = Callable[[Job], int]
"""Gets the job, writes into `job.workdir`, gives the exit code."""


class FakeRuntime:
    """Runs `programs[reference]` where a runtime would start a container, and remembers every job."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = dict(programs)
        self._images = {reference: fake.image(reference) for reference in programs}
        self._lock = threading.Lock()
        self.jobs: list[Job] = []
        self.swept: list[str] = []

    def about(self) -> About:
        return About("fake", "1", ("none: host functions",))

    def image(self, reference: str) -> Image | None:
        found = (each for each in self._images.values() if reference in (each.reference, each.image_id))
        return next((replace(each, reference=reference) for each in found), None)

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        with self._lock:
            self.jobs.append(job)
            number = len(self.jobs)
        line(f"fake: {' '.join(job.argv)}")
        job.log.write_text(f"fake: {' '.join(job.argv)}\n")
        assert job.image is not None  # noqa: S101  # a container has one
        known = next(each for each in self._images.values() if each.image_id == job.image.image_id)
        code = self._programs[known.reference](job)
        return Outcome(code, f"fake-{number}")

    def sweep(self, run: str) -> int:
        self.swept.append(run)
        return 0
