"""`doctor` of this machine: what it says of a runtime, it has seen in a container that it started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recast_dm.runtimes import Runtime
from recast_dm.runtimes.trying import tried

CLI = Path(sys.executable).with_name("recast-dm")


def doctor(**env: str) -> tuple[int, dict[str, dict]]:
    done = subprocess.run([CLI, "doctor", "--json"], capture_output=True, check=False, env={**os.environ, **env})
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)["machine"]}


@pytest.mark.parametrize("name", ["docker", "podman", "sandbox", "unshare"])
def test_a_container_that_does_nothing_starts_on_every_runtime(name: str, request: pytest.FixtureRequest) -> None:
    runtime: Runtime = request.getfixturevalue(name)
    seconds = tried(runtime)
    assert seconds is not None
    assert seconds > 0


def test_it_says_how_long_a_start_takes_and_what_it_isolates(docker: Runtime, tmp_path: Path) -> None:
    code, checks = doctor(RECAST_DM_CACHE_DIR=str(tmp_path))
    assert code == 0
    assert checks["runtime docker"]["runtime"]["seconds"] > 0
    assert "no network" in checks["runtime docker"]["runtime"]["isolation"]
    assert checks["runtime docker"]["runtime"]["version"] == docker.about().version


def test_without_docker_the_sandbox_is_enough(sandbox: Runtime, tmp_path: Path) -> None:
    assert sandbox.about().name == "sandbox"
    code, checks = doctor(RECAST_DM_CACHE_DIR=str(tmp_path), DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert code == 0
    assert not checks["runtime docker"]["works"]
    assert "apt-get install -y docker.io" in checks["runtime docker"]["hint"]
    assert checks["runtime sandbox"]["works"]


def test_where_nothing_works_each_says_what_mends_it(tmp_path: Path) -> None:
    code, checks = doctor(PATH=str(tmp_path), RECAST_DM_CACHE_DIR=str(tmp_path), DOCKER_HOST=f"unix://{tmp_path}/none")
    assert code == 4
    runtimes = {name: each for name, each in checks.items() if name.startswith("runtime ")}
    assert {"runtime docker", "runtime podman", "runtime sandbox"} <= {*runtimes}
    assert all(each["hint"] and not each["works"] for each in runtimes.values())
