"""What `make bench` compares really happens: every engine runs every step's command, and a chain is one."""

import itertools
from pathlib import Path

import pytest

from tests.bench import engines, overhead, runs

FACTORIES = (engines.ours, engines.yadage, engines.snakemake, engines.cwltool, engines.xargs)
CASES = [
    pytest.param(factory, shape, id=f"{factory.__name__} {shape}")
    for factory, shape in itertools.product(FACTORIES, ("fan-out", "chain"))
    if (factory, shape) != (engines.xargs, "chain")
]


@pytest.mark.parametrize(("factory", "shape"), CASES)
def test_every_step_runs_its_command_once_and_those_of_a_chain_one_after_the_other(factory, shape, tmp_path):
    engine, log, steps = factory(), tmp_path / "log", 4
    command = f"echo begins >> {log}; sleep 0.05; echo ends >> {log}"
    measured = runs.run(engine, shape, steps, tmp_path / "place", command=command)
    lines = log.read_text().split()
    assert sorted(lines) == ["begins"] * steps + ["ends"] * steps
    if shape == "chain":
        assert lines == ["begins", "ends"] * steps
    assert not measured.expired
    assert measured.wall > 0
    assert measured.peak_mb > 1


def test_ours_resumes_verifies_and_plans_what_it_ran(tmp_path):
    log, place = tmp_path / "log", tmp_path / "place"
    runs.run(engines.ours(), "fan-out", 3, place, command=f"echo ran >> {log}")
    for option in ((), ("--verify",), ("--dry-run",)):
        runs.start(engines.ours(*option), place)
    assert log.read_text().split() == ["ran"] * 3


def test_the_runs_that_are_resumed_hold_a_file_a_step(tmp_path, capsys):
    overhead.again(tmp_path / "place", 3)
    assert len(list((tmp_path / "place/finished").glob("s0/*/done.txt"))) == 3
    assert "resume with `--verify`" in capsys.readouterr().out


def test_what_takes_too_long_is_ended_and_said_to_be(tmp_path):
    measured = runs.run(engines.xargs(), "fan-out", 1, tmp_path / "place", budget=0.2, command="sleep 60")
    assert measured.expired
    assert measured.wall < 30


def test_a_command_that_fails_is_an_error_of_the_bench(tmp_path):
    with pytest.raises(RuntimeError, match="exit code"):
        runs.run(engines.ours(), "chain", 1, tmp_path / "place", command="false")


def test_work_is_charged_to_who_did_it(tmp_path):
    """A command that computes is the children's; the engine beside it does next to nothing."""
    busy = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    place: Path = tmp_path / "place"
    measured = runs.run(engines.xargs(), "fan-out", 1, place, command=busy)
    assert measured.children > measured.own
