"""The engine of the stand-in: what it is given is executed, in containers, with what REANA's engine ignores left out.

Our own engine does it: so what a step's files are is real, while timing, scheduling and log lines of yadage are not
REANA's. Commands see `/workdir` and `/inputs/<n>` instead of absolute paths of the workspace.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.errors import RecastError, ToolMissing
from recast_dm.model import Image, Stage, StepId, StepSpec, SubWorkflow, Workflow
from recast_dm.runtimes import Runtime
from tests.reana import yadage
from tests.reana.things import Job, Run

if TYPE_CHECKING:
    from tests.reana.standin import Standin


class _Stopped(BaseException):
    """A run was stopped, and its engine has to end; no part of the engine may take it for a failure."""


def same(reference: str) -> str:
    return reference


@dataclass(slots=True, kw_only=True)
class Execution:
    """Executes what a workflow says. `called` gives the name by which the runtime here knows an image.

    `runtime` None is for workflows without containers, which `allow_host` lets run on this machine.
    """

    runtime: Runtime | None
    called: Callable[[str], str] = same
    jobs: int = 2
    allow_host: bool = False
    _threads: list[tuple[threading.Thread, Path]] = field(default_factory=list)

    def begin(self, standin: Standin, run: Run) -> None:
        run.status, run.queued = "queued", standin.now()
        thread = threading.Thread(target=_Performed(self, standin, run).perform, name=f"reana {run.full}", daemon=True)
        self._threads.append((thread, standin.directory / "engine" / run.id))
        thread.start()

    def look(self, standin: Standin, run: Run) -> None:
        """Nothing: the thread keeps a run's state up to date."""

    def stop(self, standin: Standin, run: Run) -> None:
        """The run is stopped at once, its containers are removed, and its engine ends with the next event."""
        with run.lock:
            run.status = "stopped"
            run.stopped = run.finished = standin.now()
        self._sweep(standin.directory / "engine" / run.id)

    def _sweep(self, directory: Path) -> None:
        about = directory / "run" / "run.json"
        if self.runtime is not None and about.is_file():
            self.runtime.sweep(json.loads(about.read_text())["id"])

    def close(self) -> None:
        for thread, directory in self._threads:
            while thread.is_alive():  # a container may have been about to start when its run was stopped
                self._sweep(directory)
                thread.join(timeout=0.5)


