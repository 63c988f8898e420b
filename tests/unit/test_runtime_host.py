"""The host runtime: real processes of this machine, how they end, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from workbench import stage, workflow

from recast_dm.engine import events
from recast_dm.errors import StepFailed, StorageError, ToolMissing, UsageError
from recast_dm.model import Policy
from recast_dm.runtimes import Job, Runtime, runner_id
from recast_dm.runtimes.host import Host
from recast_dm.runtimes.marks import RUN_VARIABLE

ENVIRON = {"PATH": os.environ["PATH"], "GIVEN": "yes"}


@pytest.fixture
def host() -> Host:
    return Host(ENVIRON)


@pytest.fixture
def job(tmp_path) -> Job:
    (tmp_path / "work").mkdir()
    return Job(
        name="one.0",
        run=f"test-{os.getpid()}-{tmp_path.name}",
        runner=runner_id(),
        image=None,
        argv=("sh", "-c", "true"),
        workdir=tmp_path / "work",
        inputs=(),
        user=(os.getuid(), os.getgid()),
        log=tmp_path / "log",
    )


def sh(job: Job, script: str, **more: object) -> Job:
    return replace(job, argv=("sh", "-c", script), **more)


def said(job: Job) -> str:
    return job.log.read_text()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def nothing(_line: str) -> None:
    """Takes a line."""


def test_it_is_a_runtime(host):
    assert isinstance(host, Runtime)
    assert host.about().name == "host"
    assert host.image("image:1") is None


class TestRun:
    @pytest.mark.parametrize("code", [0, 1, 3, 125, 255])
    def test_the_exit_code_is_the_processs(self, host, job, code):
        outcome = host.run(sh(job, f"exit {code}"), nothing)
        assert (outcome.exit_code, outcome.reason) == (code, "")

    @pytest.mark.parametrize(("name", "reason"), [("KILL", "killed"), ("TERM", ""), ("SEGV", "")])
    def test_a_signal_is_128_and_its_number(self, host, job, name, reason):
        outcome = host.run(sh(job, f"kill -{name} $$"), nothing)
        assert (outcome.exit_code, outcome.reason) == (128 + signal.Signals[f"SIG{name}"], reason)

    def test_both_streams_go_to_the_log(self, host, job):
        host.run(sh(job, "echo out; echo err >&2"), nothing)
        assert said(job) == "out\nerr\n"

    def test_it_starts_in_its_work_directory_or_where_it_is_told(self, host, job, tmp_path):
        host.run(sh(job, "pwd"), nothing)
        assert said(job).strip() == str(job.workdir)
        host.run(sh(job, "pwd", cwd=str(tmp_path)), nothing)
        assert said(job).strip() == str(tmp_path)

    def test_it_has_the_callers_environment_its_own_and_the_runs_id(self, host, job):
        host.run(sh(job, f'echo "$GIVEN $OWN ${RUN_VARIABLE}"', env={"OWN": "a b"}), nothing)
        assert said(job) == f"yes a b {job.run}\n"

    def test_nobody_can_give_another_runs_id(self, host, job):
        host.run(sh(job, f"echo ${RUN_VARIABLE}", env={RUN_VARIABLE: "other"}), nothing)
        assert said(job) == f"{job.run}\n"

    def test_a_script_comes_on_standard_input(self, host, job):
        script = "read -r x <<E\nå b\nE\necho $x\n" + "# " + "x" * 300_000
        outcome = host.run(replace(job, argv=("sh",), stdin=script), nothing)
        assert (outcome.exit_code, said(job)) == (0, "å b\n")

    def test_a_script_that_nobody_reads(self, host, job):
        outcome = host.run(replace(job, argv=("sh", "-c", "exit 4"), stdin="x" * 1_000_000), nothing)
        assert outcome.exit_code == 4

    def test_without_a_script_there_is_nothing_to_read(self, host, job):
        assert host.run(sh(job, "cat"), nothing).exit_code == 0

    def test_an_interpreter_that_is_not_here(self, host, job):
        with pytest.raises(ToolMissing, match=r"no-such-interpreter is not here, and one\.0 needs it"):
            host.run(replace(job, argv=("no-such-interpreter", "-x")), nothing)

    def test_one_that_may_not_be_started(self, host, job, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(StorageError):
            host.run(replace(job, argv=(str(tmp_path / "file"),)), nothing)

    def test_ctrl_c_does_not_reach_it(self, host, job):
        """It has a session of its own: whoever is interrupted ends it, once."""
        host.run(replace(job, argv=(sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())")), nothing)
        assert said(job) == "True\n"


class TestTimeout:
    def test_the_whole_group_is_ended(self, host, job):
        began = time.monotonic()
        outcome = host.run(sh(job, "sleep 60 & echo $!; sleep 60", timeout=0.3), nothing)
        assert time.monotonic() - began < 20
        assert outcome.reason == "timeout"
        assert outcome.exit_code == 137
        assert until(lambda: not alive(int(said(job))))

    def test_one_that_is_in_time_is_left_alone(self, host, job):
        outcome = host.run(sh(job, "sleep 0.1", timeout=30), nothing)
        assert (outcome.exit_code, outcome.reason) == (0, "")

    def test_one_that_does_not_read_its_script_is_ended_too(self, host, job):
        outcome = host.run(sh(job, "exec sleep 60", stdin="x" * 1_000_000, timeout=0.3), nothing)
        assert outcome.reason == "timeout"


class TestSweep:
    def test_what_a_dead_runner_left_is_found_by_the_runs_id(self, host, job):
        orphan = "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.2"
        host.run(sh(job, orphan), nothing)
        pid = int(said(job))
        assert alive(pid)
        assert host.sweep("another-run") == 0
        assert alive(pid)
        assert host.sweep(job.run) == 1
        assert until(lambda: not alive(pid))
        assert host.sweep(job.run) == 0

    def test_a_longer_id_is_another_one(self, host, job):
        env = {**os.environ, RUN_VARIABLE: f"{job.run}-more"}
        with subprocess.Popen(["sleep", "60"], env=env) as process:
            try:
                assert host.sweep(job.run) == 0
                assert alive(process.pid)
            finally:
                process.kill()

    def test_it_ends_what_runs(self, host, job):
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(host.run(sh(job, "echo on; sleep 60"), nothing)))
        thread.start()
        assert until(lambda: job.log.exists() and said(job) == "on\n")
        assert host.sweep(job.run) >= 1
        thread.join(10)
        assert [(o.exit_code, o.reason) for o in outcomes] == [(137, "killed")]


HERE = {"environment_type": "localproc-env"}


class TestInARun:
    def hosted(self, cmd: str, **more: object) -> object:
        out = {"out": "{workdir}/out", "x": "a b"}
        return workflow(stage("one", cmd, out, {"out": "{workdir}/out"}, environment=HERE, **more))

    def test_it_runs_with_permission_only(self, bench):
        with pytest.raises(UsageError, match="starts a process of this machine") as caught:
            bench.run(self.hosted("echo {x} > {out}"))
        assert "--allow-host" in (caught.value.hint or "")
        finished = bench.run(self.hosted("echo {x} > {out}"), tools={"host": Host(ENVIRON)})
        assert (bench.root / "run/one/0/out").read_text() == "a b\n"
        record = finished.records[0].document()
        assert record["execution"]["runtime"]["name"] == "host"
        assert record["execution"]["image"] is None

    def test_what_the_host_did_is_not_cached_but_kept(self, bench):
        for how in ("ran", "kept"):
            bench.run(self.hosted("echo {x} > {out}"), tools={"host": Host(ENVIRON)})
            assert bench.hows() == {"one/0": how}
        bench.run(self.hosted("echo {x} > {out}"), run="other", tools={"host": Host(ENVIRON)})
        assert bench.hows() == {"one/0": "ran"}

    def test_a_step_that_takes_too_long_is_tried_again_and_then_a_failure(self, bench):
        with pytest.raises(StepFailed, match=r"timeout: it took more than 0\.2 s") as caught:
            bench.run(self.hosted("sleep 60"), tools={"host": Host(ENVIRON)}, policy=Policy(timeout=0.2, retries=1))
        assert caught.value.reason == "timeout"
        assert [e.reason for e in bench.seen.events if isinstance(e, events.StepRetried)] == ["timeout"]

    def test_a_file_that_says_what_is_published_may_name_places(self, bench):
        said = {"publisher_type": "fromyaml-pub", "yamlfile": "said.yml"}
        first = stage("one", 'touch f; echo "f: $PWD/f" > said.yml', {}, None, environment=HERE, publisher=said)
        second = stage(
            "two",
            "test -f {f} && touch {out}",
            {"f": {"step": "one", "output": "f"}, "out": "{workdir}/o"},
            {},
            environment=HERE,
        )
        finished = bench.run(workflow(first, second), tools={"host": Host(ENVIRON)})
        assert finished.records[0].document()["published"] == {"f": "one/0/f"}
        bench.run(workflow(first, second), tools={"host": Host(ENVIRON)})
        assert bench.counted() == {"kept": 2}
