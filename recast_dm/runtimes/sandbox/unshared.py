"""The command line of util-linux `unshare` for a job, where there is no bubblewrap: `launcher` does the rest inside."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from recast_dm.runtimes import Job
from recast_dm.runtimes.sandbox import inside, launcher
from recast_dm.runtimes.sandbox.unprivileged import STAGE


def argv(request: int, *, privileged: bool, network: bool = False) -> tuple[str, ...]:
    """`unshare` for a job: closed by default. `request` is the descriptor of a file with the request.

    Root stays root until the files are there, and then becomes the job's user; others are root of a namespace.
    """
    users = () if privileged else ("--user", "--map-root-user")
    spaces = ("--mount", "--pid", *(() if network else ("--net",)), "--ipc", "--uts", "--cgroup")
    words = ("setpriv", "--pdeathsig", "KILL", "unshare", *users, *spaces, "--fork", "--kill-child")
    return (*words, sys.executable, "-E", "-s", "-S", launcher.__file__, str(request))


def request(job: Job, tree: Path, status: int, running: int, *, privileged: bool) -> dict[str, Any]:
    """What the launcher is asked for."""
    return {
        "root": STAGE,
        "files": inside.files(job, tree, inside.mounts(job, tree)),
        "user": job.user,
        "privileged": privileged,
        "env": inside.environment(job),
        "cwd": inside.cwd(job),
        "argv": job.argv,
        "limits": inside.limits(job, running),
        "status": status,
        "network": job.network,
    }


def written(document: dict[str, Any]) -> int:
    """A file that is nowhere, with a request: a descriptor that is closed by who starts the program."""
    descriptor = os.memfd_create("request")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(document).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
