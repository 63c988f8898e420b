"""Running a program under strace. Its log is read as it is written, and never lies on a disk: it shows secrets."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from recast_dm.capsule.tracing import strace
from recast_dm.errors import ToolMissing, UsageError, storage_error

LONGEST = 16384
"""Bytes of a text that strace shows: words and what scripts write by themselves are shorter."""
PIECE = 1024 * 1024
HINT = "install it: as root on Debian or Ubuntu `apt-get install -y strace`"


def run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[list[strace.Event], list[str]]:
    """Runs a command here, and gives what it did, and the lines of the log that were not understood.

    Its output goes to where this process' messages go. Raises ToolMissing (no strace, or it may not trace) and
    UsageError (no such program).
    """
    if shutil.which("strace") is None:
        raise ToolMissing("the command `strace` is not installed", hint=HINT)
    if shutil.which(command[0], path=environment.get("PATH")) is None:
        raise UsageError(f"there is no program {command[0]!r}", hint="name one as a shell would find it: ./run.sh")
    odd: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="recast-dm-") as directory:
            fifo = Path(directory) / "log"
            os.mkfifo(fifo, 0o600)
            reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            try:
                found = _run(_argv(command, fifo), environment, reading, odd)
            finally:
                os.close(reading)
    except OSError as error:
        raise storage_error(error, "trace the command") from None
    return found, odd


def _argv(command: Sequence[str], log: Path) -> list[str]:
    calls = ",".join(f"?{name}" for name in strace.CALLS)
    return [
        "strace",
        "-f",
        "-y",
        "-v",
        "-x",
        "-s",
        str(LONGEST),
        "-e",
        f"trace={calls}",
        "-o",
        str(log),
        "--",
        *command,
    ]


def _run(argv: list[str], environment: Mapping[str, str], reading: int, odd: list[str]) -> list[strace.Event]:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=2, env=dict(environment), start_new_session=True)
    try:
        found = list(_kept(strace.events(_lines(reading, process), odd=odd)))
    except BaseException:  # strace alone would leave the script running
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if not any(isinstance(event, strace.Call) and event.name == "execve" for event in found):
        raise ToolMissing(
            f"strace could not trace {argv[argv.index('--') + 1]!r}",
            hint="its reason is above. A container needs --cap-add SYS_PTRACE for it, and a kernel whose "
            "/proc/sys/kernel/yama/ptrace_scope is 3 forbids it",
        )
    return found


def _lines(reading: int, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines of the log until strace has ended and everything is read."""
    rest = b""
    while True:
        ready, _, _ = select.select([reading], [], [], 0.1)
        ended = process.poll() is not None
        piece = os.read(reading, PIECE) if ready else b""
        if not piece:
            if ended:
                break
            if ready:  # nobody has opened it for writing yet, or nobody has any more
                time.sleep(0.01)
            continue
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("ascii", "surrogateescape")
    if rest:
        yield rest.decode("ascii", "surrogateescape")


def _kept(events: Iterator[strace.Event]) -> Iterator[strace.Event]:
    """All but what programs write: only shells' own words are wanted, those of processes that run no program."""
    first: int | None = None
    programs: set[int] = set()
    for event in events:
        first = event.pid if first is None else first
        if isinstance(event, strace.Call):
            if event.name == "execve" and event.pid != first:
                programs.add(event.pid)
            if event.name == "write" and event.pid in programs:
                continue
        yield event
