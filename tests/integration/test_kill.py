"""kill -9 at some moments of some workflows; `tests/soak/kills.py` is the campaign that takes hundreds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.soak import kills, payloads


@pytest.mark.parametrize("seed", [1, 2, 9, 16])
def test_a_run_that_was_killed_goes_on(seed: int) -> None:
    assert kills.one(seed) is None


@pytest.mark.skipif(not shutil.which("docker"), reason="not run: the command docker is not here")
@pytest.mark.usefixtures("docker")
def test_a_run_with_containers_that_was_killed_goes_on() -> None:
    assert kills.killed("fan", "docker", delay=1.0) is None


@pytest.mark.parametrize("operation", range(6, 9))
def test_a_first_start_that_was_killed_before_it_wrote_run_json_goes_on(operation: int) -> None:
    """What it leaves is not taken for somebody else's directory."""
    assert "run.json" in kills.operations("pair")[8]
    assert kills.killed("chain", "host", operation=operation) is None


def test_what_a_step_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    step = payloads.command("sleep 300 & echo > out", payloads.FROMPAR)
    finished = payloads.Place(tmp_path).run(payloads.parsed(payloads.stage("one", step, {"v": 1})))
    (tmp_path / "run").symlink_to(finished.directory)
    assert kills.left(tmp_path, "host") == 0
