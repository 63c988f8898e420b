"""Does a capsule still run, and does it give what it gave?"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from recast_dm import config
from recast_dm.backends import Backend, Work, provide_images
from recast_dm.capsule import Capsule, layout
from recast_dm.capsule.comparison.compare import Agreement, compare_outputs
from recast_dm.capsule.verify import Check
from recast_dm.engine import events
from recast_dm.errors import RecastError
from recast_dm.images import find
from recast_dm.model import Image
from recast_dm.reinterpret.rerun import Result, run
from recast_dm.reinterpret.subject import Subject
from recast_dm.runtimes import Job, Runtime, runner_id

PATIENCE = 120.0
"""Seconds after which an image that does not start has failed to."""


def check_images(capsule: Capsule, runtime: Runtime, observer: events.Observer) -> Check:
    """Starts a shell in a container of each image, loading those that the runtime lacks."""
    work = Work(
        workflow=capsule.analysis.workflow, initdata=capsule.initdata, pinned=capsule.pinned(), layout=capsule.layout
    )
    try:
        provide_images(work, runtime, observer)
    except RecastError as error:
        return Check("start", "", (error.message,))
    problems = tuple(problem for image in capsule.images for problem in _start(image, runtime))
    return Check("start", f"{len(capsule.images)} images start with {runtime.about().name}", problems)


def _start(image: Image, runtime: Runtime) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="recast-dm-start-") as directory:
        work = Path(directory) / "work"
        work.mkdir()
        work.chmod(0o777)  # the container's user is another
        Path(directory).chmod(0o755)
        try:
            job = Job(
                name=f"recast-dm-start-{uuid.uuid4().hex[:12]}",
                run=f"verify-{uuid.uuid4().hex[:12]}",
                runner=runner_id(),
                image=find(image, runtime.image),
                argv=("sh", "-c", "exit 0"),
                workdir=work,
                inputs=(),
                user=config.container_user(),
                log=Path(directory) / "log",
                timeout=PATIENCE,
            )
            outcome = runtime.run(job, lambda _: None)
        except RecastError as error:
            yield f"{image.reference}: {error.message}"
            return
        if outcome.exit_code != 0:
            yield f"{image.reference}: a shell in it ends with exit code {outcome.exit_code} {outcome.reason}".rstrip()


def rerun(
    subject: Subject, backend: Backend, directory: Path, observer: events.Observer
) -> tuple[Result, tuple[Agreement, ...]]:
    """Runs a capsule as it was captured, and holds what comes out beside what came out then."""
    capsule = subject.capsule
    assert capsule is not None  # noqa: S101  # only capsules are verified
    result = run(subject, backend, directory, observer)
    agreements = compare_outputs(subject.rules(), capsule.path / layout.REFERENCE, result.finished.directory)
    return result, agreements
