"""Processes that we start carry the ids of their run and runner, so that what a dead runner left can be found."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from recast_dm.runtimes import runner_id

RUN_VARIABLE = "RECAST_DM_RUN"
RUNNER_VARIABLE = "RECAST_DM_RUNNER"


def marks(run: str, runner: str) -> dict[str, str]:
    """What goes into a process's environment."""
    return {RUN_VARIABLE: run, RUNNER_VARIABLE: runner}


def marked(run: str) -> Iterator[tuple[int, str]]:
    """The pids of a run's processes on this machine, with the runner of each."""
    wanted, who = f"{RUN_VARIABLE}={run}".encode(), f"{RUNNER_VARIABLE}=".encode()
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal() or int(place.name) == os.getpid():
            continue
        try:
            words = (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if wanted in words:
            runner = next((word.removeprefix(who) for word in words if word.startswith(who)), b"")
            yield int(place.name), runner.decode("ascii", "replace")


def end_all(run: str, *, but: str | None = None) -> int:
    """Ends every process of a run, save those of one runner. Gives how many there were."""
    count = 0
    for pid, runner in marked(run):
        if runner != but:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                count += 1
    return count


def end_orphans(run: str) -> None:
    """Ends what a dead runner left of an engine's own client: it may still be about to make its container."""
    end_all(run, but=runner_id())
