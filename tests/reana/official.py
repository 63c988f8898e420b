"""The official reana-client in its own environment, driven through a pipe."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.reana.openapi import client_python

_SIDE = Path(__file__).with_name("official_side.py")


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str


class Official:
    """A context manager; calls are command lines without the name of the program."""

    def __init__(self, environment: Mapping[str, str], workdir: Path) -> None:
        self._workdir = workdir
        self._environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(workdir), **environment}
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__

    def __enter__(self) -> Official:
        self._process = subprocess.Popen(
            [client_python(), "-I", "-W", "ignore", _SIDE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=self._environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate()
        self._log.close()

    def __call__(self, *words: str) -> Said:
        """What the command line said. One that fails is no error here."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"words": words, "workdir": str(self._workdir)}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"reana-client died at {words}: {self._tail()}"
        return Said(**json.loads(line))

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]
