"""Upstream yadage, driven in its tool environment: the oracle that says what a workflow expands to.

`expand` asks upstream for the whole graph of a workflow without executing anything. The answer is in our
words, so that it can be compared with our own engine's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.backends.yadage.graph import Graph, Node, read_graph
from recast_dm.errors import RecastError, SpecError, ToolMissing

__all__ = ["Graph", "Node", "expand"]

_DRIVER = Path(__file__).with_name("driver.py")
_LONGEST_TEXT = 600
"""Characters of upstream's text that an error shows: its validator quotes whole documents."""


def expand(
    spec: Path,
    initdata: Mapping[str, Any],
    initdir: Path | None = None,
    *,
    python: Path,
    top: Path | None = None,
    timeout: float = 60.0,
) -> Graph:
    """What upstream makes of the workflow file `spec` with these init parameters; no step is executed.

    `top` is upstream's toplevel, against which it resolves the references of `spec` (default: its directory);
    init file names are below `initdir`. `python` is the interpreter of upstream's tool environment (see
    `tool_environment.ensure`), `timeout` is in seconds.

    Raises SpecError with upstream's text where upstream refuses the workflow or fails while it expands it,
    and ToolMissing where upstream itself is missing or broken.
    """
    toplevel = (top or spec.parent).absolute()
    with tempfile.TemporaryDirectory(prefix="recast-dm-yadage-") as scratch:
        workdir = Path(scratch).resolve()
        request = {
            "toplevel": str(toplevel),
            "workflow": str(spec.absolute().relative_to(toplevel)),
            "initdata": initdata,
            "initdir": str(initdir.absolute()) if initdir else None,
            "workdir": str(workdir),
        }
        answer = _ask(python, request, spec, timeout)
        if "error" in answer:
            raise _refusal(answer["error"], spec, python)
        return read_graph(answer["graph"], str(initdir.resolve() if initdir else workdir / "init"))


def _ask(python: Path, request: Mapping[str, Any], spec: Path, timeout: float) -> dict[str, Any]:
    """One request to a driver process of its own; its environment is empty: no YADAGE_* leaks in."""
    argv = [str(python), "-I", str(_DRIVER)]
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(request) + "\n",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SpecError(
            f"upstream yadage did not finish expanding {spec} within {timeout:g} s",
            hint="check the lists that its stages scatter over",
        ) from error
    except OSError as error:
        raise ToolMissing(f"cannot start upstream yadage: {error}") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise ToolMissing(
            f"upstream yadage ended with exit code {done.returncode} and no answer",
            hint="\n".join(done.stderr.strip().splitlines()[-5:]) or None,
        ) from error
    return answer


def _refusal(error: Mapping[str, Any], spec: Path, python: Path) -> RecastError:
    """The driver's error document as an error of ours."""
    text = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
    text = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."
    if error["kind"] == "tool":
        return ToolMissing(
            f"upstream yadage does not start: {text}",
            hint=f"remove {python.parent.parent} to have it made again",
        )
    if error["kind"] == "expansion":
        return SpecError(f"upstream yadage cannot expand {spec}: {text}", hint=f"raised in {error['raised_in']}")
    place = f" at {'/'.join(error['path'])}" if error["path"] else ""
    return SpecError(f"upstream yadage refuses {spec}{place}: {text}")
