"""A Python environment of its own for a tool that cannot be installed beside us.

Upstream yadage pins jsonschema below what pyhf needs, and reana-client pins it lower still: they are driven
as subprocesses, never imported. Each gets a virtual environment made from a hash-locked requirements file the
first time it is needed, and found again from then on by the content of that file.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recast_dm.errors import ToolMissing, storage_error

log = logging.getLogger(__name__)

_COMPLETE = "complete"
"""Written last into an environment: without it, the environment is half made and is made again."""
_TAIL = 12
"""Lines of an installer's output that an error shows."""


def ensure(name: str, lock: Path, root: Path, *, build: Path | None = None) -> Path:
    """The python of the environment `root/<name>-<digest>`, made now if it is not there.

    `lock` is a requirements file with a hash for every file of every package; `build` is another one, with what its
    packages need to be built where they exist only as source (without it, the installer fetches that itself, unlocked).
    The digest covers their content and the version of Python, so a new lock makes a new environment and the old one
    stays as it was. Two processes may ask at once: one makes it, the other waits. uv installs the packages where it
    lies beside our own interpreter, else pip.

    Raises ToolMissing when the lock cannot be read or the environment cannot be made.
    """
    locks = [path.absolute() for path in (build, lock) if path]
    try:
        digest = _digest([path.read_bytes() for path in locks])
    except OSError as error:
        raise ToolMissing(
            f"no list of packages for the {name} environment: {error}",
            hint="reinstall recast-dm: the list belongs to it",
        ) from error
    place = root.absolute() / f"{name}-{digest}"
    python = place / "bin" / "python"
    if _is_complete(place):
        return python
    with _only_one(place):
        if not _is_complete(place):
            _make(name, place, locks)
    return python


def _digest(locks: Sequence[bytes]) -> str:
    said = f"{platform.python_implementation()} {platform.python_version()}\n".encode() + b"\0".join(locks)
    return hashlib.sha256(said).hexdigest()[:12]


def _is_complete(place: Path) -> bool:
    return (place / _COMPLETE).is_file() and (place / "bin" / "python").exists()


@contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Hold the lock of an environment while it is made; the system lets go of it should we die."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = place.with_name(f".{place.name}.lock").open("w")
    except OSError as error:
        raise storage_error(error, f"make the environment {place.name}") from error
    with lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def _make(name: str, place: Path, locks: Sequence[Path]) -> None:
    """Make the environment where it will stay (its scripts name their interpreter); mark it complete last."""
    try:
        shutil.rmtree(place, ignore_errors=True)
        for argv in _commands(place, locks):
            _call(argv, name)
        (place / _COMPLETE).write_text("".join(f"{lock.name}\n" for lock in locks))
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise storage_error(error, f"make the environment {place.name}") from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _commands(place: Path, locks: Sequence[Path]) -> list[list[str]]:
    """What makes the environment: an empty one, then exactly the packages of each lock.

    What the first of two locks brings is there to build the packages of the second.
    """
    python = str(place / "bin" / "python")
    uv = Path(sys.executable).with_name("uv")
    if uv.is_file():
        venv = ["--without-pip"]
        install = [str(uv), "pip", "install", "--python", python]
    else:
        venv = []
        install = [python, "-m", "pip", "install", "--no-input"]
    exactly = [*install, "--require-hashes", "--no-deps"]
    return [
        [sys.executable, "-m", "venv", *venv, str(place)],
        *([*exactly, *(["--no-build-isolation"] if n else []), "-r", str(lock)] for n, lock in enumerate(locks)),
    ]


def _call(argv: Sequence[str], name: str) -> None:
    """Run one command to its end, with nothing on our standard output."""
    log.info("%s environment: %s", name, " ".join(argv))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    said = (done.stderr + done.stdout).strip().splitlines()[-_TAIL:]
    raise ToolMissing(
        f"cannot make the {name} environment: {_tool(argv)} ended with exit code {done.returncode}",
        hint="\n".join([*said, "try it by hand:", "  " + " ".join(argv)]),
    )


def _tool(argv: Sequence[str]) -> str:
    """`uv`, `venv` or `pip`: which of them it was."""
    return argv[2] if argv[1:2] == ["-m"] else Path(argv[0]).name
