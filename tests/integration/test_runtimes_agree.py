"""One analysis on docker, podman and in the sandbox: equal keys, equal bytes, and one goes on where another was."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from recast_dm import store
from recast_dm.runtimes import Runtime

ROOT = Path(__file__).parents[2]


def run(place: Path, analysis: str, runtime: str, directory: str, *words: str) -> Path:
    argv = [str(Path(sys.executable).with_name("recast-dm")), "run", str(ROOT / analysis), "--runtime", runtime]
    env = {**os.environ, "RECAST_DM_CACHE_DIR": str(place / "cache")}
    target = place / directory
    subprocess.run([*argv, "--workdir", str(target), *words], env=env, check=True, capture_output=True)
    return target


def records(directory: Path) -> dict[str, dict]:
    places = (directory / ".records").rglob("*.json")
    return {str(each.relative_to(directory)): json.loads(each.read_bytes()) for each in places}


def outputs(directory: Path) -> dict[str, str]:
    steps = [directory / Path(name).relative_to(".records").with_suffix("") for name in records(directory)]
    files = [path for step in steps for path in step.rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): store.sha256_file(path) for path in files}


TOY = "tests/analyses/toy"


@pytest.fixture(autouse=True)
def here(docker: Runtime, podman: Runtime, sandbox: Runtime) -> None:
    """All of them work on this machine."""
    assert [each.about().name for each in (docker, podman, sandbox)] == ["docker", "podman", "sandbox"]


ATLAS = "specs/atlas-exot-2018-06", "-p", "events=300", "-p", "seeds=[101, 102]"


@pytest.fixture(scope="module")
def of_docker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    """What docker made of an analysis: once for all that it is compared with."""

    @cache
    def made(analysis: tuple[str, ...]) -> Path:
        what, *words = analysis
        return run(tmp_path_factory.mktemp("docker"), what, "docker", "run", "--no-cache", *words)

    return made


@pytest.mark.parametrize("analysis", [(TOY,), ATLAS], ids=["toy", "atlas"])
@pytest.mark.parametrize("other", ["sandbox", "podman"])
def test_docker_and_the_others_give_the_same_bytes(
    other: str, analysis: tuple[str, ...], of_docker: Callable[[tuple[str, ...]], Path], tmp_path: Path
) -> None:
    what, *words = analysis
    ours, theirs = run(tmp_path, what, other, other, "--no-cache", *words), of_docker(analysis)
    assert outputs(ours)
    assert outputs(ours) == outputs(theirs)
    keys = [{name: each["key"] for name, each in records(place).items()} for place in (ours, theirs)]
    assert keys[0] == keys[1]
    assert {each["execution"]["runtime"]["name"] for each in records(ours).values()} == {other}


@pytest.mark.parametrize(
    ("first", "second"), [("docker", "sandbox"), ("docker", "podman"), ("sandbox", "podman"), ("podman", "docker")]
)
def test_a_run_of_one_goes_on_with_another(first: str, second: str, tmp_path: Path) -> None:
    begun = run(tmp_path, TOY, first, "run", "--no-cache")
    before = records(begun)
    (begun / ".records/limit/0.json").unlink()
    after = records(run(tmp_path, TOY, second, "run", "--no-cache"))
    used = {name: each["execution"]["runtime"]["name"] for name, each in after.items()}
    assert used == {name: second if "/limit/" in name else first for name in before}
