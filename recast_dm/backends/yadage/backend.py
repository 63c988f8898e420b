"""`--backend yadage`: upstream executes, and what it leaves becomes a run directory of ours.

Upstream works below `DIR/.attempts/yadage.<n>/`. When it has ended, our engine expands the workflow again, told what
upstream published: each step's files move to `DIR/<stage>/<index>/`, and its record gets our key. Where upstream made
another step than our engine expects, the run is refused: its key would name other work.

Upstream's containers are upstream's: as root, with network, and with parameters substituted as text.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recast_dm import config, images, store
from recast_dm.backends import Work, demand_hosts, demand_runtime, provide_images
from recast_dm.backends.yadage.graph import Execution
from recast_dm.backends.yadage.upstream import Upstream
from recast_dm.engine import events, key, publishers
from recast_dm.engine.beginning import begin
from recast_dm.engine.execute import Finished
from recast_dm.engine.expand import steps_of
from recast_dm.engine.journal import Journal
from recast_dm.engine.outcome import last_lines
from recast_dm.engine.perform import now
from recast_dm.engine.publishers import Files
from recast_dm.engine.rundir import Record, RunDirectory
from recast_dm.errors import IntegrityError, Interrupted, StepFailed, storage_error
from recast_dm.model import INIT, DockerEnvironment, Image, Policy, Step, StepId, Value, Workflow
from recast_dm.runtimes import Runtime

NOTHING = {"recast-dm": ""}
"""Without init parameters upstream makes no init stage, and then nothing that depends on it."""
_ATTEMPT = StepId("yadage")
_ACTED_ON = re.compile(r"[^A-Za-z0-9_./:=,+@%-]")
"""Characters that a shell may act on when they are substituted as text."""
_ISOLATION = ("none: upstream's own containers, as root and with network",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Yadage:
    """Executes with upstream yadage, at most `jobs` steps at once. `python` is that of its tool environment.

    `runtime` finds the images (None is for workflows without containers); `allow_host` lets `localproc-env` start
    processes; `environment` is what upstream sees of the caller's own (DOCKER_HOST, say); `timeout` is for the whole
    run, in seconds.
    """

    python: Path
    runtime: Runtime | None
    jobs: int
    allow_host: bool = False
    timeout: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    points_at_once: int = 0

    def execute(self, work: Work, *, directory: Path, observer: events.Observer) -> Finished:
        """Runs a workflow in `directory`, from its beginning: upstream does not resume. Upstream knows no policies.

        Raises as the local backend does.
        """
        if any(replace(policy, batch=None) != Policy() for policy in work.policies.values()):
            observer(
                events.Warned("upstream yadage knows no retries, timeouts and limits: those of recast.yml are left out")
            )
        demand_hosts(work.workflow, allowed=self.allow_host)
        provide_images(work, self.runtime, observer)
        found = self._images(work.workflow, work.pinned)
        began = time.monotonic()
        with RunDirectory(directory) as rundir, Journal(rundir.journal, observer) as journal:
            rundir.identify({**work.about, "runtime": "yadage", "started": now()})
            rundir.keep_workflow(work.workflow, work.relaxations)
            journal(events.RunStarted(rundir.root, "yadage"))
            for warning in _as_text(work.initdata):
                journal(events.Warned(warning))
            attempt = rundir.attempt(_ATTEMPT)
            execution = self._executed(work, attempt)
            _demand_success(execution)
            finished = _Taken(rundir, execution, found, journal).take(work)
            shutil.rmtree(attempt / "work", ignore_errors=True)
            journal(events.RunFinished(rundir.root, time.monotonic() - began))
            return finished

    def _images(self, workflow: Workflow, pinned: Mapping[str, Image]) -> dict[str, Image]:
        """The images by their names, which is how upstream starts them: a name must mean the pinned one here."""
        references = workflow.images()
        if not references:
            return {}
        lookup = demand_runtime(self.runtime, references[0]).image
        here = {image.reference: image for image in images.pin(references, lookup)}
        for name, image in here.items():
            if name in pinned and not images.same(image, pinned[name]):
                raise IntegrityError(
                    f"{name} here is not the image that was captured: its layers differ, or its settings do",
                    hint="upstream yadage starts images by name; tag the captured one so, or use --backend local",
                )
        return here

    def _executed(self, work: Work, attempt: Path) -> Execution:
        """Upstream's run, on a copy of the init files: it mounts them writable."""
        spec = attempt / "workflow.yml"
        workdir = attempt / "work"
        try:
            spec.write_text(json.dumps(work.workflow.source))
            if work.initdir is not None:
                shutil.copytree(work.initdir, attempt / "init")
        except OSError as error:
            raise storage_error(error, "prepare upstream's work directory") from None
        with Upstream(self.python, environment=self.environment) as upstream:
            try:
                return upstream.execute(
                    spec,
                    work.initdata or NOTHING,
                    attempt / "init" if work.initdir is not None else None,
                    workdir=workdir,
                    jobs=self.jobs,
                    timeout=self.timeout,
                )
            except KeyboardInterrupt as error:
                raise Interrupted(
                    "interrupted; upstream yadage keeps nothing",
                    signal_number=getattr(error, "signal_number", 2),
                    hint="the same command begins again; --backend local would have kept the finished steps",
                ) from None
            finally:
                _end_containers(workdir)


