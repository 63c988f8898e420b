"""The command line that starts a job's container: docker and podman read the same words. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from recast_dm.runtimes import Job

RUN_LABEL = "org.recast-dm.run"
RUNNER_LABEL = "org.recast-dm.runner"

BASE_ENV = {
    "HOME": "/tmp",  # noqa: S108  # the container's
    "TMPDIR": "/tmp",  # noqa: S108
    "USER": "recast",  # the uid has no name in the image, and some programs ask for one
    "LOGNAME": "recast",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
}
"""What every container sees. Part of the key's version: raise `engine.key.VERSION` when this changes."""

LIMITS = ("pids", "memory", "cpu")
"""The controllers of cgroups that hold a container's limits, in the kernel's words."""

CLOSED = (
    "no network",
    "no capabilities",
    "no new privileges",
    "read-only root",
    "unprivileged user",
    "inputs read-only",
)
"""The isolation that these words give; what limits hold beside it, the runtime knows."""


def run_words(job: Job, own: Sequence[str], limits: Collection[str] = LIMITS) -> tuple[str, ...]:
    """What follows `docker` or `podman`: closed by default, nothing mounted but the work directory and the inputs.

    `own` are options that only one of them needs; of the limits, those that can hold here.
    """
    uid, gid = job.user
    words = ["run", "--name", job.name, "--cidfile", str(cidfile(job))]
    words += ["--label", f"{RUN_LABEL}={job.run}", "--label", f"{RUNNER_LABEL}={job.runner}"]
    words += [] if job.network else ["--network", "none"]
    words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += ["--read-only", "--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={job.limits.tmp}"]  # noqa: S108
    words += ["--user", f"{uid}:{gid}", "--pull", "never", *own, *_limits(job, limits), *_mounts(job)]
    for key, value in sorted({**BASE_ENV, **job.env}.items()):
        words += ["--env", f"{key}={value}"]
    if job.cwd is not None:
        words += ["--workdir", job.cwd]
    if job.stdin is not None:
        words.append("--interactive")
    assert job.image is not None  # noqa: S101  # a container has one
    return (*words, "--entrypoint", job.argv[0], job.image.image_id, *job.argv[1:])


def _limits(job: Job, held: Collection[str]) -> Iterator[str]:
    limits = job.limits
    values = {"pids": str(limits.pids), "memory": str(limits.memory), "cpu": f"{limits.cpus:g}"}
    for (name, value), option in zip(values.items(), ("--pids-limit", "--memory", "--cpus"), strict=True):
        if name in held:
            yield from (option, value)


def _mounts(job: Job) -> Iterator[str]:
    yield from ("--mount", bind(job.workdir, "/workdir", read_only=False))
    for n, place in enumerate(job.inputs):
        yield from ("--mount", bind(place, f"/inputs/{n}", read_only=True))
    if job.scratch is not None:
        yield from ("--mount", bind(job.scratch, "/scratch", read_only=False))
    for path, target in job.files:
        yield from ("--mount", bind(path, target, read_only=True))


def bind(source: Path, target: str, *, read_only: bool) -> str:
    """The value of --mount, which is a line of CSV, so that any path can be written in it.

    >>> bind(Path("/data/a,b"), "/workdir", read_only=False)
    'type=bind,"src=/data/a,b",dst=/workdir'
    """
    line = io.StringIO()
    fields = ["type=bind", f"src={source}", f"dst={target}"] + (["ro"] if read_only else [])
    csv.writer(line, lineterminator="\r\n").writerow(fields)  # without one, a newline in a path is not quoted
    return line.getvalue().removesuffix("\r\n")


def cidfile(job: Job) -> Path:
    """Where the container's id is written once there is a container."""
    return job.log.with_name(f"{job.log.name}.cid")
