"""One long-lived driver process in upstream's environment, asked for one workflow after the other."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

from recast_dm.backends.yadage.graph import Execution, Graph, read_execution, read_graph
from recast_dm.errors import RecastError, SpecError, StepFailed, ToolMissing

_DRIVER = Path(__file__).with_name("driver.py")
_LONGEST_TEXT = 600
"""Characters of upstream's text that an error shows: its validator quotes whole documents."""
_TAIL = 5
"""Lines of a dead driver's standard error that an error shows."""
_CHUNK = 1 << 16
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "PACKTIVITY_DOCKER_NOPULL": "true",
    "PACKTIVITY_LOGGING_STREAM_LEVEL": "CRITICAL",
}


class Upstream:
    """Upstream yadage behind a pipe; a context manager. `python` is the interpreter of its tool environment.

    The driver is started when it is first asked, and again after it died or did not answer in time. Of the caller's
    environment it gets `environment` only: no YADAGE_* or PACKTIVITY_* changes what upstream does. One thread at a time
    may ask.
    """

    def __init__(self, python: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._python = python
        self._environment = {**_ENVIRONMENT, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def expand(
        self,
        spec: Path,
        initdata: Mapping[str, Any],
        initdir: Path | None = None,
        *,
        top: Path | None = None,
        timeout: float = 60.0,
    ) -> Graph:
        """What upstream makes of the workflow file `spec` with these init parameters; no step is executed.

        `top` is upstream's toplevel, against which it resolves the references of `spec` (default: its directory); init
        file names are below `initdir`; `timeout` is in seconds.

        Raises SpecError with upstream's text where upstream refuses the workflow or fails while it expands it, and
        ToolMissing where upstream itself is missing or broken.
        """
        with tempfile.TemporaryDirectory(prefix="recast-dm-yadage-") as scratch:
            workdir = Path(scratch).resolve()
            request = _request("expand", spec, initdata, initdir, top, workdir)
            answer = self._ask(request, spec, timeout, "expanding")
            return read_graph(answer["graph"], _place_of_init(initdir, workdir))

    def execute(
        self,
        spec: Path,
        initdata: Mapping[str, Any],
        initdir: Path | None = None,
        *,
        workdir: Path,
        top: Path | None = None,
        timeout: float | None = 60.0,
        jobs: int = 2,
    ) -> Execution:
        """Upstream's own run of the workflow in `workdir`, which stays: at most `jobs` steps at once, for at most
        `timeout` seconds or (None) as long as it takes.

        A step that fails is an outcome, not an error. Raises as `expand` does, and StepFailed where upstream's loop
        cannot go on, or publishes what JSON cannot hold.
        """
        workdir = workdir.resolve()
        request = _request("execute", spec, initdata, initdir, top, workdir) | {"jobs": jobs}
        answer = self._ask(request, spec, timeout, "executing")
        return read_execution(answer, _place_of_init(initdir, workdir))

    def _ask(self, request: Mapping[str, Any], spec: Path, timeout: float | None, doing: str) -> dict[str, Any]:
        """The answer to one request. After silence or death the driver is a new one."""
        try:
            line = json.dumps(request).encode() + b"\n"
        except TypeError as error:
            raise SpecError(
                f"upstream yadage cannot be asked about {spec}: {error}", hint="init parameters are JSON"
            ) from None
        if self._process is None:
            self._start()
        try:
            answer = self._answer(line, None if timeout is None else time.monotonic() + timeout)
        except TimeoutError as error:
            self._end()
            raise SpecError(
                f"upstream yadage did not finish {doing} {spec} within {timeout:g} s",
                hint="check the lists that its stages scatter over",
            ) from error
        except BaseException:
            self._end()  # half an answer may be on its way: nobody may take it for the next one's
            raise
        if "error" in answer:
            raise _refusal(answer["error"], spec, self._python)
        return answer

    def _start(self) -> None:
        """Starts the driver in a session of its own: what it started can be ended with it."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed by _end
        try:
            self._process = subprocess.Popen(
                [str(self._python), "-I", str(_DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            self._end()
            raise ToolMissing(f"cannot start upstream yadage: {error}") from error

    def _answer(self, request: bytes, deadline: float | None) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        try:
            process.stdin.write(request)
            process.stdin.flush()
        except BrokenPipeError:
            raise self._death(process) from None
        pieces: list[bytes] = []
        while not (pieces and pieces[-1].endswith(b"\n")):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([process.stdout], [], [], left)
            if not ready:
                raise TimeoutError
            pieces.append(os.read(process.stdout.fileno(), _CHUNK))
            if not pieces[-1]:
                raise self._death(process)
        try:
            answer: dict[str, Any] = json.loads(b"".join(pieces))
        except json.JSONDecodeError:
            raise self._death(process) from None
        return answer

    def _death(self, process: subprocess.Popen[bytes]) -> ToolMissing:
        """The driver ended, or never was one: its exit code and its last words."""
        process.kill()
        code = process.wait()
        words = ""
        if self._said is not None:
            self._said.seek(0)
            words = self._said.read().decode(errors="replace")
        return ToolMissing(
            f"upstream yadage ended with exit code {code} and no answer",
            hint="\n".join(words.strip().splitlines()[-_TAIL:]) or None,
        )

    def _end(self) -> None:
        """Ends the driver with all that it started."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self._said is not None:
            self._said.close()
            self._said = None


def _request(
    kind: Literal["expand", "execute"],
    spec: Path,
    initdata: Mapping[str, Any],
    initdir: Path | None,
    top: Path | None,
    workdir: Path,
) -> dict[str, Any]:
    toplevel = (top or spec.parent).absolute()
    return {
        "kind": kind,
        "toplevel": str(toplevel),
        "workflow": str(spec.absolute().relative_to(toplevel)),
        "initdata": initdata,
        "initdir": str(initdir.absolute()) if initdir else None,
        "workdir": str(workdir),
    }


def _place_of_init(initdir: Path | None, workdir: Path) -> str:
    return str(initdir.resolve() if initdir else workdir / "init")


def _refusal(error: Mapping[str, Any], spec: Path, python: Path) -> RecastError:
    """The driver's error document as an error of ours."""
    text = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
    text = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."
    raised_in = f"raised in {error['raised_in']}"
    match error["kind"]:
        case "tool":
            return ToolMissing(
                f"upstream yadage does not start: {text}",
                hint=f"remove {python.parent.parent} to have it made again",
            )
        case "expansion":
            return SpecError(f"upstream yadage cannot expand {spec}: {text}", hint=raised_in)
        case "execution":
            return StepFailed(f"upstream yadage cannot execute {spec}: {text}", hint=raised_in)
    place = f" at {'/'.join(error['path'])}" if error["path"] else ""
    return SpecError(f"upstream yadage refuses {spec}{place}: {text}")
