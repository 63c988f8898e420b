"""One engine on one workflow, as a process of its own, metered."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.engines import Engine, Shape

METER = Path(__file__).with_name("meter.py")


@dataclass(frozen=True, slots=True, order=True)
class Metered:
    """Seconds: by the clock, of the engine's own process, of all processes that it started. And its peak memory."""

    wall: float
    own: float
    children: float
    peak_mb: float
    expired: bool = False

    @property
    def cpu(self) -> float:
        return self.own + self.children


def run(
    engine: Engine, shape: Shape, steps: int, place: Path, *, budget: float = 300.0, command: str = "true"
) -> Metered:
    """Writes the workflow into the new directory `place` and runs it there. Raises RuntimeError when that fails."""
    place.mkdir()
    engine.write(place, shape, steps, command)
    return start(engine, place, budget)


def start(engine: Engine, place: Path, budget: float = 300.0) -> Metered:
    """Runs what is written in `place`, perhaps again. Raises RuntimeError when that fails."""
    return metered(engine.argv, place, budget)


def metered(argv: Sequence[str], place: Path, budget: float = 300.0) -> Metered:
    """Runs a command in an environment that holds nothing of the caller's. Raises RuntimeError when it fails."""
    (place / ".home" / "tmp").mkdir(parents=True, exist_ok=True)
    home = place / ".home"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home / "tmp")}
    result, said = place / ".metered", place / ".said"
    with said.open("wb") as output:
        subprocess.run(
            [sys.executable, "-I", "-S", str(METER), str(result), str(budget), *argv],
            check=True,
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    measured = json.loads(result.read_text())
    code = measured.pop("code")
    if code != 0 and not measured["expired"]:
        raise RuntimeError(f"{argv[0]} in {place}: exit code {code}\n{said.read_text(errors='replace')[-3000:]}")
    return Metered(**measured)
