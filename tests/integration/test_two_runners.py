"""Two runners: on one run directory only one works; one cache serves any number."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recast_dm import store
from recast_dm.engine.cache import StepCache
from recast_dm.engine.rundir import RunDirectory
from recast_dm.errors import LockedError
from tests.soak import kills

KEYS = [store.digest(n) for n in range(40)]
WRITERS = 8
FLOW = """
stages:
- name: slow
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {seconds: {step: init, output: seconds}}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'touch begun; sleep {seconds}; echo done > out'}
      environment: {environment_type: localproc-env}
      publisher: {publisher_type: interpolated-pub, publish: {out: '{workdir}/out'}}
"""


def start(place: Path, seconds: float) -> subprocess.Popen[str]:
    (place / "workflow.yml").write_text(FLOW)
    words = [sys.executable, "-m", "recast_dm", "run", "workflow.yml", "--allow-host", "--no-cache", "--json"]
    words += ["--workdir", "run", "-p", f"seconds={seconds}"]
    return subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_it_works(place: Path) -> None:
    for _ in range(400):
        if list((place / "run/.attempts").glob("*/work/begun")):
            return
        time.sleep(0.05)
    pytest.fail("the step was never started")


def shown(place: Path) -> dict[str, tuple[int, int]]:
    """Everything in a run directory, by when it was changed."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in (place / "run").rglob("*")}


def test_the_second_runner_is_told_at_once_and_changes_nothing(tmp_path: Path) -> None:
    first = start(tmp_path, 4)
    until_it_works(tmp_path)
    before = shown(tmp_path)
    second = start(tmp_path, 4)
    out, err = second.communicate(timeout=3)
    assert second.returncode == 8
    assert json.loads(out)["kind"] == "locked"
    assert "Traceback" not in err
    assert shown(tmp_path) == before
    assert first.poll() is None
    out, err = first.communicate(timeout=30)
    assert first.returncode == 0, err


def test_the_lock_of_a_dead_runner_is_no_lock(tmp_path: Path) -> None:
    first = start(tmp_path, 60)
    until_it_works(tmp_path)
    deadline = time.monotonic() + 20
    while kills.left(tmp_path, "host") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert (tmp_path / "run/.lock").exists()
    with RunDirectory(tmp_path / "run"), pytest.raises(LockedError), RunDirectory(tmp_path / "run"):
        pass
    assert kills.left(tmp_path, "host") == 2, "the shell and its sleep are still there"
    again = start(tmp_path, 60)
    deadline = time.monotonic() + 20
    while kills.left(tmp_path, "host") and len(list((tmp_path / "run/.attempts").iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again.terminate()
    again.communicate(timeout=20)
    assert again.returncode == 143
    assert kills.left(tmp_path, "host") == 0


def _beginner(root: Path, found: multiprocessing.Queue) -> None:
    try:
        with RunDirectory(root) as rundir:
            rundir.identify({"analysis": "x"})
            time.sleep(0.02)
        found.put("worked")
    except LockedError:
        found.put("locked")
    except Exception as error:  # noqa: BLE001  # anything else is the finding
        found.put(f"{type(error).__name__}: {error}")


def test_runners_that_begin_at_the_same_moment_work_or_are_told(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue = context.Queue()
    for trial in range(10):
        runners = [context.Process(target=_beginner, args=(tmp_path / str(trial), found)) for _ in range(6)]
        for runner in runners:
            runner.start()
        said = [found.get(timeout=20) for _ in runners]
        for runner in runners:
            runner.join()
        assert set(said) <= {"worked", "locked"}
        assert "worked" in said


# --- the cache --------------------------------------------------------------------------------------------------------


def _tree(place: Path, key: str) -> store.Tree:
    """A sealed tree that is the same for a key, whoever makes it."""
    for n in range(3):
        (place / f"sub{n}").mkdir(parents=True)
        (place / f"sub{n}/file").write_text(f"{key}{n}" * 500)
    store.seal(place)
    return store.tree_of(place)


def _writer(number: int, root: Path, begin, found: multiprocessing.Queue) -> None:
    """Puts every key, and looks at what others put: what is seen is whole."""
    try:
        cache, wrong = StepCache(root / "cache"), []
        begin.wait()
        for n, key in enumerate(KEYS):
            place = root / f"{number}.{n}"
            tree = _tree(place, key)
            other = KEYS[(n * 7 + number) % len(KEYS)]
            entry = cache.get(other)
            if entry is not None and (entry.place / "sub2/file").read_text() != f"{other}2" * 500:
                wrong.append(f"{other}: torn")
            cache.put(key, tree, place, {"by": number, "seconds": 0})
            seen = cache.get(key)
            if seen is None or seen.tree != tree:
                wrong.append(f"{key}: {seen}")
        found.put(wrong)
    except BaseException as error:  # noqa: BLE001  # anything is the finding
        found.put([f"{type(error).__name__}: {error}"])


def test_many_writers_of_the_same_keys(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    begin, found = context.Barrier(WRITERS), context.Queue()
    writers = [context.Process(target=_writer, args=(n, tmp_path, begin, found)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    said = [found.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join()
    assert said == [[]] * WRITERS
    entries = list((tmp_path / "cache/steps/1").glob("*/*"))
    assert sorted(entry.name for entry in entries) == sorted(KEYS), "one entry a key, nothing half-written"


def test_an_entry_that_was_there_first_stays(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    for number in (1, 2):
        cache.put(KEYS[0], _tree(tmp_path / str(number), "x"), tmp_path / str(number), {"by": number})
    entry = cache.get(KEYS[0])
    assert entry is not None
    assert entry.execution == {"by": 1}


def test_what_a_dead_writer_left_in_the_cache_is_removed_when_it_is_old(tmp_path: Path) -> None:
    cache = StepCache(tmp_path / "cache")
    shelf = tmp_path / "cache/steps/1" / KEYS[0][:2]
    old, young = (shelf / f".{KEYS[0]}.{letter * 32}.tmp" for letter in "ab")
    for place in (old, young):
        (place / "tree").mkdir(parents=True)
    os.utime(old, (0, 0))
    cache.put(KEYS[0], _tree(tmp_path / "one", "x"), tmp_path / "one", {})
    assert sorted(path.name for path in shelf.iterdir()) == sorted([young.name, KEYS[0]])


def _runner(root: Path, name: str, found: multiprocessing.Queue) -> None:
    (root / name).mkdir()
    (root / name / "cache").symlink_to(root / "cache")
    try:
        found.put((name, kills.run("nested", root / name, "fake")))
    except BaseException as error:  # noqa: BLE001  # anything is the finding
        found.put((name, {"error": f"{type(error).__name__}: {error}"}))


def test_runs_that_share_a_cache_may_start_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue = context.Queue()
    (tmp_path / "cache").mkdir()
    runners = [context.Process(target=_runner, args=(tmp_path, f"r{n}", found)) for n in range(4)]
    for runner in runners:
        runner.start()
    said = dict(found.get(timeout=60) for _ in runners)
    for runner in runners:
        runner.join()
    assert all(set(hows.values()) <= {"ran", "cached"} for hows in said.values()), said
    trees = [kills.trees(tmp_path / name) for name in said]
    assert trees == [kills.undisturbed("nested", "fake")] * 4
    assert not [what for name in said for what in kills.torn(tmp_path / name)]


def test_a_lock_that_cannot_be_had_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Exception, match="cannot lock"), RunDirectory(tmp_path / "run"):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
