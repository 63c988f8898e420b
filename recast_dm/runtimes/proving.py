"""A container of this machine's own programs, to see whether containers start before there is any image."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from recast_dm import config
from recast_dm.model import Image
from recast_dm.runtimes import Job, runner_id

_PROGRAMS = ("bin", "sbin", "usr", "lib", "lib32", "lib64", "libx32")
_PLACES = ("dev", "etc", "inputs", "proc", "run", "sys", "tmp", "usr", "var", "workdir")


@contextlib.contextmanager
def job_of_this_machine(argv: Sequence[str]) -> Iterator[tuple[Job, Path]]:
    """A job, and the directory that is its container's root, with the programs of this machine mounted in it."""
    with tempfile.TemporaryDirectory(prefix="recast-dm-proof-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        root = place / "root"
        for directory in _PLACES:
            (root / directory).mkdir(mode=0o755, parents=True)
        (place / "work").mkdir()
        mounted = []
        for program in _PROGRAMS:
            here = Path("/", program)
            if here.is_symlink():
                (root / program).symlink_to(here.readlink())
            elif here.is_dir():
                (root / program).mkdir(exist_ok=True)
                mounted.append((here, str(here)))
        job = Job(
            name=place.name,
            run="proof",
            runner=runner_id(),
            image=Image(reference="", image_id=str(root), diff_ids=(), platform=""),
            argv=tuple(argv),
            workdir=place / "work",
            inputs=(),
            user=config.container_user(),
            log=place / "log",
            files=tuple(mounted),
        )
        yield job, root
