"""A workbench for the engine: workflows in a few lines, executed for real by the fake runtime."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from recast_dm import spec
from recast_dm.engine import events, expand, publishers
from recast_dm.engine.cache import StepCache
from recast_dm.engine.execute import Finished, execute
from recast_dm.engine.publishers import Files
from recast_dm.engine.request import Request
from recast_dm.engine.starting import Tools
from recast_dm.engine.values import freeze
from recast_dm.model import Step, StepId, Workflow
from recast_dm.runtimes import Job
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import text

IMAGE = "image:latest"
TOY_IMAGE = "recast-dm/toy:1.0"


# --- programs: what the fake runtime starts instead of a container ----------------------------------------------------


def on_host(job: Job, words: str) -> str:
    """A container's text with the places inside it replaced by those on the host."""
    for n, place in enumerate(job.inputs):
        words = re.sub(rf"/inputs/{n}\b", str(place), words)
    return words.replace("/workdir", str(job.workdir))


def shell(job: Job) -> int:
    """Runs the command by the host's own shell; what it says goes to the log."""
    env = {"PATH": os.environ["PATH"], **{name: on_host(job, value) for name, value in job.env.items()}}
    argv = [on_host(job, word) for word in job.argv]
    stdin = None if job.stdin is None else on_host(job, job.stdin)
    done = subprocess.run(argv, input=stdin, cwd=job.workdir, env=env, capture_output=True, text=True, check=False)
    with job.log.open("a") as log:
        log.write(done.stdout + done.stderr)
    return done.returncode


def toy(job: Job) -> int:
    """Calls the toy analysis' own code, imported from the file that the command names."""
    script = on_host(job, job.stdin or job.argv[-1])
    for name, value in job.env.items():
        script = script.replace(f"${{{name}}}", on_host(job, value))
    words = shlex.split(next(line for line in script.splitlines() if line.startswith("python3")))
    source = importlib.util.spec_from_file_location("toy", words[1])
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    with job.log.open("a") as log:
        vars(module)["print"] = lambda said: log.write(f"{said}\n")
        module.main(words[2:])
    return 0


# --- the bench --------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """An observer that remembers."""

    events: list[events.Event] = field(default_factory=list)

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)

    def hows(self) -> dict[str, str]:
        return {str(e.step): e.how for e in self.events if isinstance(e, events.StepFinished)}

    def warnings(self) -> list[str]:
        return [e.message for e in self.events if isinstance(e, events.Warned)]


