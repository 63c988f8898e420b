"""An environment is made once, whole or not at all, by whoever comes first."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recast_dm.backends import tool_environment
from recast_dm.backends.tool_environment import ensure
from recast_dm.errors import StorageError, ToolMissing


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "tool-toy.txt"
    path.write_text("toy==1.0 --hash=sha256:00\n")
    return path


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Environments made by a shell command that takes a moment; the file says how often it ran."""
    log = tmp_path / "made"

    def commands(place: Path, locks: list[Path]) -> list[list[str]]:
        return [["sh", "-c", f"echo x >> {log}; sleep 0.1; mkdir -p {place}/bin && : > {place}/bin/python"]]

    monkeypatch.setattr(tool_environment, "_commands", commands)
    return log


def times(made: Path) -> int:
    return len(made.read_text().splitlines())


def test_it_is_made_once_and_found_again(lock, made, tmp_path):
    first = ensure("toy", lock, tmp_path / "tools")
    assert first.is_file()
    assert first.parent.parent.name.startswith("toy-")
    assert ensure("toy", lock, tmp_path / "tools") == first
    assert times(made) == 1


def test_another_lock_is_another_environment(lock, made, tmp_path):
    first = ensure("toy", lock, tmp_path / "tools")
    lock.write_text("toy==1.1 --hash=sha256:00\n")
    assert ensure("toy", lock, tmp_path / "tools") != first
    assert first.is_file()


def test_a_half_made_environment_is_made_again(lock, made, tmp_path):
    python = ensure("toy", lock, tmp_path / "tools")
    (python.parents[1] / "complete").unlink()
    (python.parents[1] / "left-behind").touch()
    assert ensure("toy", lock, tmp_path / "tools") == python
    assert not (python.parents[1] / "left-behind").exists()
    assert times(made) == 2


def test_two_processes_at_once_make_it_once(lock, made, tmp_path):
    program = (
        "import sys; from pathlib import Path; from recast_dm.backends import tool_environment as t;"
        f"t._commands = lambda place, locks: [['sh', '-c', 'echo x >> {made}; sleep 0.5; mkdir -p '"
        " + str(place) + '/bin && : > ' + str(place) + '/bin/python']];"
        f"print(t.ensure('toy', Path({str(lock)!r}), Path({str(tmp_path / 'tools')!r})))"
    )

    def run(_: int) -> str:
        return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, range(2))
    assert one == other
    assert times(made) == 1


def test_a_failure_shows_the_installers_last_lines_and_the_command(lock, monkeypatch, tmp_path):
    commands = [["sh", "-c", "mkdir -p $0; echo no matching distribution >&2; exit 3", str(tmp_path / "tools/x")]]
    monkeypatch.setattr(tool_environment, "_commands", lambda *_: commands)
    with pytest.raises(ToolMissing, match="cannot make the toy environment: sh ended with exit code 3") as caught:
        ensure("toy", lock, tmp_path / "tools")
    assert "no matching distribution" in str(caught.value)
    assert "try it by hand:\n    sh -c" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_failure_leaves_nothing_behind(lock, monkeypatch, tmp_path):
    def commands(place: Path, locks: list[Path]) -> list[list[str]]:
        return [["mkdir", "-p", f"{place}/bin"], ["false"]]

    monkeypatch.setattr(tool_environment, "_commands", commands)
    with pytest.raises(ToolMissing):
        ensure("toy", lock, tmp_path / "tools")
    assert not list((tmp_path / "tools").glob("toy-*"))


def test_a_missing_lock_is_a_missing_tool(tmp_path):
    with pytest.raises(ToolMissing, match="no list of packages for the toy environment"):
        ensure("toy", tmp_path / "nothing.txt", tmp_path / "tools")


def test_a_root_that_is_no_directory_is_a_storage_error(lock, tmp_path):
    (tmp_path / "tools").touch()
    with pytest.raises(StorageError, match="make the environment toy-"):
        ensure("toy", lock, tmp_path / "tools")


@pytest.mark.parametrize("uv", [True, False])
def test_uv_installs_where_it_lies_beside_python(uv, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    if uv:
        (tmp_path / "uv").touch()
    venv, install = tool_environment._commands(tmp_path / "toy", [tmp_path / "lock.txt"])
    assert venv[1:3] == ["-m", "venv"]
    assert install[0] == str(tmp_path / "uv" if uv else tmp_path / "toy" / "bin" / "python")
    assert install[-4:] == ["--require-hashes", "--no-deps", "-r", str(tmp_path / "lock.txt")]


def test_what_builds_is_locked_too(tmp_path):
    build, lock = tmp_path / "build.txt", tmp_path / "lock.txt"
    _, first, second = tool_environment._commands(tmp_path / "toy", [build, lock])
    assert first[-3:] == ["--no-deps", "-r", str(build)]
    assert second[-4:] == ["--no-deps", "--no-build-isolation", "-r", str(lock)]
