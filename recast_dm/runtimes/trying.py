"""Whether a runtime works: by starting containers with it."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from recast_dm import config
from recast_dm.errors import ToolMissing
from recast_dm.images import nothing
from recast_dm.images.blobs import Blobs
from recast_dm.model import Image
from recast_dm.runtimes import Job, Runtime, runner_id, store_of
from recast_dm.runtimes.watching import last_line

STARTS = 3


def tried(runtime: Runtime) -> float | None:
    """The seconds that a runtime takes to start a container that does nothing: the median of some.

    None where there is no such container for this machine. Raises ToolMissing when it does not start one.
    """
    with tempfile.TemporaryDirectory(prefix="recast-dm-try-") as place:
        image = _image(runtime, Blobs(Path(place) / "images"))
        if image is None:
            return None
        return statistics.median(_start(runtime, image, Path(place) / str(n)) for n in range(STARTS))


def _image(runtime: Runtime, shared: Blobs) -> Image | None:
    known = nothing.image(shared, runtime.about().platform.split("/")[1])
    store = store_of(runtime)
    if known is None or store is None:
        return None
    if runtime.image(nothing.NAME) is None:
        store.give(shared.root, [known], [[nothing.NAME]])
    return runtime.image(nothing.NAME)


def _start(runtime: Runtime, image: Image, place: Path) -> float:
    work = place / "work"
    work.mkdir(parents=True)
    user = config.container_user()
    if os.geteuid() == 0:
        os.chown(work, *user)
    job = Job(
        name=f"recast-dm-try-{uuid.uuid4().hex[:12]}",
        run=f"try-{os.getpid()}",
        runner=runner_id(),
        image=image,
        argv=(nothing.PROGRAM,),
        workdir=work,
        inputs=(),
        user=user,
        log=place / "log",
        timeout=60.0,
    )
    began = time.perf_counter()
    outcome = runtime.run(job, lambda _: None)
    if outcome.exit_code != 0 or outcome.reason:
        how = outcome.reason or f"exit code {outcome.exit_code}"
        raise ToolMissing(f"{runtime.about().name} does not start a container: {how}: {last_line(job)}")
    return time.perf_counter() - began
