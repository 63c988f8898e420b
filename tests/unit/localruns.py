"""Runs of localproc workflows for the verbs that look at runs: a background, scattered signals, a limit, and a scan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recast_dm import spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine.execute import Finished
from recast_dm.model import Workflow
from recast_dm.spec import text

OUT = {"out": "{workdir}/out"}


def stage(name: str, script: str, parameters: dict[str, Any], scatter: str | None = None) -> dict[str, Any]:
    scheduler: dict[str, Any] = {
        "scheduler_type": "multistep-stage" if scatter else "singlestep-stage",
        "parameters": {**parameters, **OUT},
        "step": {
            "process": {"process_type": "interpolated-script-cmd", "script": script},
            "environment": {"environment_type": "localproc-env"},
            "publisher": {"publisher_type": "interpolated-pub", "publish": OUT},
        },
    }
    if scatter:
        scheduler["scatter"] = {"method": "zip", "parameters": [scatter]}
    return {"name": name, "dependencies": [], "scheduler": scheduler}


def init(name: str) -> dict[str, Any]:
    return {"step": "init", "output": name}


def document(signal: str = "", check: str = "") -> dict[str, Any]:
    """The workflow; `signal` and `check` are shell commands that these stages do besides."""
    inner = [
        stage("fit", "cat {x} > {out}", {"x": init("x")}),
        stage("check", f"{check}\ncat {{fit}} > {{out}}", {"fit": {"step": "fit", "output": "out"}}),
    ]
    scan = {
        "scheduler_type": "multistep-stage",
        "scatter": {"method": "zip", "parameters": ["x"]},
        "parameters": {"x": {"stages": "signal", "output": "out"}},
        "workflow": {"stages": inner},
    }
    signals = {"m": init("m"), "seed": init("seeds")}
    both = {"b": {"step": "background", "output": "out"}, "s": {"stages": "signal", "output": "out"}}
    return {
        "stages": [
            stage("background", "echo 139 > {out}", {}),
            stage("signal", f"echo seed {{seed}}\n{signal}\necho {{m}} {{seed}} > {{out}}", signals, "seed"),
            stage("limit", "cat {b} {s} > {out}\necho the limit", both),
            {"name": "scan", "dependencies": [], "scheduler": scan},
            stage("summary", "cat {all} > {out}", {"all": {"stages": "scan[*].check", "output": "out"}}),
        ]
    }


def workflow(signal: str = "", check: str = "") -> Workflow:
    return spec.parse_workflow(text.parse(yaml.safe_dump(document(signal, check)), "workflow.yml"))


def execute(
    directory: Path, *, m: int = 1, seeds: Sequence[int] = (1, 2), signal: str = "", check: str = "", jobs: int = 2
) -> Finished:
    about = {"analysis": "toy", "capsule": "0" * 64, "model": "spin1", "parameters": {"m_med": float(m)}}
    work = Work(workflow=workflow(signal, check), initdata={"m": m, "seeds": list(seeds)}, about=about)
    local = Local(runtime=None, jobs=jobs, cache=None, allow_host=True)
    return local.execute(work, directory=directory, observer=lambda _: None)


def events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / ".events.jsonl").read_text().splitlines()]


def rewrite(directory: Path, found: list[dict[str, Any]]) -> None:
    """Replaces the journal of a run."""
    (directory / ".events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in found))


def killed(directory: Path, step: str) -> None:
    """Makes a run look as if its runner had died while this step ran: nothing was written after its start."""
    found = events(directory)
    begun = next(n for n, event in enumerate(found) if event["event"] == "started" and event["step"] == step)
    later = {event["step"] for event in found[begun:] if event["event"] in ("started", "ran")}
    for name in later:
        (directory / ".records" / f"{name}.json").unlink()
    rewrite(directory, found[: begun + 1])
