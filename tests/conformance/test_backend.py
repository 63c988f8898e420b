"""`--backend yadage`: upstream's run becomes a run directory of ours, with the records that our engine would write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from recast_dm import schemas, spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.backends.yadage.backend import Yadage
from recast_dm.engine import events
from recast_dm.errors import IntegrityError, StepFailed, ToolMissing, UsageError
from recast_dm.model import Image, Policy, StepId
from recast_dm.runtimes.fake import FakeRuntime
from tests.conformance import corpus
from tests.conformance.corpus import SPECS
from tests.conformance.generate import workflow_of

HOST = {"environment_type": "localproc-env"}


@pytest.fixture
def run(tmp_path, upstream_python):
    """Runs a workflow file on one of the backends; remembers events."""
    seen: list[events.Event] = []

    def on(backend, workflow, initdata, initdir=None, name="run", **more):
        work = Work(workflow=spec.load(workflow), initdata=initdata, initdir=initdir, **more)
        return backend.execute(work, directory=tmp_path / name, observer=seen.append)

    on.seen = seen
    on.yadage = Yadage(python=upstream_python, runtime=None, jobs=2, allow_host=True)
    on.local = Local(runtime=None, jobs=2, cache=None, allow_host=True)
    return on


def one_stage(tmp_path, cmd, parameters=None, publish=None) -> Path:
    """A workflow of one command of this machine."""
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": cmd},
        "environment": HOST,
        "publisher": {"publisher_type": "interpolated-pub", "publish": publish or {"done": 1}},
    }
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": parameters or {}, "step": step}
    path = tmp_path / "workflow.yml"
    path.write_text(yaml.safe_dump({"stages": [{"name": "fit", "dependencies": ["init"], "scheduler": scheduler}]}))
    return path


def records(directory: Path) -> dict[str, dict]:
    """The parts of every record that do not depend on who executed it."""
    said = {}
    for path in sorted((directory / ".records").rglob("*.json")):
        document = json.loads(path.read_text())
        assert schemas.problem("step-1", document) is None
        outputs = [{**file, "mtime_ns": 0} for file in document["outputs"]]
        shared = ("step", "key", "published", "tree", "depends_on", "key_parts")
        said[document["step"]] = {**{name: document[name] for name in shared}, "outputs": outputs}
    return said


def executed_seeds(number: int) -> list[int]:
    """Seeds of workflows that run real commands and succeed."""
    many = ((seed, workflow_of(seed)) for seed in range(1000))
    tame = (seed for seed, made in many if made.execute and not any("spoilt" in word for word in made.features))
    return [next(tame) for _ in range(number)]


@pytest.mark.parametrize("seed", executed_seeds(12))
def test_both_backends_leave_the_same_run(seed, run, tmp_path):
    made = workflow_of(seed)
    directory = made.write(tmp_path / "spec")
    workflow, initdir = directory / "workflow.yml", directory / "data"
    theirs = run(run.yadage, workflow, made.initdata, initdir, name="yadage")
    ours = run(run.local, workflow, made.initdata, initdir, name="local")
    assert records(tmp_path / "yadage") == records(tmp_path / "local")
    assert {record.step for record in theirs.records} == {record.step for record in ours.records}
    assert {step.id for step in theirs.steps} == {step.id for step in ours.steps}
    for record in theirs.records:
        place = theirs.directory / str(record.step)
        assert all((place / file.path).stat().st_size == file.size for file in record.tree.files)
        assert not (place / "_packtivity").exists()


def test_what_happens_is_told(run, tmp_path):
    run(run.yadage, one_stage(tmp_path, "true"), {"x": 1})
    kinds = [type(event).__name__ for event in run.seen]
    assert kinds == ["RunStarted", "StepsPlanned", "StepFinished", "RunFinished"]


def test_running_again_begins_again(run, tmp_path):
    workflow = one_stage(tmp_path, "echo {x} > out", {"x": {"step": "init", "output": "x"}})
    first = run(run.yadage, workflow, {"x": 1})
    second = run(run.yadage, workflow, {"x": 1})
    assert first.record(StepId("fit")).key == second.record(StepId("fit")).key


def test_the_init_files_are_safe_from_upstream(run, tmp_path):
    (tmp_path / "data").mkdir()
    card = tmp_path / "data" / "card.dat"
    card.write_text("card\n")
    workflow = one_stage(tmp_path, "cat {f} > out; echo spoilt > {f}", {"f": {"step": "init", "output": "f"}})
    finished = run(run.yadage, workflow, {"f": "card.dat"}, tmp_path / "data")
    assert card.read_text() == "card\n"
    assert (finished.directory / "fit/0/out").read_text() == "card\n"


def test_a_step_that_fails_says_so(run, tmp_path):
    with pytest.raises(StepFailed, match="the step fit/0 failed in upstream yadage: RuntimeError: failed"):
        run(run.yadage, one_stage(tmp_path, "exit 3"), {"x": 1})


def test_a_declared_output_that_is_missing_is_a_failure(run, tmp_path):
    with pytest.raises(StepFailed, match="did not write its declared output"):
        run(run.yadage, one_stage(tmp_path, "true", publish={"out": "{workdir}/out"}), {"x": 1})


def test_a_link_is_no_output(run, tmp_path):
    with pytest.raises(StepFailed, match="link or a special file"):
        run(run.yadage, one_stage(tmp_path, "ln -s /etc/hostname out"), {"x": 1})


def test_a_stage_that_never_became_ready_is_a_failure(run):
    case = corpus.read(SPECS / "no-steps")
    with pytest.raises((StepFailed, ToolMissing)):
        run(run.yadage, case.workflow, case.initdata)


def test_another_step_than_ours_is_refused(run):
    case = next(case for case in corpus.cases() if case.deviation == "early-scope-selection")
    with pytest.raises(StepFailed, match="do not agree about the step"):
        run(run.yadage, case.workflow, case.initdata, case.initdir)


def test_processes_of_this_machine_want_permission(run, tmp_path, upstream_python):
    closed = Yadage(python=upstream_python, runtime=None, jobs=1)
    with pytest.raises(UsageError, match="localproc-env"):
        run(closed, one_stage(tmp_path, "true"), {"x": 1})


def test_values_that_a_shell_acts_on_are_warned_about(run, tmp_path):
    policies = {"fit": Policy(retries=1)}
    run(run.yadage, one_stage(tmp_path, "true"), {"x": "a; id", "y": ["b c"]}, policies=policies)
    warned = [event.message for event in run.seen if isinstance(event, events.Warned)]
    assert [word in message for word, message in zip(("retries", "x is", "y is"), warned, strict=True)] == [True] * 3


def test_an_image_of_another_content_is_refused(run, upstream_python):
    case = corpus.read(SPECS / "singlestep")
    workflow = spec.load(case.workflow)
    runtime = FakeRuntime({reference: lambda _: 0 for reference in workflow.images()})
    backend = Yadage(python=upstream_python, runtime=runtime, jobs=1)
    pinned = {
        name: Image(reference=name, image_id="sha256:00", diff_ids=("sha256:other",), platform="linux/amd64")
        for name in workflow.images()
    }
    with pytest.raises(IntegrityError, match="its layers differ"):
        run(backend, case.workflow, case.initdata, pinned=pinned)
    with pytest.raises(ToolMissing, match="no runtime was chosen"):
        run(run.yadage, case.workflow, case.initdata)


def test_an_image_of_other_settings_is_refused(run, upstream_python):
    """The layers are the captured ones, but the image sets other variables."""
    case = corpus.read(SPECS / "singlestep")
    references = spec.load(case.workflow).images()
    runtime = FakeRuntime(dict.fromkeys(references, lambda _: 0))
    pinned = {name: replace(runtime.image(name), config={"env": {"SEED": "1"}}) for name in references}
    with pytest.raises(IntegrityError, match="its settings"):
        run(Yadage(python=upstream_python, runtime=runtime, jobs=1), case.workflow, case.initdata, pinned=pinned)


@pytest.mark.container
def test_a_workflow_in_containers(run, tmp_path, upstream_python, docker):
    """Both run the same image; the keys are the same, so the work is."""
    case = corpus.read(SPECS / "docker-mounts")
    yadage = Yadage(python=upstream_python, runtime=docker, jobs=2)
    local = Local(runtime=docker, jobs=2, cache=None)
    run(yadage, case.workflow, case.initdata, case.initdir, name="yadage")
    run(local, case.workflow, case.initdata, case.initdir, name="local")
    assert records(tmp_path / "yadage") == records(tmp_path / "local")
