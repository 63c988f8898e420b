"""A runtime without containers, for unit tests: images are Python functions that act on the job's directories."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from recast_dm import batch
from recast_dm.images import fake
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome

Program = Callable[[Job], int]
"""Gets the job, writes into `job.workdir`, gives the exit code."""

Main = Callable[[list[str], Path], int]
"""Gets the words of a command line and the current directory, as on the host; gives the exit code."""


def in_turn(name: str, main: Main) -> Program:
    """An image with one program, `name`, that takes its command lines one in a start, or several."""

    def program(job: Job) -> int:
        words = shlex.split(job.argv[-1]) if job.argv[-2:-1] == ("-c",) else list(job.argv)
        words = words[words.index(name) + 1 :]
        here = _on_host(job)
        if words[0] != batch.OPTION:
            return main([here(word) for word in words], job.scratch or Path(here(job.cwd or "/workdir")))
        codes = []
        for each in batch.read(Path(here(words[1]))):
            codes.append(main([here(word) for word in each.argv], Path(here(each.cwd))))
            Path(here(each.log)).write_text(f"fake: {shlex.join(each.argv)}\n")
            Path(here(each.status)).write_text(f"{codes[-1]}\n")
        return max(codes)

    return program


def _on_host(job: Job) -> Callable[[str], str]:
    """Replaces, in a text, the places that a container sees by those on the host."""
    places = {target: str(path) for path, target in job.files}
    places |= {f"/inputs/{n}": str(path) for n, path in enumerate(job.inputs)}
    places |= {"/workdir": str(job.workdir), **({"/scratch": str(job.scratch)} if job.scratch else {})}
    known = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))
    pattern = re.compile(rf"({known})(?![\w.-])")
    return lambda text: pattern.sub(lambda found: places[found[1]], text)


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
