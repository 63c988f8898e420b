"""The locked wheels: downloaded on the host, for the image's Python and platform; a container has no network."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from containers.assembler.saying import Command, last_words, logged, say
from recast_dm.errors import IntegrityError, RemoteError

GLIBC_MINOR = 36
"""Of the base: wheels for manylinux_2_5 to manylinux_2_36 run there."""
PIP_LOCK = Path("containers") / "pip.txt"


def fetch(root: Path, context: Path, cache: Path, name: str, log: Path) -> None:
    """Puts the locked wheels into CONTEXT/wheels. Taking them from the cache checks every hash again.

    Raises IntegrityError for wheels that are not the locked ones, RemoteError when they cannot be had.
    """
    from_cache = _download(root, context, context / "wheels", "--no-index", "--find-links", str(cache))
    if _quietly(from_cache, log):
        return
    say(f"{name}: downloading wheels")
    if logged(_download(root, context, cache), log) == 0 and _quietly(from_cache, log):
        return
    said = log.read_text(errors="replace")
    if "DO NOT MATCH THE HASHES" in said:
        raise IntegrityError(
            f"{name}: a wheel is not the one that is locked (above): it was changed after the lock was made, or on its"
            " way here. Nothing was built",
            hint="try another network or package index; if the new wheel is right, make the lock anew: make lock",
        )
    if "Hashes are required" in said:
        raise IntegrityError(f"{name}: requirements.txt is not hash-locked (above)", hint="lock it: make lock")
    raise RemoteError(
        f"{name}: pip could not download the wheels: {last_words(log)}",
        hint=f"the whole log is {log}. Check the network (and pip's index-url, proxy and cert settings), then repeat"
        " your command: what is here is kept",
    )


def _quietly(command: Command, log: Path) -> bool:
    with log.open("ab") as out:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0


def _download(root: Path, context: Path, destination: Path, *more: str) -> Command:
    machine = platform.machine()
    words = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    words += ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
    words += ["--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    for minor in range(GLIBC_MINOR, 4, -1):
        words += ["--platform", f"manylinux_2_{minor}_{machine}"]
    words += ["--platform", f"manylinux2014_{machine}", "--dest", str(destination), *more]
    return (*words, "-r", str(root / PIP_LOCK), "-r", str(context / "requirements.txt"))
