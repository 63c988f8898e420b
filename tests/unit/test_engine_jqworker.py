"""jq in a process of its own: what never ends is ended, what crashes is said, and the next program runs."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from recast_dm.engine import jqworker


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(jqworker, "TIMEOUT", 0.5)


@pytest.mark.parametrize("program", ["def f: f; f", "until(false; .)", "[range(1e18)] | length", "last(repeat(.))"])
def test_a_program_that_never_ends_is_ended(short, program):
    with pytest.raises(ValueError, match=r"does not end|memory"):
        jqworker.run(program, {})
    assert jqworker.run(".", 1) == [1]


def test_a_program_that_eats_memory_is_ended(monkeypatch):
    monkeypatch.setattr(jqworker, "MEMORY", 512 * 1024**2)
    worker = jqworker._Worker()
    monkeypatch.setattr(jqworker, "_WORKER", worker)
    with pytest.raises(ValueError, match=r"memory|crash"):
        jqworker.run('[range(1e9)] | map(tostring) | join("")', None)
    assert jqworker.run(". + 1", 1) == [2]
    worker.end()


def test_what_jq_says_is_handed_on():
    with pytest.raises(ValueError, match="Cannot iterate over null"):
        jqworker.run(".[]", None)


def test_it_sees_no_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "value")
    process = jqworker._WORKER
    jqworker.run(".", 0)
    environ = f"/proc/{process._process.pid}/environ"
    with open(environ, "rb") as file:  # noqa: PTH123  # a file of the kernel's
        assert b"SECRET" not in file.read()


def test_many_threads_get_their_own_answers():
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: jqworker.run(". * 2", n), range(200))) == [[2 * n] for n in range(200)]


def test_large_values_pass():
    value = {"masses": list(range(200_000)), "text": "ä" * 1_000_000}
    assert jqworker.run(".", value) == [value]


def test_a_fork_has_a_process_of_its_own():
    jqworker.run(".", 1)
    before = jqworker._WORKER._process.pid
    pid = os.fork()
    if pid == 0:
        try:
            ours = jqworker.run(". + 1", 1) == [2] and jqworker._WORKER._process.pid != before
            jqworker._WORKER.end()
        finally:
            os._exit(0 if ours else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert jqworker.run(".", 3) == [3]
    assert jqworker._WORKER._process.pid == before


def test_a_worker_that_died_is_replaced():
    jqworker.run(".", 1)
    jqworker._WORKER._process.kill()
    jqworker._WORKER._process.wait()
    assert jqworker.run(".", 2) == [2]
