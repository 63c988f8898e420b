"""Commands as a user gives them: ours, and the programs of others that judge what it wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def recast(
    *words: object, cwd: Path | None = None, cut: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; where it is `cut` off, without any network interface."""
    argv = [*(["unshare", "--net"] if cut else []), sys.executable, "-m", "recast_dm", *map(str, words)]
    env = {**os.environ, **environment}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def program(name: str) -> str:
    """Where somebody else's program is. Skips the test where it is missing, or fails it under CI=true."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing, and CI=true: tests/tools.sh installs it")
        pytest.skip(f"not run: {name} is missing (tests/tools.sh installs it)")
    return found
