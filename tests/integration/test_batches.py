"""Batches in real containers: the same bytes as single starts give, and what becomes of a batch that is killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from recast_dm import schemas, spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.errors import StepFailed
from recast_dm.model import Policy
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.docker import RUN_LABEL, Docker
from recast_dm.spec import text
from tests.batching import Seen, records, run, stage


@pytest.mark.usefixtures("toy_image")
def test_a_batch_gives_what_single_starts_give(here: Runtime, tmp_path: Path) -> None:
    numbers = [20, 21, 22, 23]
    together, alone = Seen(), Seen()
    found = run(here, tmp_path / "together", numbers, together)
    expected = run(here, tmp_path / "alone", numbers, alone, together=False)
    assert together.starts == 1 + 3 * 2
    assert alone.starts == 1 + 3 * 4
    assert [(r.step, r.key, r.tree, r.published) for r in found.records] == [
        (r.step, r.key, r.tree, r.published) for r in expected.records
    ]
    assert (tmp_path / "together/point/3/third/0/sum.txt").read_text() == "224\n"
    for step, record in records(tmp_path / "together").items():
        single = records(tmp_path / "alone")[step]["execution"]
        assert schemas.problem("step-1", record) is None
        how = record["execution"]
        assert [how[part] for part in ("argv", "places", "cwd", "user", "limits", "image")] == [
            single[part] for part in ("argv", "places", "cwd", "user", "limits", "image")
        ]
        if "base" not in step:
            assert how["batch"] == {"size": 2, "container_id": how["container_id"]}
    assert (tmp_path / "together/.attempts/point.3.second.0.1/log").read_text().startswith("adding /batch/")
    again = Seen()
    run(here, tmp_path / "together", numbers, again)
    assert set(again.how.values()) == {"kept"}


@pytest.mark.usefixtures("toy_image")
def test_a_step_fails_alone_and_a_killed_batch_is_done_in_single_starts(here: Runtime, tmp_path: Path) -> None:
    seen = Seen()
    with pytest.raises(StepFailed) as caught:
        run(here, tmp_path / "refused", [20, 7, 22, 23], seen)
    assert (caught.value.step, caught.value.status) == ("point/1/first/0", 7)
    assert "7 is too much" in str(caught.value.hint)
    assert {"point/0/first/0", "point/2/first/0", "point/3/first/0"} <= set(records(tmp_path / "refused"))

    killed = Seen()
    with pytest.raises(StepFailed, match="killed") as caught:
        run(here, tmp_path / "killed", [1, 2, 3, 4], killed, words="{n} die")
    assert [warning.split(" (")[0] for warning in killed.warnings] == ["point/first: a batch did 0 of 2 steps"] * 2
    assert not list((tmp_path / "killed/.attempts").glob(".batch*"))


@pytest.mark.usefixtures("toy_image")
def test_a_batch_that_takes_too_long_is_ended(here: Runtime, tmp_path: Path) -> None:
    seen = Seen()
    with pytest.raises(StepFailed, match="timeout"):
        run(here, tmp_path / "run", [1, 2], seen, words="{n} nap", timeout=0.05)


@pytest.mark.usefixtures("toy_image")
def test_a_program_that_knows_no_batches_is_started_for_each_step(here: Runtime, tmp_path: Path) -> None:
    said = yaml.safe_dump({"stages": [stage("hello", "{n}", n=["a", "b", "c"])]})
    said = said.replace("adding.py", "hello.py").replace("--out ", "").replace("singlestep", "multistep")
    document = yaml.safe_load(said)
    document["stages"][0]["scheduler"]["scatter"] = {"method": "zip", "parameters": ["n"]}
    work = Work(
        workflow=spec.parse_workflow(text.parse(yaml.safe_dump(document), "workflow.yml")),
        initdata={},
        policies={"hello": Policy(batch=("python3", "/opt/toy/code/hello.py"))},
    )
    seen = Seen()
    Local(runtime=here, jobs=1, cache=None).execute(work, directory=tmp_path / "run", observer=seen)
    assert seen.how == {f"hello/{n}": "ran" for n in range(3)}
    assert len(seen.warnings) == 1
    assert seen.warnings[0].startswith("hello: a batch did 0 of 3 steps (exit code 1: ")
    assert (tmp_path / "run/hello/1/sum.txt").read_text() == "b"


_RUNNER = """
import sys
from pathlib import Path
from recast_dm.engine import together
from tests.batching import Docker, Seen, run
together.EVERY = float(sys.argv[2])
run(Docker(), Path(sys.argv[1]), [1, 2, 3, 4, 5, 6], Seen(), words="{n} nap")
"""


def _runner(directory: Path, every: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _RUNNER, str(directory), str(every)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _containers(directory: Path) -> list[Any]:
    run_id = json.loads((directory / "run.json").read_bytes())["id"]
    return Docker()._engine().containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})


@pytest.mark.usefixtures("docker", "toy_image")
@pytest.mark.parametrize(
    ("how", "every"),
    [(signal.SIGKILL, 60.0), (signal.SIGKILL, 0.0), (signal.SIGINT, 60.0)],
    ids=["killed", "killed later", "interrupted"],
)
def test_a_runner_that_ends_in_the_middle_of_a_batch(tmp_path: Path, how: signal.Signals, every: float) -> None:
    """No finished step is lost, nothing is left, and the same command goes on. An interrupt keeps what had ended.

    What ended longer ago than `every` seconds is finished also where the runner is killed.
    """
    directory = tmp_path / "run"
    runner = _runner(directory, every)
    deadline = time.monotonic() + 60
    wanted = ".attempts/.batch.*.tmp/work/0.status" if every else ".records/point/*/first/0.json"
    while not list(directory.glob(wanted)):
        assert runner.poll() is None, runner.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    runner.send_signal(how)
    runner.communicate(timeout=60)
    before = records(directory)
    assert "point/0/base/0" in before
    firsts = [name for name in before if "first" in name]
    assert bool(firsts) == (how == signal.SIGINT or not every)
    seen = Seen()
    run(Docker(), directory, [1, 2, 3, 4, 5, 6], seen, words="{n} nap")
    assert all(seen.how[step] == "kept" for step in before)
    assert all(records(directory)[step] == record for step, record in before.items())
    assert len(records(directory)) == 24
    assert not _containers(directory)
    assert not list(directory.glob(".attempts/.batch*"))
    shutil.rmtree(directory)
