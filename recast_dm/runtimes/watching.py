"""What every runtime does with a process that it has started: feed it, copy what it says, and end it in time."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recast_dm import config, store
from recast_dm.errors import storage_error
from recast_dm.runtimes import Job, Outcome, Reason
from recast_dm.runtimes.marks import marks

LONGEST_LINE = 64 * 1024
KILLED = 137
"""The exit code of what was killed."""


def attached(
    argv: Sequence[str],
    job: Job,
    line: Callable[[str], None],
    end: Callable[[subprocess.Popen[bytes]], object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> tuple[int, bool]:
    """Starts a container through a client and stays with it. Gives the client's exit code, and whether it took longer
    than it may: then `end` has ended the container, whose client it is given.
    """
    try:
        with (
            subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if job.stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**(config.environment() if env is None else env), **marks(job.run, job.runner)},
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches us, and we end the container
            ) as process,
            Deadline(job, lambda: end(process)) as deadline,
        ):
            feed(process, job.stdin)
            listen(process, job.log, line)
            code = process.wait()
    except OSError as error:
        raise storage_error(error, f"run {job.name}") from None
    return code, deadline.passed


def in_a_shell(code: int) -> int:
    """The exit code of a process as a shell tells it: 128 and the number of the signal that ended it.

    >>> in_a_shell(3), in_a_shell(-9)
    (3, 137)
    """
    return code if code >= 0 else 128 - code


def ended(code: int, container_id: str, *, late: bool, out_of_memory: bool) -> Outcome:
    """How a container ended, by its exit code and by what its engine says of it."""
    reason: Reason = "killed" if code == KILLED else ""
    return Outcome(code, container_id, "timeout" if late else "out of memory" if out_of_memory else reason)


class Deadline:
    """Ends a job that takes too long. A container that is just being started is looked for again."""

    def __init__(self, job: Job, end: Callable[[], object]) -> None:
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


def listen(process: subprocess.Popen[bytes], log: Path, line: Callable[[str], None]) -> None:
    """Everything that a process says goes to the log as it comes, and each line to `line`.

    What it says on standard error has a file of its own, too (`errors_of`), where there is any.
    """
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018  # they were asked for
    apart = errors_of(log)
    with log.open("wb") as everything, apart.open("wb") as errors:
        streams = {
            process.stdout.fileno(): (_Lines(line), (everything,)),
            process.stderr.fileno(): (_Lines(line), (everything, errors)),
        }
        ready = select.poll()
        for descriptor in streams:
            ready.register(descriptor, select.POLLIN)
        while streams:
            for descriptor, _ in ready.poll():
                lines, files = streams[descriptor]
                chunk = os.read(descriptor, LONGEST_LINE)
                for file in files:
                    file.write(chunk)
                    file.flush()
                lines.hear(chunk)
                if not chunk:
                    ready.unregister(descriptor)
                    del streams[descriptor]
    if apart.stat().st_size == 0:
        apart.unlink()


def errors_of(log: Path) -> Path:
    """Where what a step said on standard error lies by itself, beside its log."""
    return log.with_name(f"{log.name}.stderr")


class _Lines:
    """The lines of one stream; one without end is handed on in pieces."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._rest = b""

    def hear(self, chunk: bytes) -> None:
        """Hands on what is complete; at the end of the stream, which is an empty chunk, what is left."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for text in lines:
            self._line(text.decode("utf-8", "replace"))
        if self._rest and (not chunk or len(self._rest) >= LONGEST_LINE):
            self._line(self._rest.decode("utf-8", "replace"))
            self._rest = b""


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
