"""The long-lived driver: what it says of a run, and what it survives."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml

from recast_dm.backends.yadage import Upstream
from recast_dm.errors import SpecError, StepFailed, ToolMissing
from recast_dm.model import INIT, Dir, StepId
from recast_dm.model import Path as StepPath

GEN, USE = StepId("gen"), StepId("use")
HOST = {"environment_type": "localproc-env"}
CONSTANT = {"publisher_type": "constant-pub", "publish": {"done": 1}}


def stage(name, cmd, parameters, publisher, after=("init",)):
    """A stage with one command of this machine."""
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": cmd},
        "environment": HOST,
        "publisher": publisher,
    }
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": parameters, "step": step}
    return {"name": name, "dependencies": list(after), "scheduler": scheduler}


@pytest.fixture
def execute(tmp_path, upstream):
    """Executes stages in a directory of their own."""
    spec = tmp_path / "spec" / "workflow.yml"
    spec.parent.mkdir()

    def run(*stages, upstream=upstream, **more):
        spec.write_text(yaml.safe_dump({"stages": list(stages)}))
        return upstream.execute(spec, {"x": "alpha"}, workdir=tmp_path / "work", **more)

    return run


def test_an_execution_says_what_every_step_left(execute, tmp_path):
    out = {"publisher_type": "interpolated-pub", "publish": {"out": "{workdir}/d/out"}}
    execution = execute(
        stage("gen", "mkdir d; echo {x} > d/out; ln -s out d/link", {"x": {"step": "init", "output": "x"}}, out),
        stage("use", "cat {y} {y} > twice", {"y": {"step": "gen", "output": "out"}}, CONSTANT, ["gen"]),
    )
    assert execution.succeeded
    assert [(str(o.step), o.state) for o in execution.outcomes] == [
        ("init/0", "succeeded"),
        ("gen/0", "succeeded"),
        ("use/0", "succeeded"),
    ]
    assert execution.outcome(GEN).published == {"out": StepPath((Dir(GEN), "/d/out"))}
    assert [(file.path, file.size) for file in execution.outcome(GEN).files] == [("d/out", 6)]
    assert [(file.path, file.size) for file in execution.outcome(USE).files] == [("twice", 12)]
    assert execution.places[GEN] == str(tmp_path / "work" / "gen")
    assert execution.places[INIT] == str(tmp_path / "work" / "init")


def test_what_is_known_before_a_run_stays_told_apart(execute):
    wild = {"publisher_type": "fromglob-pub", "globexpression": "*", "outputkey": "files"}
    execution = execute(stage("gen", "touch b a", {}, wild), stage("use", "true", {}, CONSTANT))
    assert [node.prepublished for node in execution.graph.nodes] == [True, False, True]
    published = execution.outcome(GEN).published
    assert published == {"files": tuple(StepPath((Dir(GEN), f"/{name}")) for name in ("_packtivity", "a", "b"))}


def test_a_step_that_fails_is_an_outcome(execute):
    wild = {"publisher_type": "fromglob-pub", "globexpression": "*", "outputkey": "files"}
    execution = execute(
        stage("gen", "echo begun > out; exit 3", {}, wild),
        stage("use", "true", {"y": {"step": "gen", "output": "files"}}, CONSTANT, ["gen"]),
        stage("other", "true", {}, CONSTANT),
    )
    assert not execution.succeeded
    failed = execution.outcome(GEN)
    assert (failed.state, failed.failure, failed.published) == ("failed", "RuntimeError: failed", None)
    assert [file.path for file in failed.files] == ["out"]
    assert execution.graph.unapplied == ("use",)


def test_a_step_after_one_that_failed_never_runs(execute):
    known = {"publisher_type": "constant-pub", "publish": {"a": 1}}
    execution = execute(
        stage("gen", "false", {}, known),
        stage("use", "true", {"y": {"step": "gen", "output": "a"}}, CONSTANT, ["gen"]),
    )
    assert execution.outcome(USE).state == "never run"


def test_a_step_that_publishes_without_a_process_and_fails_says_so(execute):
    nothing = stage("gen", "", {}, {"publisher_type": "constant-pub", "publish": {}})
    nothing["scheduler"]["step"] |= {"process": None, "environment": None}
    assert execute(nothing).outcome(GEN).failure == "what it published is empty"


@pytest.mark.parametrize("value", ["2024-01-01", "!!set {a, b}", "!!binary aGk="])
def test_values_that_json_cannot_hold_fail_their_step(value, execute):
    told = {"publisher_type": "fromyaml-pub", "yamlfile": "out.yml"}
    value = value.replace("{", "{{").replace("}", "}}")
    execution = execute(stage("gen", f"echo 'value: {value}' > out.yml", {}, told))
    assert execution.outcome(GEN).state == "failed"
    assert execution.outcome(GEN).failure


def test_a_loop_that_cannot_go_on_is_one_error(execute):
    missing = stage("use", "true", {"y": {"step": "gen", "output": "nobody"}}, CONSTANT, ["gen"])
    with pytest.raises(StepFailed, match="no matches found") as caught:
        execute(stage("gen", "true", {}, CONSTANT), missing)
    assert "expression_handlers.py" in str(caught.value)


def test_commands_get_neither_our_requests_nor_our_environment(execute, monkeypatch, tmp_path):
    monkeypatch.setenv("RECAST_DM_SECRET", "x")
    execute(stage("gen", "cat > in; env > env; echo said; echo {{}} >&2", {}, CONSTANT))
    gen = tmp_path / "work" / "gen"
    assert (gen / "in").read_text() == ""
    assert "RECAST_DM_SECRET" not in (gen / "env").read_text()


def test_a_run_that_takes_too_long_is_ended_with_its_commands_and_the_next_one_goes_well(
    execute, tmp_path, upstream_python
):
    with Upstream(upstream_python) as upstream:
        with pytest.raises(SpecError, match="did not finish executing"):
            execute(stage("gen", "echo $$ > pid; exec sleep 1000", {}, CONSTANT), upstream=upstream, timeout=3)
        pid = int((tmp_path / "work" / "gen" / "pid").read_text())
        assert gone(pid)
        assert execute(stage("use", "true", {}, CONSTANT), upstream=upstream).succeeded


def gone(pid: int) -> bool:
    """Whether a process has ended, or does within a moment; one that nobody waits for counts as ended."""
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_a_driver_that_dies_is_a_missing_tool_with_its_last_words(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no yadage here >&2\nexit 7\n")
    python.chmod(0o755)
    with Upstream(python) as upstream, pytest.raises(ToolMissing, match="exit code") as caught:
        upstream.expand(tmp_path / "workflow.yml", {})
    assert "no yadage here" in str(caught.value)


def test_an_environment_without_yadage_is_a_missing_tool(tmp_path):
    with Upstream(Path("/usr/bin/python3")) as upstream, pytest.raises(ToolMissing, match="does not start"):
        upstream.expand(tmp_path / "workflow.yml", {})


def test_nothing_is_left_when_it_is_closed(upstream_python, execute, tmp_path):
    with Upstream(upstream_python) as upstream:
        execute(stage("gen", "echo $PPID > pid", {}, CONSTANT), upstream=upstream)
        worker = int((tmp_path / "work" / "gen" / "pid").read_text())
    assert gone(worker)
    assert os.getpid() != worker