class _Performed:
    """One run on its way."""

    def __init__(self, execution: Execution, standin: Standin, run: Run) -> None:
        self._execution = execution
        self._now = standin.now
        self._run = run
        self._directory = standin.directory / "engine" / run.id
        self._jobs: dict[StepId, Job] = {}
        self._logs: dict[StepId, Path] = {}

    def perform(self) -> None:
        run = self._run
        try:
            self._running()
            self._executed()
            self._ended("finished", f"Workflow {run.id} finished. Files available at {run.workspace}.")
        except _Stopped:
            run.say("stopped", self._now())
        except RecastError as error:
            self._ended("failed", f"Workflow {run.id} failed: {error.message}")
        except Exception as error:  # noqa: BLE001  # of the engine: the run failed, and says why
            self._ended("failed", f"Workflow {run.id} failed: {type(error).__name__}: {error}")

    def _running(self) -> None:
        with self._run.lock:
            if self._run.status != "queued":
                raise _Stopped
            self._run.status, self._run.started = "running", self._now()

    def _ended(self, status: str, said: str) -> None:
        with self._run.lock:
            self._run.say(said, self._now())
            if self._run.status == "running":
                self._run.status, self._run.finished = status, self._now()

    def _executed(self) -> None:
        document = self._run.specification["workflow"]["specification"]
        initdata = self._run.parameters_given()
        self._run.say(f"initializing workflow with initdata: {initdata}", self._now())
        workflow = yadage.workflow(document)
        work = Work(
            workflow=workflow,
            initdata=initdata,
            initdir=self._inputs(workflow),
            pinned=self._images(workflow),
            relaxations=dict.fromkeys(yadage.stages(document), ("compat: raw",)),
        )
        local = Local(
            runtime=self._execution.runtime,
            jobs=self._execution.jobs,
            cache=None,
            allow_host=self._execution.allow_host,
        )
        self._workflow = workflow
        local.execute(work, directory=self._directory / "run", observer=self._observe)
        self._metadata(document)

    def _inputs(self, workflow: Workflow) -> Path:
        """The workspace as it is now, without what a run leaves there: a restarted run has the first one's files."""
        target = self._directory / "inputs"
        made = {"_yadage", *(stage.name for stage in workflow.stages)}
        target.mkdir(parents=True)
        for path in self._run.workspace.iterdir():
            if path.name in made:
                continue
            if path.is_dir():
                shutil.copytree(path, target / path.name)
            else:
                shutil.copy2(path, target / path.name)
        return target

    def _images(self, workflow: Workflow) -> dict[str, Image]:
        runtime = self._execution.runtime
        if runtime is None:
            return {}
        found = {}
        for name in workflow.images():
            image = runtime.image(self._execution.called(name))
            if image is None:
                raise ToolMissing(f"the image {name} cannot be pulled")
            found[name] = replace(image, reference=name)
        return found

    def _metadata(self, document: Mapping[str, Any]) -> None:
        place = self._run.workspace / "_yadage"
        place.mkdir(exist_ok=True)
        (place / "yadage_snapshot_workflow.json").write_text(json.dumps(document))
        (place / "adage").mkdir(exist_ok=True)
        (place / "adage" / "adagesnap.txt").write_text(self._run.log)

    # --- events ------------------------------------------------------------------------------------------------------

    def _observe(self, event: events.Event) -> None:
        with self._run.lock:
            if self._run.status != "running":
                raise _Stopped
            match event:
                case events.StepsPlanned(steps=steps):
                    self._run.total += len(steps)
                case events.StepStarted(step=step, image=image, log=log):
                    self._job(step, image or "", log)
                case events.StepFinished(step=step):
                    self._close(step, "finished")
                    self._lay(step)
                case events.StepEnded(step=step, message=message):
                    self._run.say(message, self._now())
                    self._close(step, "failed")
                case _:
                    pass

    def _job(self, step: StepId, image: str, log: Path) -> None:
        name = place(self._workflow, step)
        job = Job(
            id=str(uuid.uuid4()),
            step=name.rpartition("/")[2],
            image=image,
            command=command(self._workflow, step),
            backend_id=f"reana-run-job-{uuid.uuid4()}",
            started=self._now(),
        )
        self._jobs[step], self._run.jobs[job.id] = job, job
        self._logs[step] = log
        self._run.say(f"Submitted job with id: {job.id}", self._now())

    def _close(self, step: StepId, status: str) -> None:
        job = self._jobs.get(step)
        if job is None:
            return
        job.status, job.finished = status, self._now()
        record = self._directory / "run" / ".records" / step.stage / f"{step.index}.json"
        with contextlib.suppress(OSError, ValueError):
            job.command = str(json.loads(record.read_text())["execution"].get("command") or job.command)
        with contextlib.suppress(OSError):
            said = self._logs[step].read_text(errors="replace")
            job.log = f"job: :\n {said}\n\n{'Completed' if status == 'finished' else 'Error'}\n"

    def _lay(self, step: StepId) -> None:
        """The step's files go where REANA's yadage would have written them."""
        source = self._directory / "run" / str(step)
        target = self._run.workspace / place(self._workflow, step)
        (target / "_packtivity").mkdir(parents=True, exist_ok=True)
        for path in sorted(source.rglob("*")) if source.is_dir() else ():
            there = target / path.relative_to(source)
            if path.is_dir():
                there.mkdir(exist_ok=True)
            else:
                there.unlink(missing_ok=True)
                shutil.copy2(path, there)


# --- the workspace's layout ------------------------------------------------------------------------------------------


def place(workflow: Workflow, step: StepId) -> str:
    """The directory of a step below the workspace: `stage` of a single step, else `stage_<n>`, sub-workflows nested."""
    return "/".join(name for name, _ in _way(workflow, [*step.stage.split("/"), str(step.index)]))


def command(workflow: Workflow, step: StepId) -> str:
    """The command of a step as the specification has it, before parameters are put in."""
    stage = [stage for _, stage in _way(workflow, [*step.stage.split("/"), str(step.index)])][-1]
    process = stage.body.process if isinstance(stage.body, StepSpec) else None
    template = getattr(process, "script", None) or getattr(process, "cmd", None)
    return template.text if template else ""


def _way(workflow: Workflow, parts: list[str]) -> Iterator[tuple[str, Stage]]:
    name, index, *rest = parts
    stage = workflow.stage(name)
    yield (f"{name}_{index}" if stage.scatter or stage.jq else name), stage
    if rest:
        bodies = [stage.body] if not hasattr(stage.body, "cases") else [case.body for case in stage.body.cases]
        for body in bodies:
            if isinstance(body, SubWorkflow) and rest[0] in {each.name for each in body.workflow.stages}:
                yield from _way(body.workflow, rest)
                return
