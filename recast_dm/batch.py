"""Many command lines in one start of a program: what `steps.<stage>.batch` in recast.yml asks a program to understand.

A container takes longer to start than many a step takes to run, and a program longer to import than to compute. So a
program that can do several steps one after the other is started once for them, with `--batch FILE`, where the file is

    {"schema": "recast-dm/batch/1",
     "jobs": [{"cwd": "/workdir/0", "argv": ["limit", "--signal", "/batch/0/signal.json"],
               "log": "/workdir/0.log", "status": "/workdir/0.status"}]}

Each job behaves as a start of its own would: its own current directory, its own log (of this process and of those it
starts), its own exit status. The status file is written when the job has ended, whole or not at all: after a kill it
says which jobs were done. A program takes part with two lines:

    def main(argv: list[str]) -> int: ...

    if __name__ == "__main__":
        raise SystemExit(batch.entry(main))

and holds no state between calls. This module needs the standard library only: images carry it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

SCHEMA = "recast-dm/batch/1"
OPTION = "--batch"

Main = Callable[[list[str]], int | None]
"""A program: it takes the words after its name, and returns its exit status or raises SystemExit, as programs do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command line of a batch. `argv` are the words after the program's own."""

    cwd: str
    argv: tuple[str, ...]
    log: str
    status: str

    @property
    def document(self) -> dict[str, object]:
        """It, as the file of a batch says it."""
        return {"cwd": self.cwd, "argv": list(self.argv), "log": self.log, "status": self.status}


def entry(main: Main, argv: list[str] | None = None) -> int:
    """The exit status of a program: of `main` with these words (default: the process's), or of the batch they name.

    >>> entry(len, ["a", "b"])
    2
    """
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == [OPTION] and len(words) == 2:
        return run(main, Path(words[1]))
    return exit_status(main(words))


def run(main: Main, jobs: Path) -> int:
    """Do each job of a batch file in this process, one after the other; 0 when each ended with 0, otherwise 1."""
    statuses = [perform(main, job) for job in read(jobs)]
    return int(any(statuses))


def read(path: Path) -> tuple[Job, ...]:
    """The jobs that a batch file names.

    Raises ValueError where it is no batch file.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no batch file: its schema is not {SCHEMA}")
    return tuple(
        Job(cwd=job["cwd"], argv=tuple(job["argv"]), log=job["log"], status=job["status"]) for job in document["jobs"]
    )


def text(jobs: tuple[Job, ...]) -> str:
    """What `read` reads."""
    return json.dumps({"schema": SCHEMA, "jobs": [job.document for job in jobs]}, indent=1) + "\n"


def perform(main: Main, job: Job) -> int:
    """Do one job, where it stands and into its log, and write its status file when it has ended.

    A program that computes a whole batch together calls this for each job, with a `main` that only writes results.
    """
    with _into(job.log):
        status = _ended(main, job)
    _write_whole(Path(job.status), f"{status}\n")
    sys.stdout.write(f"{job.status}: {status}\n")  # for whoever waits for the batch
    _flush()
    return status


def exit_status(value: object) -> int:
    """The exit status of a process that ends with `raise SystemExit(value)`; the system keeps its lowest eight bits.

    >>> [exit_status(value) for value in (None, 3, True, -1, "no such file")]
    [0, 3, 1, 255, 1]
    """
    return 0 if value is None else value & 0xFF if isinstance(value, int) else 1


def _ended(main: Main, job: Job) -> int:
    """The exit status of one job. Only what ends the whole process passes: an interrupt, and what kills it."""
    try:
        with contextlib.chdir(job.cwd):
            return exit_status(main(list(job.argv)))
    except SystemExit as ending:
        if not isinstance(ending.code, int | None):
            sys.stderr.write(f"{ending.code}\n")
        return exit_status(ending.code)
    except Exception:  # noqa: BLE001 - what ends a process of its own ends this job, and the other jobs go on
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _into(log: str) -> Iterator[None]:
    """Everything that this process and those it starts write to stdout and stderr goes into a file."""
    _flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        with open(log, "wb", buffering=0) as file:  # noqa: PTH123 - an unbuffered file, for its descriptor only
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        # Streams of our own: what stands in for sys.stdout, or a main that closes it, must not mix the logs.
        with contextlib.redirect_stdout(_stream(1)), contextlib.redirect_stderr(_stream(2)):
            try:
                yield
            finally:
                _flush()
    finally:
        for copy, descriptor in zip(kept, (1, 2), strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)


def _stream(descriptor: int) -> TextIO:
    """Written line by line, because a log that a program keeps for its next job (logging does) is never closed."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _flush() -> None:
    """A stream that its owner closed has nothing left to write."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _write_whole(path: Path, content: str) -> None:
    """Its text or none of it, whenever this process is killed."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(content, encoding="utf-8")
    part.rename(path)
