"""What is finished stays finished: Ctrl-C, kill -9, a dying engine. Real containers, the toy analysis made slow."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker as sdk
import pytest
from preserving import capture

from recast_dm import schemas
from recast_dm.images.sources import FromEngine
from recast_dm.model import Image
from recast_dm.runtimes.docker import RUN_LABEL, Docker

pytestmark = pytest.mark.usefixtures("docker")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def slow_capsule(tmp_path: Path, toy_image: Image, kept_images: Path) -> Path:
    """The toy analysis with a limit stage that first sleeps."""
    place = tmp_path / "slow"
    shutil.copytree(ROOT / "tests/analyses/toy", place)
    steps = place / "steps.yml"
    steps.write_text(steps.read_text().replace('echo "setting a limit"', "echo sleeping; sleep ${{SLOW:-4}}"))
    return capture(place, tmp_path / "slow.capsule", FromEngine("docker"), kept_images).path


class Runner:
    """`recast-dm run` as a process of its own."""

    def __init__(self, target: Path, workdir: Path, cache: Path, **environment: str) -> None:
        self.workdir = workdir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recast_dm", "run", str(target), "--workdir", str(workdir), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RECAST_DM_CACHE_DIR": str(cache), **environment},
        )

    def until(self, text: str, seconds: float = 30) -> None:
        """Waits until the progress says this."""
        assert self.process.stderr is not None
        end = time.monotonic() + seconds
        seen = ""
        while time.monotonic() < end:
            line = self.process.stderr.readline()
            seen += line
            if text in line:
                return
            if not line:
                break
        pytest.fail(f"{text!r} was never said; but:\n{seen}")

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def containers(docker: Docker, workdir: Path) -> int:
    """How many containers there are of the run in a directory."""
    run = json.loads((workdir / "run.json").read_text())["id"]
    return len(docker._engine().containers.list(all=True, filters={"label": f"{RUN_LABEL}={run}"}))


def started(workdir: Path) -> dict[str, str]:
    """When each step's container was started, from the records."""
    records = (json.loads(path.read_text()) for path in (workdir / ".records").rglob("*.json"))
    return {record["step"]: record["execution"]["container_id"] for record in records}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_leaves_no_container_and_goes_on(
    slow_capsule: Path, tmp_path: Path, docker: Docker, number: int, code: int
) -> None:
    runner = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache")
    runner.until("running   limit/0")
    time.sleep(1)
    runner.process.send_signal(number)
    ended, out, err = runner.finish()
    assert ended == code, err
    assert schemas.problem("error-1", json.loads(out)) is None
    assert "Traceback" not in err
    assert containers(docker, tmp_path / "run") == 0
    before = started(tmp_path / "run")
    assert set(before) == {"count/0", "count/1"}
    again, out, _ = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache").finish()
    assert again == 0
    after = started(tmp_path / "run")
    assert {step: after[step] for step in before} == before, "a finished step ran again"
    assert json.loads(out)["schema"] == "recast-dm/limit/1"


def test_a_killed_run_goes_on_and_its_container_is_removed(slow_capsule: Path, tmp_path: Path, docker: Docker) -> None:
    runner = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache")
    runner.until("running   limit/0")
    time.sleep(1)
    runner.process.kill()
    runner.finish()
    assert containers(docker, tmp_path / "run") == 1, "kill -9 gives nobody the time to clean up"
    before = started(tmp_path / "run")
    again, _, err = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache").finish()
    assert again == 0, err
    assert containers(docker, tmp_path / "run") == 0
    after = started(tmp_path / "run")
    assert {step: after[step] for step in before} == before
    assert "kept      count/0" in err


def test_a_second_runner_is_told_to_wait(slow_capsule: Path, tmp_path: Path) -> None:
    first = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache")
    first.until("running   limit/0")
    code, out, _ = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache").finish()
    assert code == 8
    assert json.loads(out)["kind"] == "locked"
    assert first.finish()[0] == 0


@pytest.fixture
def second_engine(
    bare_engine: tuple[str, subprocess.Popen[bytes]], toy_image: Image
) -> tuple[str, subprocess.Popen[bytes]]:
    """A docker engine of our own with the toy image."""
    saved = subprocess.Popen(["docker", "save", toy_image.reference], stdout=subprocess.PIPE)
    subprocess.run(["docker", "--host", bare_engine[0], "load"], stdin=saved.stdout, check=True, capture_output=True)
    assert saved.stdout is not None
    saved.stdout.close()
    assert saved.wait() == 0
    return bare_engine


def test_an_engine_that_dies_halfway_is_said_and_finished_steps_are_kept(
    second_engine: tuple[str, subprocess.Popen], slow_capsule: Path, tmp_path: Path
) -> None:
    socket, engine = second_engine
    runner = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache", DOCKER_HOST=socket)
    runner.until("running   limit/0")
    time.sleep(1)
    client = sdk.DockerClient(base_url=socket)
    assert len(client.containers.list()) == 1
    client.close()
    engine.terminate()
    engine.wait(60)
    code, out, err = runner.finish()
    assert code == 4, err
    assert "Traceback" not in err
    document = json.loads(out)
    assert document["kind"] == "tool-missing"
    assert set(started(tmp_path / "run")) == {"count/0", "count/1"}
    again, _, err = Runner(slow_capsule, tmp_path / "run", tmp_path / "cache").finish()
    assert again == 0, err
    assert "kept      count/0" in err


def test_no_engine_is_one_clear_message(toy_capsule: Path, tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/nobody.sock"
    env = {"DOCKER_HOST": socket, "RECAST_DM_RUNTIME": "docker"}  # else another one is taken
    code, out, err = Runner(toy_capsule, tmp_path / "run", tmp_path / "cache", **env).finish()
    assert code == 4
    assert json.loads(out)["kind"] == "tool-missing"
    assert "docker.io" in err
    assert "Traceback" not in err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 256 kB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if os.getuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("a small disk needs root and mount")
        pytest.skip("not run: a small disk needs root and mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_said_and_the_run_goes_on_with_more_space(
    small_disk: Path, tmp_path: Path, toy_image: Image, kept_images: Path
) -> None:
    place = tmp_path / "large"
    shutil.copytree(ROOT / "tests/analyses/toy", place)
    steps = place / "steps.yml"
    steps.write_text(steps.read_text().replace('echo "setting a limit"', "head -c 500000 /dev/zero > /workdir/zeros"))
    target = capture(place, tmp_path / "large.capsule", FromEngine("docker"), kept_images).path
    code, out, err = Runner(target, small_disk / "run", tmp_path / "cache").finish()
    assert code == 9, err
    assert "space" in json.loads(out)["message"]
    assert set(started(small_disk / "run")) == {"count/0", "count/1"}
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again, _, err = Runner(target, small_disk / "run", tmp_path / "cache").finish()
    assert again == 0, err
    assert "kept      count/0" in err
