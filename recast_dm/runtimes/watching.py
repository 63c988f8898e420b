"""What every runtime does with a process that it has started: feed it, copy what it says, and end it in time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from recast_dm import store
from recast_dm.runtimes import Job

LONGEST_LINE = 64 * 1024
KILLED = 137
"""The exit code of what was killed."""


class Deadline:
    """Ends a job that takes too long. A container that is just being started is looked for again."""

    def __init__(self, job: Job, end: Callable[[], None]) -> None:
        self._timeout = job.timeout
        self._end = end
        self._over = threading.Event()
        self._timer: threading.Thread | None = None
        self.passed = False

    def __enter__(self) -> Deadline:
        if self._timeout is not None:
            self._timer = threading.Thread(target=self._watch, args=(self._timeout,), daemon=True)
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._timer is not None:
            self._timer.join()

    def _watch(self, seconds: float) -> None:
        while not self._over.wait(seconds):
            self.passed, seconds = True, 1.0
            self._end()


def copy(stream: Any, log: BinaryIO, line: Callable[[str], None]) -> None:
    """Everything to the log as it comes, and each line to `line`; a line without end is handed on in pieces."""
    rest = b""
    while chunk := stream.read1(LONGEST_LINE):
        log.write(chunk)
        log.flush()
        *lines, rest = (rest + chunk).split(b"\n")
        for text in lines:
            line(text.decode("utf-8", "replace"))
        if len(rest) >= LONGEST_LINE:
            line(rest.decode("utf-8", "replace"))
            rest = b""
    if rest:
        line(rest.decode("utf-8", "replace"))


def feed(process: subprocess.Popen[bytes], text: str | None) -> None:
    """Gives a process its script, where it has one."""
    if process.stdin is None or text is None:
        return
    try:
        process.stdin.write(text.encode())
        process.stdin.close()
    except BrokenPipeError:
        return  # it ended without reading its script: its exit code tells


def last_line(job: Job) -> str:
    """The last thing that a job said."""
    lines = store.tail(job.log).decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no message"
