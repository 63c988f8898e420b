"""What is said meanwhile, and the commands whose output is shown and kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from recast_dm import errors
from recast_dm.errors import StorageError, ToolMissing

Command = tuple[str, ...]


def say(text: str) -> None:
    print(f"images: {text}", file=sys.stderr, flush=True)


def logged(command: Command, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Runs a command with its output shown and kept. Raises ToolMissing, and StorageError where the disk is full."""
    try:
        with (
            log.open("wb") as out,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101  # it was asked for
            for line in process.stdout:
                out.write(line)
                sys.stderr.buffer.write(line)
                sys.stderr.flush()
    except FileNotFoundError:
        raise ToolMissing(f"the command `{command[0]}` is not installed") from None
    if process.returncode != 0:
        demand_space(log)
    return process.returncode


def demand_space(log: Path) -> None:
    """Raises StorageError when a log says that the disk is full."""
    if "no space left on device" in log.read_text(errors="replace").lower():
        raise StorageError("the disk is full", hint="free some space, then repeat your command: what is here is kept")


def last_words(log: Path) -> str:
    """The last line of a log that says something."""
    return errors.last_words(log.read_bytes() if log.is_file() else b"")
