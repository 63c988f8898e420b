"""jq programs, run in a process of their own: one that never ends, or eats all memory, is ended with it.

The library runs inside the interpreter and cannot be interrupted there. The process is started when the first program
runs, sees no environment, and answers one line of JSON for each line it gets.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import Any

from recast_dm.spec import jq

TIMEOUT = 30.0
"""Seconds that one program may take."""
MEMORY = 2 * 1024**3
"""Bytes of address space that all of them may have."""
_CHUNK = 1024 * 1024
_PROGRAM = """
import json, resource, sys
start = json.loads(sys.stdin.readline())
sys.path[:] = start["path"]
resource.setrlimit(resource.RLIMIT_AS, (start["memory"], start["memory"]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from recast_dm.engine.jqworker import answer
for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\\n")
    sys.stdout.flush()
"""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What a program makes of a value: a list of everything, or with `text` its JSON text; or what jq says is wrong."""
    try:
        made = jq.compiled(request["program"]).input_value(request["value"])
        return {"made": str(made.text()) if request["text"] else made.all()}
    except ValueError as error:
        return {"error": jq.said(error)[:300]}
    except MemoryError:
        return {"error": "it needs too much memory"}


class _Worker:
    """The process, or none. Safe to call from several threads; a fork gets a process of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            process = self._started()
            try:
                return self._exchange(process, json.dumps(request).encode() + b"\n")
            except BaseException:
                self.end()
                raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner != os.getpid():
            self._process.returncode = 0  # it is the parent's, and stays so
            self._process = None
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"LC_ALL": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C is for us
            )
            self._write(self._process, json.dumps({"path": sys.path, "memory": MEMORY}).encode() + b"\n")
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any]:
        ends = time.monotonic() + TIMEOUT
        self._write(process, line)
        assert process.stdout is not None  # noqa: S101  # it was asked for
        pipe, received = process.stdout.fileno(), []
        while True:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise ValueError(f"it does not end: it has run for {TIMEOUT:g} s")
            data = os.read(pipe, _CHUNK)
            if not data:
                raise ValueError("it needs too much memory, or makes jq crash")
            received.append(data)
            if data.endswith(b"\n"):
                found: dict[str, Any] = json.loads(b"".join(received))
                return found

    def _write(self, process: subprocess.Popen[bytes], line: bytes) -> None:
        assert process.stdin is not None  # noqa: S101  # it was asked for
        with contextlib.suppress(BrokenPipeError):  # it has died: reading will tell
            process.stdin.write(line)
            process.stdin.flush()

    def end(self) -> None:
        """Ends the process; the next program gets a new one."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
            self._process = None


_WORKER = _Worker()
atexit.register(_WORKER.end)


def run(program: str, value: Any) -> list[Any]:
    """Everything that a program makes of a plain value. Raises ValueError in jq's words.

    >>> run(".m_med * 2", {"m_med": 500})
    [1000]
    """
    return list(_ask(program, value, text=False))


def text(program: str, value: Any) -> str:
    """What a program makes of a plain value, as JSON text.

    >>> text("{m: .m_med}", {"m_med": 500})
    '{"m": 500}'
    """
    return str(_ask(program, value, text=True))


def _ask(program: str, value: Any, *, text: bool) -> Any:
    found = _WORKER.ask({"program": program, "value": value, "text": text})
    if "error" in found:
        raise ValueError(found["error"])
    return found["made"]
