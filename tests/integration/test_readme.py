"""README's tutorial is run as it stands: its commands succeed, and say what README shows, but for the numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")


def sessions(text: str) -> list[tuple[str, list[str]]]:
    """Each command of the ```console blocks, with the output lines below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line)
    return found


def blank(line: str) -> str:
    """A line without its numbers and spacing."""
    return " ".join(NUMBER.sub("#", line).split())


def test_the_tutorial_is_true(docker: Docker, tmp_path: Path) -> None:
    tutorial = sessions(README)
    assert len(tutorial) >= 5
    bin_dir = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", "RECAST_DM_CACHE_DIR": str(tmp_path)}
    for command, shown in tutorial:
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{said}"
        lines = {blank(line) for line in said.splitlines()}
        missing = [line for line in shown if blank(line) not in lines]
        assert not missing, f"{command}\ndid not say {missing}\nbut:\n{said}"


def test_the_comparison_notices_a_wrong_line() -> None:
    assert blank("closure  ours  0.352 pb") == blank("closure ours 1 pb")
    assert blank("EXCLUDED") != blank("not excluded")
    assert sessions("```console\n$ a\nb\n$ c\n```") == [("a", ["b"]), ("c", [])]


@pytest.mark.parametrize("name", re.findall(r"^\| `([a-z_]+/)`", README, flags=re.MULTILINE))
def test_every_room_that_readme_names_exists(name: str) -> None:
    assert (ROOT / "recast_dm" / name).is_dir()


def test_readme_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "recast_dm").glob("*/__init__.py")}
    assert rooms == {name.rstrip("/") for name in re.findall(r"^\| `([a-z_]+/)`", README, flags=re.MULTILINE)}


def test_the_tables_of_the_language_are_those_of_the_corpus() -> None:
    """`python -m tests.conformance --tables` prints them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance", "--tables"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for table in done.stdout.strip().split("\n\n"):
        assert table in README
