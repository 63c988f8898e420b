"""A runtime without containers, for unit tests: images are Python functions that act on the job's directories."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome

Program = Callable[[Job], int]
"""Gets the job, writes into `job.workdir`, gives the exit code."""


class FakeRuntime:
    """Runs `programs[reference]` where a runtime would start a container, and remembers every job."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self._programs = dict(programs)
        self._lock = threading.Lock()
        self.jobs: list[Job] = []
        self.swept: list[str] = []

    def about(self) -> About:
        return About("fake", "1", ("none: host functions",))

    def image(self, reference: str) -> Image | None:
        for known in self._programs:
            image = Image(
                reference=reference,
                image_id=f"sha256:fake-{known}",
                diff_ids=(f"sha256:{known}",),
                platform="linux/fake",
            )
            if reference in (known, image.image_id):
                return image
        return None

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        with self._lock:
            self.jobs.append(job)
            number = len(self.jobs)
        line(f"fake: {' '.join(job.argv)}")
        job.log.write_text(f"fake: {' '.join(job.argv)}\n")
        assert job.image is not None  # noqa: S101  # a container has one
        code = self._programs[job.image.image_id.removeprefix("sha256:fake-")](job)
        return Outcome(code, f"fake-{number}")

    def sweep(self, run: str) -> int:
        self.swept.append(run)
        return 0