class _Taken:
    """What upstream left, being taken into a run directory."""

    def __init__(
        self, rundir: RunDirectory, execution: Execution, found: Mapping[str, Image], observer: events.Observer
    ) -> None:
        self._rundir = rundir
        self._execution = execution
        self._images = found
        self._observer = observer
        self._cpu = config.cpu_features()
        self._started = now()

    def take(self, work: Work) -> Finished:
        """Expands the workflow as our engine does, told what upstream published, and records every step."""
        expansion, trees = begin(work.workflow, work.initdata, work.initdir, work.relaxations)
        steps: list[Step] = []
        records: list[Record] = []
        waiting: deque[Step] = deque()
        while True:
            new = expansion.advance()
            expansion.demand_no_errors()
            steps += new
            waiting += new
            if planned := steps_of(new):
                self._observer(events.StepsPlanned(planned, expansion.complete))
            step = _first_ready(waiting, trees)
            if step is None:
                break
            if step.spec.init:
                trees[step.id] = ""
                continue
            record = self._recorded(step, trees)
            records.append(record)
            trees[step.id] = record.tree.sha256
            expansion.publish(step.id, record.published, Files(record.tree.names()))
        _demand_all(steps, self._execution, [unready.stage for unready in expansion.waiting])
        return Finished(self._rundir.root, tuple(records), tuple(steps), tuple(self._images.values()))

    def _recorded(self, step: Step, trees: Mapping[StepId, str]) -> Record:
        node = next((node for node in self._execution.graph.nodes if node.id == step.id), None)
        if node is None or node.parameters != step.parameters:
            what = "did not make it" if node is None else f"made it with {node.parameters!r}, not {step.parameters!r}"
            raise StepFailed(
                f"upstream yadage and recast-dm do not agree about the step {step.id}: upstream {what}",
                hint="where they differ on purpose is in the README; --backend local runs it as recast-dm does",
                step=str(step.id),
            )
        environment = step.spec.environment
        image = self._images[environment.reference] if isinstance(environment, DockerEnvironment) else None
        parts = key.parts(step, image, trees)
        outcome = self._execution.outcome(step.id)
        container, tree = self._moved(step, node.name, outcome.published)
        record = Record(
            step=step.id,
            key=key.of(parts),
            key_parts=parts,
            tree=tree,
            published=outcome.published,
            depends_on=step.depends_on,
            execution=self._said(step, image, container),
        )
        self._rundir.write(record)
        self._observer(events.StepFinished(step.id, "ran", 0.0))
        return record

    def _moved(self, step: Step, name: str, published: Value) -> tuple[str, store.Tree]:
        """A step's files, all declared ones there, at their place; and the id of the container, if there was one."""
        work = Path(self._execution.places[step.id])
        try:
            container = store.tail(work / "_packtivity" / f"{name}.cid").decode("utf-8", "replace").strip()
            shutil.rmtree(work / "_packtivity", ignore_errors=True)
            for mounted in work.glob("_yadage_parmount_*.txt"):
                mounted.unlink()
            found = [name for name, _ in store.walk(work)]
            publishers.check_published(step, published, Files(frozenset(found)))
            self._rundir.clear(step.id)
            store.seal(work)
            place = self._rundir.place(step.id)
            work.rename(place)
            store.fsync_directory(place.parent)
            return container, store.tree_of(place)
        except IntegrityError as error:
            raise StepFailed(
                f"the step {step.id} ended well, but {error.message}", hint=error.hint, step=str(step.id)
            ) from None
        except OSError as error:
            raise storage_error(error, f"keep the outputs of {step.id}") from None

    def _said(self, step: Step, image: Image | None, container: str) -> dict[str, Any]:
        """How a step was executed, as far as upstream tells. Times of single steps it does not."""
        execution: dict[str, Any] = {"started": self._started, "seconds": 0.0}
        if not step.spec.starts_something:
            return execution
        return {
            **execution,
            "runtime": {"name": "yadage", "version": self._execution.version, "isolation": list(_ISOLATION)},
            "image": image.document() if image else None,
            "container_id": container,
            "argv": [],
            "stdin": None,
            "env": {},
            "cwd": None,
            "places": {str(source): place for source, place in self._execution.places.items()},
            "user": None,
            "limits": None,
            "exit_code": 0,
            "cpu": self._cpu,
        }


