"""Captures that are killed, or whose disk fails, at any moment: the old capsule stands or none, never half a one.

Seeds that are divisible by 8 kill a process of its own after a random time; in the others a forked one is killed, or
its disk fails with ENOSPC or EIO, at a random durable operation. Then the same command captures, and tidies up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from recast_dm.capsule import open_capsule, packing
from recast_dm.capsule.verify import check_bytes
from recast_dm.cli import options
from recast_dm.cli.main import main
from recast_dm.errors import RecastError
from tests.soak.kills import Faults, die, fails

NAME = "captures"
TOTAL = 400
SUFFIXES = ("", ".zip", ".tar")
PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Bench:
    """An old capsule in each form, and what a capture takes: operations, and seconds of a process."""

    place: Path
    operations: dict[str, int]
    seconds: float


_benches: list[Bench] = []


@contextlib.contextmanager
def setup() -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        place = Path(name)
        write_analysis(place / "analysis")
        operations = {}
        for suffix in SUFFIXES:
            counting, counted = os.pipe()
            code, said = _forked(
                place, suffix, Faults(), lambda faults, to=counted: os.write(to, b"." * len(faults.seen))
            )  # type: ignore[misc]
            os.close(counted)
            with os.fdopen(counting, "rb") as pipe:
                operations[suffix] = len(pipe.read())
            assert code == 0, said
        began = time.monotonic()
        assert _started(place, "").wait(PATIENCE) == 0
        _benches.append(Bench(place, operations, time.monotonic() - began))
        try:
            yield
        finally:
            _benches.pop()


def write_analysis(place: Path, size: int = 5_000_000) -> None:
    """One step, which is a process of this machine, and an input of so many bytes."""
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": "echo {mass} > {out}"},
        "environment": {"environment_type": "localproc-env"},
        "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
    }
    parameters = {"mass": {"step": "init", "output": "mass"}, "out": "{workdir}/out"}
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": parameters, "step": step}
    recast = {
        "name": "small",
        "metadata": {"title": "A small analysis", "authors": ["The recast-dm developers"]},
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": {"initdata": {"mass": 500}, "dataopts": {"initdir": "inputs"}}},
        "results": [{"name": "fit", "relpath": "fit/out"}],
    }
    (place / "inputs").mkdir(parents=True)
    (place / "inputs/events.bin").write_bytes(random.Random(1).randbytes(size))
    (place / "recast.yml").write_text(yaml.safe_dump(recast))
    workflow = {"stages": [{"name": "fit", "dependencies": ["init"], "scheduler": scheduler}]}
    (place / "workflow.yml").write_text(yaml.safe_dump(workflow))


def _words(place: Path, suffix: str) -> list[str]:
    target = place / f"small.capsule{suffix}"
    return ["capture", "analysis", "-o", str(target), "--allow-host", "--quiet", "--workdir", str(place / "run")]


def _started(place: Path, suffix: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "recast_dm", *_words(place, suffix)]
    environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(place / "cache")}
    with (place / "said").open("wb") as said:
        return subprocess.Popen(words, cwd=place, stdout=said, stderr=said, env=environment)


def _forked(
    place: Path, suffix: str, faults: Faults, then: Callable[[Faults], object] = lambda _: None
) -> tuple[int, str]:
    """The command in a forked process with a fault: its exit code (negative: the signal), and what it said."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.chdir(place)
            said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            options.DEFAULTS = replace(options.DEFAULTS, cache_dir=place / "cache")
            with faults.installed():
                code = main(_words(place, suffix))
            then(faults)
            sys.stdout.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), (place / "said").read_text(errors="replace")


def one(seed: int) -> str | None:
    bench, chance = _benches[-1], random.Random(seed)
    suffix = SUFFIXES[seed // 8 % 3] if seed % 8 == 0 else chance.choice(SUFFIXES)
    with tempfile.TemporaryDirectory(dir=bench.place) as name:
        place = Path(name)
        shutil.copytree(bench.place / "analysis", place / "analysis")
        target, there = place / f"small.capsule{suffix}", chance.random() < 0.7
        if there:
            source = bench.place / target.name
            shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
        old = packing.read_manifest(bench.place / target.name)["digest"]
        (place / "analysis/README").write_text("this is new\n")
        if seed % 8 == 0:
            process = _started(place, suffix)
            time.sleep(chance.uniform(0, 1.1 * bench.seconds))
            process.kill()
            code, said = process.wait(PATIENCE), (place / "said").read_text(errors="replace")
            what = "killed after a time"
        else:
            at = chance.randrange(bench.operations[suffix] + 1)
            act, what = chance.choice([(die, "killed"), (fails(errno.ENOSPC), "ENOSPC"), (fails(errno.EIO), "EIO")])
            code, said = _forked(place, suffix, Faults(at, act))
            what = f"{what} at {at}"
        wrong = _wrong(target, code, said, old if there else None)
        wrong += _again(place, suffix, old)
        return f"{target.name}, {what}: {'; '.join(wrong)}" if wrong else None


def _wrong(target: Path, code: int, said: str, old: str | None) -> list[str]:
    """What is wrong after the capture ended as it did."""
    if code not in (0, 9, -signal.SIGKILL):
        return [f"exit {code}: {said[-500:]}"]
    if "Traceback" in said:
        return [f"a traceback: {said[-500:]}"]
    if not target.exists():
        return ["nothing is there"] if code == 0 or (old and code != -signal.SIGKILL) else []
    try:
        check, digest = check_bytes(target), packing.read_manifest(target)["digest"]
    except RecastError as error:
        return [f"what is there is none: {error.message}"]
    if not check.ok:
        return [f"what is there is half a capsule: {check.problems[0]}"]
    return ["it said that it is done, and the old one is there"] if code == 0 and digest == old else []


def _again(place: Path, suffix: str, old: str) -> list[str]:
    """What is wrong with the same command, when nothing disturbs it, and with what it leaves."""
    code, said = _forked(place, suffix, Faults())
    if code != 0:
        return [f"it does not go on: exit {code}: {said[-500:]}"]
    opened = open_capsule(place / f"small.capsule{suffix}", place / "cache")
    wrong = [] if opened.digest != old else ["the old capsule is there"]
    known = {"analysis", "cache", "said", "run", "build", f"small.capsule{suffix}"}
    left = [path.name for path in place.iterdir() if path.name not in known]
    return [*wrong, f"left: {', '.join(left)}"] if left else wrong
