"""Does a capsule still run, and does it give what it gave?"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recast_dm import config
from recast_dm.backends import Work, provide_images
from recast_dm.capsule import Capsule, layout, packing, verify
from recast_dm.capsule.comparison.compare import Agreement, compare_outputs
from recast_dm.capsule.verify import Check
from recast_dm.config import Config
from recast_dm.engine import events
from recast_dm.engine.rundir import INIT_FILES
from recast_dm.errors import RecastError, UsageError
from recast_dm.images import find
from recast_dm.model import Image
from recast_dm.reinterpret.capturing import Means
from recast_dm.reinterpret.opening import complete
from recast_dm.reinterpret.rerun import run
from recast_dm.reinterpret.subject import of_capsule
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


def sound(
    place: Path, digest: str | None, config: Config, told: Callable[[int], None] | None = None
) -> tuple[list[Check], dict[str, Any]]:
    """What is found without starting anything, and the manifest (empty where it cannot be believed).

    `digest` (`sha256:...`) is the one that the capsule must have; `told` hears how many bytes more were hashed.
    """
    wanted = None if digest is None else verify.read_digest(digest)
    checks = [verify.check_bytes(place, config.writable_cache(), told)]
    if not checks[0].ok:
        return checks, {}
    manifest = packing.read_manifest(place)
    checks.append(verify.check_digest(manifest, wanted))
    return [*checks, *(verify.check_structure(place, manifest) if checks[1].ok else ())], manifest


def demand_reference(place: Path, manifest: Mapping[str, Any]) -> None:
    """Raises UsageError for a capsule without reference outputs, which a rerun cannot be held to."""
    if not manifest.get("reference", {}).get("made"):
        raise UsageError(
            f"{place} is sound, but was captured without a run: there is nothing to compare a rerun with",
            hint="leave out --rerun; `recast-dm run` runs it",
        )


def started(
    capsule: Capsule, means: Means, inputs_from: tuple[Path, ...] = (), *, rerun: bool
) -> tuple[list[Check], tuple[Agreement, ...]]:
    """What is found by starting something: a shell in each image, and (`rerun`) everything, as it was captured."""
    checks = [verify.check_specification(capsule.path, capsule.manifest)]
    if means.runtime is not None:
        checks.append(check_images(capsule, means.runtime, means.observer))
    if not rerun or not all(check.ok for check in checks):
        return checks, ()
    subject = complete(of_capsule(capsule), means.directory / INIT_FILES, inputs_from, means.config)
    try:
        result = run(subject, means.backend, means.directory, means.observer)
    finally:
        config.link_latest(means.directory)
    agreements = compare_outputs(subject.rules(), capsule.path / layout.REFERENCE, result.finished.directory)
    lost = tuple(f"{each.path}: {each.detail or each.measure}" for each in agreements if not each.agrees)
    agreed = sum(each.agrees for each in agreements)
    found = f"{agreed} of {len(agreements)} outputs agree, in {result.finished.directory}"
    return [*checks, Check("rerun", found, lost)], agreements
