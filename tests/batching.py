"""A scan of the toy image's program that takes batches: what all points share, and three stages in a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from recast_dm import spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.model import Policy
from recast_dm.runtimes.docker import Docker
from recast_dm.spec import text

PROGRAM = "python3 /opt/toy/code/adding.py"
STAGES = ("base", "first", "second", "third")
OUT = {"out": "{workdir}/sum.txt"}


def stage(name: str, words: str, **parameters: Any) -> dict[str, Any]:
    return {
        "name": name,
        "dependencies": [],
        "scheduler": {
            "scheduler_type": "singlestep-stage",
            "parameters": {**parameters, **OUT},
            "step": {
                "process": {"process_type": "string-interpolated-cmd", "cmd": f"{PROGRAM} {words} --out {{out}}"},
                "environment": {"environment_type": "docker-encapsulated", "image": "recast-dm/toy", "imagetag": "1.0"},
                "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
            },
        },
    }


def scan(words: str = "{n}") -> dict[str, Any]:
    """Four stages for each number: what all of them share, and three in a row."""
    first = {"n": {"step": "init", "output": "n"}, "base": {"step": "base", "output": "out"}}
    inner = [
        stage("base", "100"),
        stage("first", f"{words} {{base}}", **first),
        stage("second", "{x} 1", x={"step": "first", "output": "out"}),
        stage("third", "{x} {base}", x={"step": "second", "output": "out"}, base={"step": "base", "output": "out"}),
    ]
    scheduler = {
        "scheduler_type": "multistep-stage",
        "scatter": {"method": "zip", "parameters": ["n"]},
        "parameters": {"n": {"step": "init", "output": "numbers"}},
        "workflow": {"stages": inner},
    }
    return {"stages": [{"name": "point", "dependencies": [], "scheduler": scheduler}]}


class Seen:
    """How each step finished, how many starts there were, and what was warned of."""

    def __init__(self) -> None:
        self.how: dict[str, str] = {}
        self.warnings: list[str] = []
        self.starts = 0

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.StepFinished):
            self.how[str(event.step)] = event.how
        elif isinstance(event, events.StepStarted):
            self.starts += event.batch[0] == 0
        elif isinstance(event, events.Warned):
            self.warnings.append(event.message)


def run(
    docker: Docker,
    directory: Path,
    numbers: list[int],
    seen: Seen,
    *,
    together: bool = True,
    words: str = "{n}",
    **more: Any,
) -> Finished:
    policy = {**more, "batch": tuple(PROGRAM.split()) if together else None}
    work = Work(
        workflow=spec.parse_workflow(text.parse(yaml.safe_dump(scan(words)), "workflow.yml")),
        initdata={"numbers": numbers},
        policies={f"point/{name}": Policy(**policy) for name in STAGES},
    )
    return Local(runtime=docker, jobs=2, cache=None).execute(work, directory=directory, observer=seen)


def records(directory: Path) -> dict[str, dict[str, Any]]:
    place = directory / ".records"
    return {str(p.relative_to(place).with_suffix("")): json.loads(p.read_bytes()) for p in place.rglob("*.json")}
