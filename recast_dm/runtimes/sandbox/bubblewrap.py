"""The command line of `bwrap` for a job."""

from __future__ import annotations

from pathlib import Path

from recast_dm.runtimes import Job
from recast_dm.runtimes.sandbox import inside


def argv(job: Job, tree: Path, seen: tuple[Path, ...], status: int, block: int) -> tuple[str, ...]:
    """`bwrap` for a job: closed by default. `seen` are its mounts, by the names that they have when it starts.

    Its command is started when the other end of `block` is closed.
    """
    uid, gid = job.user
    words = ["bwrap", "--block-fd", str(block), "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += [] if job.network else ["--unshare-net"]
    words += ["--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL"]
    words += ["--uid", str(uid), "--gid", str(gid), "--json-status-fd", str(status), "--clearenv"]
    for key, value in inside.environment(job).items():
        words += ["--setenv", key, value]
    return (*words, *inside.files(job, tree, seen), "--chdir", inside.cwd(job), "--", *job.argv)
