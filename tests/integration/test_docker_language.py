"""What yadage says about containers, in real ones: environment, mounts, limits, and every way that a step can end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recast_dm import spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.errors import StepFailed
from recast_dm.model import Image, Policy, StepId
from recast_dm.runtimes.docker import RUN_LABEL, Docker
from recast_dm.spec import text

Run = Callable[..., Finished]


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def run(docker: Docker, toy_image: Image, tmp_path: Path, told: Told) -> Run:
    def start(
        process: dict[str, Any], parameters: dict[str, Any], policy: Policy | None = None, **more: Any
    ) -> Finished:
        environment = {"environment_type": "docker-encapsulated", "image": "recast-dm/toy", "imagetag": "1.0", **more}
        publisher = {"publisher_type": "interpolated-pub", "publish": {"out": "{workdir}/out"}}
        scheduler = {
            "scheduler_type": "singlestep-stage",
            "parameters": {"out": "{workdir}/out", **parameters},
            "step": {"process": process, "environment": environment, "publisher": publisher},
        }
        document = {"stages": [{"name": "one", "dependencies": ["init"], "scheduler": scheduler}]}
        backend = Local(runtime=docker, jobs=1, cache=None, policy=policy or Policy())
        workflow = spec.parse_workflow(text.parse(yaml.safe_dump(document), "workflow.yml"))
        return backend.execute(Work(workflow=workflow, initdata={}), directory=tmp_path / "run", observer=told)

    return start


def command(words: str) -> dict[str, Any]:
    return {"process_type": "string-interpolated-cmd", "cmd": words}


def script(interpreter: str, words: str) -> dict[str, Any]:
    return {"process_type": "interpolated-script-cmd", "interpreter": interpreter, "script": words}


def out(finished: Finished) -> str:
    return (finished.directory / "one/0/out").read_text()


def test_variables_are_set_literally(run: Run) -> None:
    finished = run(
        command('printf "%s|%s" "$GREETING" "$LEVEL" > {out}'), {}, env={"GREETING": "$(id) `id` 'a b'", "LEVEL": 0.95}
    )
    assert out(finished) == "$(id) `id` 'a b'|0.95"


def test_a_command_can_write_where_it_starts_and_nothing_of_it_is_kept(run: Run) -> None:
    finished = run(command("echo made here > note.txt; mkdir deep; cat note.txt > {out}"), {})
    assert out(finished) == "made here\n"
    assert [file.path for file in finished.record(StepId("one")).tree.files] == ["out"]
    assert not list((finished.directory / ".attempts").rglob("scratch"))


def test_and_finds_there_what_lies_in_the_directory_of_the_image_or_the_environment(run: Run) -> None:
    words = ". ./setup.sh; python3 -c 'import hello'; ls > list; grep -c hello.py list > {out}; echo $TUNE >> {out}"
    assert out(run(command(words), {}, workdir="/opt/toy/code")) == "1\nA14\n"


def test_the_work_directory_can_be_the_place_to_start(run: Run) -> None:
    assert out(run(command("pwd > {out}; echo kept > more"), {}, workdir="{workdir}")) == "/workdir\n"


def test_an_envscript_is_read_first(run: Run) -> None:
    assert out(run(command("echo $TUNE > {out}"), {}, envscript="/opt/toy/code/setup.sh")) == "A14\n"


def test_and_before_a_script_too(run: Run) -> None:
    words = "import os\nopen('{out}', 'w').write(os.environ['TUNE'])"
    assert out(run(script("python3 -", words), {}, envscript="/opt/toy/code/setup.sh")) == "A14"


def test_an_envscript_that_is_not_there_fails_the_step(run: Run) -> None:
    with pytest.raises(StepFailed, match="exit code"):
        run(command("touch {out}"), {}, envscript="/no/such/setup.sh")


def test_mounted_files_hold_what_jq_makes_of_the_parameters(run: Run) -> None:
    mounts = [{"jqscript": "{mass, cuts: [.cuts[] * 2], out}", "mountpath": "/cards/run card.json"}]
    parameters = {"mass": 500, "cuts": [1, 2.5]}
    finished = run(command("cat '/cards/run card.json' > {out}"), parameters, par_mounts=mounts)
    assert yaml.safe_load(out(finished)) == {"mass": 500, "cuts": [2, 5], "out": "/workdir/out"}
    assert [file.path for file in finished.record(StepId("one")).tree.files] == ["out"]


def test_mounted_files_cannot_be_changed(run: Run) -> None:
    mounts = [{"jqscript": ".", "mountpath": "/card"}]
    with pytest.raises(StepFailed, match="exit code"):
        run(command("echo x >> /card && touch {out}"), {}, par_mounts=mounts)


@pytest.mark.parametrize(
    ("interpreter", "words"),
    [
        ("python3", "import sys\nopen('{out}', 'w').write(str({mass} * 2))"),
        ("python3 -", "open('{out}', 'w').write(str({mass} + 500))"),
        ("bash", "set -o pipefail\ncat <<EOF | tr -d ' ' > {out}\n $(( 500 + 500 ))\nEOF\ntruncate -s 4 {out}"),
    ],
)
def test_scripts_in_any_language(run: Run, interpreter: str, words: str) -> None:
    assert out(run(script(interpreter, words), {"mass": 500})).strip() == "1000"


def test_memory_is_limited_as_the_resources_say(run: Run, told: Told) -> None:
    hungry = "python3 -c 'b = bytearray(200 * 1024 * 1024)' && touch {out}"
    with pytest.raises(StepFailed, match="out of memory") as caught:
        run(command(hungry), {}, Policy(retries=1), resources=[{"kubernetes_memory_limit": "64Mi"}])
    assert caught.value.reason == "out of memory"
    assert [event.reason for event in told.events if isinstance(event, events.StepRetried)] == ["out of memory"]


def test_enough_memory_is_enough(run: Run) -> None:
    modest = "python3 -c 'b = bytearray(20 * 1024 * 1024)' && touch {out}"
    finished = run(command(modest), {}, resources=[{"kubernetes_memory_limit": "512Mi"}, "CVMFS"])
    assert finished.record(StepId("one")).execution["limits"]["memory"] == 512 * 1024**2


def test_a_resource_that_is_not_here_is_said(run: Run, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X509_USER_PROXY", "/no/such/proxy")
    run(command("touch {out}"), {}, resources=["CVMFS", {"voms_proxy": True}])
    warnings = [event.message for event in told.events if isinstance(event, events.Warned)]
    assert warnings == [
        "one/0 asks for /cvmfs, which is not on this machine",
        "one/0 asks for a VOMS proxy, and you have none: `voms-proxy-init --voms EXPERIMENT` gets one",
    ]


def test_a_step_that_takes_too_long_is_ended_and_leaves_no_container(run: Run, docker: Docker, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="timeout: it took more than 1 s") as caught:
        run(command("sleep 60; touch {out}"), {}, Policy(timeout=1.0))
    assert caught.value.reason == "timeout"
    run_id = json.loads((tmp_path / "run/run.json").read_text())["id"]
    assert docker._engine().containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}) == []


def test_a_killed_step_says_so(run: Run) -> None:
    with pytest.raises(StepFailed) as caught:
        run(command("kill -9 $$; touch {out}"), {})
    assert caught.value.reason == "killed"


def test_the_second_try_can_succeed(run: Run, tmp_path: Path, told: Told) -> None:
    """Nothing of the first try is seen by the second, so luck is read off the clock's last digit."""
    lucky = "test $(( $(date +%N | tail -c 2) % 2 )) = 0 && touch {out}"
    finished = run(command(lucky), {}, Policy(retries=50))
    failed = finished.record(StepId("one")).execution.get("failed_attempts", [])
    assert [each["reason"] for each in failed] == ["exit code 1"] * len(failed)
    assert len([e for e in told.events if isinstance(e, events.StepRetried)]) == len(failed)


def test_an_image_cannot_be_written_to_and_the_hint_says_where_one_can(run: Run) -> None:
    with pytest.raises(StepFailed) as caught:
        run(command("touch /opt/toy/x && touch {out}"), {})
    assert "write below {workdir}" in str(caught.value.hint)
