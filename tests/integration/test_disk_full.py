"""A disk that is really full: below the run directory, below the cache, filled by a step itself. Then more space."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recast_dm.capsule import packing
from recast_dm.capsule.verify import check_bytes
from recast_dm.engine.cache import StepCache
from recast_dm.errors import StorageError
from tests.soak import captures, kills
from tests.soak.payloads import HOST, command, parsed, stage

SIZE = 2 * 1024 * 1024
WRITES = {"publisher_type": "interpolated-pub", "publish": {"out": "{workdir}/out"}}


def mounted(place: Path, size: int) -> bool:
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    return os.getuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 2 MB."""
    place = tmp_path / "disk"
    if not mounted(place, SIZE):
        if os.environ.get("CI") == "true":
            pytest.fail("a small disk needs root and mount")
        pytest.skip("not run: a small disk needs root and mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Takes all but `free` bytes."""
    space = os.statvfs(disk)
    path = disk / "filling"
    path.write_bytes(b"\0" * max(0, space.f_bavail * space.f_frsize - free))
    return path


def workflow(place: Path, cmd: str) -> Path:
    """One step that is small, and one that does `cmd` after it."""
    given = {"step": "small", "output": "out"}
    stages = [
        stage("small", command("echo small > out", WRITES, HOST), {"v": 1}),
        stage("large", command(cmd, WRITES, HOST), {"v": given}),
    ]
    path = place / "workflow.yml"
    path.write_text(json.dumps({"stages": stages}))
    parsed(*stages)
    return path


def run(source: Path, workdir: Path, **environment: str) -> tuple[int, dict[str, Any], str]:
    words = [sys.executable, "-m", "recast_dm", "run", str(source), "--workdir", str(workdir), "--allow-host", "--json"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=source.parent, env={**os.environ, **environment}
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def recorded(workdir: Path) -> set[str]:
    return {path.parent.name for path in (workdir / ".records").rglob("*.json") if not path.name.startswith(".")}


@pytest.mark.parametrize(
    "cmd",
    [
        "head -c 8000000 /dev/zero > out",
        "head -c 8000000 /dev/zero > out || exit 3",
        "head -c 8000000 /dev/zero > out || rm out; exit 1",
        "for i in $(seq 700); do head -c 3000 /dev/zero > file$i || exit 1; done; echo > out",
    ],
    ids=["fills it", "says so", "fills it and tidies up", "many files"],
)
def test_a_step_that_fills_the_disk(disk: Path, tmp_path: Path, cmd: str) -> None:
    source = workflow(tmp_path, cmd)
    code, document, err = run(source, disk / "run", RECAST_DM_CACHE_DIR=str(tmp_path / "cache"))
    assert "Traceback" not in err
    if "rm out" in cmd:
        assert code == 1, "there is space again: nobody can know what it was"
        return
    assert (code, document["kind"]) == (9, "storage"), err
    assert "No space left" in document["message"]
    assert recorded(disk / "run") == {"small"}
    enlarge(disk)
    code, document, err = run(source, disk / "run", RECAST_DM_CACHE_DIR=str(tmp_path / "cache"))
    assert code == 0, err
    assert "kept      small/0" in err


@pytest.mark.parametrize("free", [0, 4096, 8192, 12288, 16384, 24576, 32768, 49152, 65536, 98304])
def test_a_disk_that_is_nearly_full_when_the_run_begins(disk: Path, free: int) -> None:
    """Wherever the space ends: one error of ours, whole records, and the same outputs with more space."""
    filling = fill(disk, free)
    try:
        kills.run("chain", disk, "fake")
    except StorageError as error:
        assert "No space left" in error.message  # noqa: PT017  # with enough space there is none
    else:
        assert free > 4096
    before = kills.records(disk)
    assert kills.torn(disk) == []
    filling.unlink()
    hows = kills.run("chain", disk, "fake")
    assert kills.went_on("chain", disk, "fake", before, hows) == []


@pytest.mark.parametrize("free", [0, 8192, 20480, 40960])
def test_a_cache_on_a_disk_that_is_full(disk: Path, tmp_path: Path, free: int) -> None:
    """What is finished is recorded before it is cached: nothing is lost."""
    filling = fill(disk, free)
    (tmp_path / "cache").symlink_to(disk)
    try:
        kills.run("chain", tmp_path, "fake")
    except StorageError as error:
        assert "No space left" in error.message  # noqa: PT017
    before = kills.records(tmp_path)
    assert before
    filling.unlink()
    hows = kills.run("chain", tmp_path, "fake")
    assert kills.went_on("chain", tmp_path, "fake", before, hows) == []
    cache = StepCache(disk)
    entries = [path.name for path in disk.glob("steps/1/*/*")]
    assert all(cache.get(key) is not None for key in entries)
    assert not list(disk.rglob("*.tmp"))


def test_the_command_line_on_a_disk_without_any_space(disk: Path, tmp_path: Path) -> None:
    filling = fill(disk, 0)
    source = workflow(tmp_path, "echo > out")
    code, document, err = run(source, disk / "run", RECAST_DM_CACHE_DIR=str(disk / "cache"))
    assert (code, document["kind"]) == (9, "storage")
    assert "Traceback" not in err
    filling.unlink()
    assert run(source, disk / "run", RECAST_DM_CACHE_DIR=str(disk / "cache"))[0] == 0


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar"])
@pytest.mark.parametrize("size", [1_000_000, 4_000_000], ids=["at the end", "at once"])
def test_a_capture_that_fills_the_disk(disk: Path, tmp_path: Path, suffix: str, size: int) -> None:
    """The old capsule stays, whatever the new one would hold; and nothing else is left beside it."""
    captures.write_analysis(tmp_path / "analysis", 1000)
    target = disk / f"small.capsule{suffix}"
    words = ["analysis", "-o", str(target), "--allow-host", "--workdir", str(tmp_path / "run"), "--json"]
    code, document, err = captured(tmp_path, *words)
    assert code == 0, err
    (tmp_path / "analysis/inputs/more.bin").write_bytes(random.Random(1).randbytes(size))
    filling = fill(disk, 1_500_000 if suffix else 900_000)
    code, failed, err = captured(tmp_path, *words)
    assert (code, failed["kind"]) == (9, "storage"), err
    assert "Traceback" not in err
    assert sorted(disk.iterdir()) == sorted([filling, target])
    assert check_bytes(target).ok
    assert packing.read_manifest(target)["digest"] == document["digest"]
    enlarge(disk)
    code, again, err = captured(tmp_path, *words)
    assert code == 0, err
    assert again["digest"] != document["digest"]
    assert sorted(disk.iterdir()) == sorted([filling, target])


def captured(place: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "recast_dm", "capture", *words]
    environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(place / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place, env=environment)
    return done.returncode, json.loads(done.stdout), done.stderr
