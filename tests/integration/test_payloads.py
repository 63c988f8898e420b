"""Hostile parameters, a selection; `tests/soak/payloads.py` is the campaign that takes ten thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recast_dm.model import Image
from recast_dm.runtimes.docker import Docker
from tests.soak import payloads
from tests.soak.payloads import ALL, ATOMS, CHECKS, FROMPAR, HUGE, INIT, check, command, parsed, stage

ROOT = Path(__file__).parents[2]
WORDS = (*ATOMS[::3], *(payloads.payload(n) for n in range(1000, 1040)))


@pytest.mark.parametrize("one", CHECKS, ids=lambda one: one.__name__)
def test_every_payload_is_literal_or_refused(one) -> None:
    assert check(WORDS, [one]) == []


def test_what_is_too_long_for_a_command_is_refused() -> None:
    assert check(HUGE, [payloads.refused]) == []


def test_containers_get_them_literally(docker: Docker, toy_image: Image) -> None:
    assert check(WORDS[:60], [lambda place, words: payloads.contained(place, words, docker)]) == []


def test_the_checks_see_what_they_look_for(tmp_path: Path) -> None:
    place = payloads.Place(tmp_path)
    flow = parsed(stage("one", command("printf %s {v} > free; touch pwned", FROMPAR), {"v": INIT}))
    finished = place.run(flow, "x")
    assert payloads.differences(finished, finished.records[0].step, "x") == ["one/0 wrote ['free', 'pwned']"]
    assert place.escaped() is None
    (tmp_path / "canary").touch()
    assert "outside" in str(place.escaped())
    assert check(["x"], [lambda place, words: place.canary.touch() or []])[0][0] == ALL


@pytest.mark.parametrize("word", ["'; touch pwned; '", "$(touch pwned)", "-n", "*", "\x1b[31mred", "../../etc/passwd"])
def test_the_command_line_carries_them_too(word: str, tmp_path: Path) -> None:
    flow = {"stages": [stage("one", command("printf %s {v} > free", FROMPAR), {"v": INIT})]}
    (tmp_path / "workflow.yml").write_text(json.dumps(flow))
    words = [sys.executable, "-m", "recast_dm", "run", str(tmp_path / "workflow.yml"), "--allow-host", "--no-cache"]
    words += ["--workdir", "run", "-p", f"v={json.dumps(word)}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/one/0/free").read_text() == word
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "workflow.yml"]