@dataclass
class Bench:
    """Executes workflows below a directory, with one cache, and says what each run did."""

    root: Path
    programs: dict[str, Callable[[Job], int]]
    seen: Seen = field(default_factory=Seen)
    runtime: FakeRuntime = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = FakeRuntime(self.programs)

    @property
    def cache(self) -> StepCache:
        return StepCache(self.root / "cache")

    def request(
        self, workflow: Workflow, initdata: Mapping[str, Any], initdir: Path | None = None, **more: Any
    ) -> Request:
        images = {reference: self.runtime.image(reference) for reference in workflow.images()}
        return Request(workflow=workflow, initdata=initdata, initdir=initdir, images=images, **more)

    def tools(self, *, cached: bool = True, **more: Any) -> Tools:
        return Tools(
            **{
                "containers": self.runtime,
                "host": None,
                "cache": self.cache if cached else None,
                "observer": self.seen,
                **more,
            }
        )

    def run(
        self,
        workflow: Workflow,
        initdata: Mapping[str, Any] | None = None,
        *,
        initdir: Path | None = None,
        run: str = "run",
        jobs: int = 2,
        cached: bool = True,
        keep_going: bool = False,
        tools: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Finished:
        """Executes; `seen` and `runtime` are fresh for each run. `tools` and `more` are for Tools and Request."""
        self.seen, self.runtime = Seen(), FakeRuntime(self.programs)
        return execute(
            self.request(workflow, initdata or {}, initdir, **more),
            directory=self.root / run,
            tools=self.tools(cached=cached, **(tools or {})),
            jobs=jobs,
            keep_going=keep_going,
        )

    def hows(self) -> dict[str, str]:
        """How each step of the last run was done: ran, cached or kept."""
        return self.seen.hows()

    def started(self) -> int:
        """How many containers the last run started."""
        return len(self.runtime.jobs)

    def counted(self) -> Counter[str]:
        return Counter(self.hows().values())


def stage(
    name: str,
    cmd: str,
    parameters: Mapping[str, Any],
    publish: Any,
    *,
    scatter: str | None = None,
    needs: Any = (),
    glob: bool = False,
    environment: Mapping[str, Any] | None = None,
    process: Mapping[str, Any] | None = None,
    publisher: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One stage as yadage writes it; the last three replace what `cmd` and `publish` would make."""
    scheduler: dict[str, Any] = {
        "scheduler_type": "multistep-stage" if scatter else "singlestep-stage",
        "parameters": dict(parameters),
        "step": {
            "process": process or {"process_type": "string-interpolated-cmd", "cmd": cmd},
            "environment": environment or {"environment_type": "docker-encapsulated", "image": "image"},
            "publisher": publisher or {"publisher_type": "interpolated-pub", "publish": publish, "glob": glob},
        },
    }
    if scatter:
        scheduler["scatter"] = {"method": "zip", "parameters": [scatter]}
    return {"name": name, "dependencies": needs if isinstance(needs, dict) else list(needs), "scheduler": scheduler}


def quick(
    name: str, parameters: Any = None, publisher: Mapping[str, Any] | None = None, needs: Any = (), **scheduler: Any
) -> dict[str, Any]:
    """A stage whose step starts nothing and publishes its parameters, or what `publisher` says."""
    given = parameters or {}
    names = given if isinstance(given, Mapping) else [entry["key"] for entry in given]
    body = {
        "process": None,
        "environment": None,
        "publisher": publisher or {"publisher_type": "frompar-pub", "outputmap": {key: key for key in names}},
    }
    kind = "multistep-stage" if "scatter" in scheduler else "jq-stage" if "bindings" in scheduler else ""
    made: dict[str, Any] = {"scheduler_type": kind or "singlestep-stage", **scheduler}
    if kind != "jq-stage":
        made["parameters"] = given
    if not {"cases", "workflow", "step"} & set(made):
        made["step"] = body
    return {"name": name, "dependencies": needs if isinstance(needs, dict) else list(needs), "scheduler": made}


LATE = {"publisher_type": "fromyaml-pub", "yamlfile": "said.yml"}
"""What such a step publishes is known when it has run: a test says it."""


def scattered(*names: str, method: str = "zip") -> dict[str, Any]:
    return {"method": method, "parameters": list(names)}


def plan(*stages: dict[str, Any], files: Any = None, **init: Any) -> dict[str, Step]:
    """The steps that need nothing but the init parameters, by name."""
    steps, _ = expand.plan(workflow(*stages), init, files)
    return {str(step.id): step for step in steps}


class Play:
    """A workflow being expanded; the test says what each step publishes."""

    def __init__(self, *stages: dict[str, Any], files: Any = None, relaxations: Any = None, **init: Any) -> None:
        published = publishers.publish_init(init, files)
        self.expansion = expand.Expansion(workflow(*stages), published, relaxations or {}, files=files)
        self.steps: dict[str, Step] = {}
        self.advance()

    def advance(self) -> list[str]:
        new = {str(step.id): step for step in self.expansion.advance()}
        assert not set(new) & set(self.steps), "a step was made twice"
        self.steps.update(new)
        return list(new)

    def publish(self, step: str, value: Any = None, *names: str) -> list[str]:
        """The names of the steps that are new then."""
        self.expansion.publish(StepId.parse(step), freeze(value), Files(frozenset(names)))
        return self.advance()

    def waiting(self) -> dict[str, str]:
        return {unready.stage: unready.why for unready in self.expansion.waiting}

    def parameters(self, step: str) -> Any:
        return self.steps[step].parameters


def substage(name: str, *stages: dict[str, Any], needs: Any = (), **scheduler: Any) -> dict[str, Any]:
    """A stage whose body is a workflow."""
    kind = "multistep-stage" if "scatter" in scheduler else "singlestep-stage"
    made = {"scheduler_type": kind, "parameters": {}, "workflow": {"stages": list(stages)}, **scheduler}
    return {"name": name, "dependencies": needs if isinstance(needs, dict) else list(needs), "scheduler": made}


def workflow(*stages: dict[str, Any]) -> Workflow:
    return spec.parse_workflow(text.parse(yaml.safe_dump({"stages": list(stages)}), "workflow.yml"))


POINT = {"m_med": 2000, "seeds": [1, 2], "lumi": 139}


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Changes a JSON document in place, however its mode is."""
    document = json.loads(path.read_bytes())
    change(document)
    path.chmod(0o644)
    path.write_text(json.dumps(document))