def _first_ready(waiting: deque[Step], trees: Mapping[StepId, str]) -> Step | None:
    """Takes out the first step whose inputs are all recorded."""
    for _ in range(len(waiting)):
        step = waiting.popleft()
        if all(source in trees for source in step.sources()):
            return step
        waiting.append(step)
    return None


def _demand_success(execution: Execution) -> None:
    """Upstream's failure as ours: the first step that failed, and the last lines of what it said."""
    if execution.succeeded:
        return
    failed = [outcome for outcome in execution.outcomes if outcome.state == "failed"]
    step = failed[0].step
    logs = sorted(Path(execution.places[step], "_packtivity").glob("*.run.log")) if step in execution.places else []
    said = "".join(f"\n| {line}" for log in logs for line in last_lines(log))
    hint = f"its last lines:{said}" if said else None
    raise StepFailed(f"the step {step} failed in upstream yadage: {failed[0].failure}", hint=hint, step=str(step))


def _demand_all(steps: list[Step], execution: Execution, waiting: list[str]) -> None:
    """A workflow in which something never ran has not succeeded, whatever upstream says."""
    if waiting:
        raise StepFailed(f"these stages never became ready: {', '.join(waiting)}", hint="look at their dependencies")
    if not steps_of(steps):
        raise StepFailed("the workflow made no step at all", hint="is a scattered list empty?")
    surplus = {node.id for node in execution.graph.nodes} - {INIT} - {step.id for step in steps}
    if surplus:
        raise StepFailed(
            f"upstream yadage made steps that recast-dm does not expect: {', '.join(map(str, sorted(surplus)))}",
            hint="where they differ on purpose is in the README; --backend local runs it as recast-dm does",
        )


def _as_text(value: Any, name: str = "the init parameters") -> Iterator[str]:
    """A warning for each init parameter that a shell would act on."""
    if isinstance(value, Mapping):
        for key_, item in value.items():
            yield from _as_text(item, f"the init parameter {key_}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _as_text(item, name)
    elif isinstance(value, str) and _ACTED_ON.search(value):
        yield f"{name} is {value!r}: upstream yadage substitutes it as text, and the shell of a command may act on it"


def _end_containers(work: Path) -> None:
    """Ends the containers that upstream left running: its `docker run` may be gone, they are not."""
    ids = [store.tail(path).decode("utf-8", "replace").strip() for path in work.rglob("_packtivity/*.cid")]
    if ids:
        docker = shutil.which("docker")
        if docker:
            subprocess.run([docker, "rm", "--force", *ids], capture_output=True, check=False)
