"""One class that every runtime passes: real ones start containers, the fake acts on the host."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recast_dm.config import container_user
from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits, Outcome, Runtime, _space, runner_id
from recast_dm.runtimes.docker import RUN_LABEL, Docker
from recast_dm.runtimes.fake import FakeRuntime

IMAGE = "recast-dm/toy:1.0"


def on_the_host(job: Job) -> int:
    """What a container would do, with the host's own paths."""

    def here(text: str) -> str:
        for n, place in enumerate(job.inputs):
            text = text.replace(f"/inputs/{n}", str(place))
        return text.replace("/workdir", str(job.workdir))

    with job.log.open("ab") as log:
        done = subprocess.run(
            [here(word) for word in job.argv],
            input=None if job.stdin is None else here(job.stdin).encode(),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **job.env},
            cwd=job.workdir,
            check=False,
        )
    return done.returncode


@pytest.fixture(params=["docker", "podman", "sandbox", "unshare", "fake"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if request.param == "fake":
        return FakeRuntime({IMAGE: on_the_host})
    found: Runtime = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["docker", "podman", "sandbox", "unshare"])
def container(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime that starts real containers."""
    found: Runtime = request.getfixturevalue(request.param)
    return found


Start = Callable[..., Outcome]


@pytest.fixture
def image(runtime: Runtime) -> Image:
    found = runtime.image(IMAGE)
    assert found is not None
    return found


@pytest.fixture
def start(runtime: Runtime, image: Image, tmp_path: Path) -> Start:
    """Runs a shell command in `tmp_path/work`."""
    work = tmp_path / "work"
    work.mkdir()
    os.chown(work, *container_user())
    count = iter(range(100))

    def begin(command: str, line: Callable[[str], None] = lambda _: None, **changes: object) -> Outcome:
        fields: dict = {
            "name": f"recast-dm-test-{os.getpid()}-{tmp_path.name}-{next(count)}",
            "run": f"test-{os.getpid()}",
            "runner": runner_id(),
            "image": image,
            "argv": ("sh", "-c", command),
            "workdir": work,
            "inputs": (),
            "user": container_user(),
            "log": tmp_path / "log",
        }
        (tmp_path / "log.cid").unlink(missing_ok=True)
        return runtime.run(Job(**{**fields, **changes}), line)

    return begin


class TestRuntime:
    def test_says_who_it_is(self, runtime: Runtime) -> None:
        about = runtime.about()
        assert about.name
        assert about.version
        assert about.isolation

    def test_an_image_that_is_not_there_is_none(self, runtime: Runtime) -> None:
        assert runtime.image("recast-dm/no-such-image:0") is None

    def test_an_image_is_found_by_its_id_too(self, runtime: Runtime, image: Image) -> None:
        by_id = runtime.image(image.image_id)
        assert by_id is not None
        assert by_id.diff_ids == image.diff_ids

    @pytest.mark.parametrize("code", [0, 1, 3, 125, 126])
    def test_exit_codes_arrive(self, start: Start, code: int) -> None:
        assert start(f"exit {code}").exit_code == code

    def test_output_goes_to_the_log(self, start: Start, tmp_path: Path) -> None:
        start("echo out; echo err >&2; printf 'no newline'")
        log = (tmp_path / "log").read_text()
        assert "out\n" in log
        assert "err\n" in log
        assert "no newline" in log

    def test_files_written_in_the_workdir_stay(self, start: Start, tmp_path: Path) -> None:
        start("echo 'a b' > '/workdir/ü x.txt'")
        assert (tmp_path / "work" / "ü x.txt").read_text() == "a b\n"

    def test_inputs_lie_where_the_engine_says(self, start: Start, tmp_path: Path) -> None:
        places = []
        for name in ("first, with = odd 'name'", "zweiter"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "x").write_text(name)
            (tmp_path / name / "x").chmod(0o444)
            places.append(tmp_path / name)
        start('cat "/inputs/0/x" "/inputs/1/x" > /workdir/y', inputs=tuple(places))
        assert (tmp_path / "work" / "y").read_text() == "first, with = odd 'name'zweiter"

    def test_a_script_comes_by_standard_input(self, start: Start, tmp_path: Path) -> None:
        start("", argv=("sh",), stdin="echo from a script > /workdir/y\n")
        assert (tmp_path / "work" / "y").read_text() == "from a script\n"

    def test_the_environment_is_set(self, start: Start, tmp_path: Path) -> None:
        start('printf %s "$GREETING" > /workdir/y', env={"GREETING": "a 'b' \"c\" $d\nü"})
        assert (tmp_path / "work" / "y").read_text() == "a 'b' \"c\" $d\nü"

    def test_sweeping_an_unknown_run_removes_nothing(self, runtime: Runtime) -> None:
        assert runtime.sweep("no-such-run") == 0


class TestContainer:
    """What only a real container can show, of every runtime that starts some."""

    @pytest.fixture
    def runtime(self, container: Runtime) -> Runtime:
        return container

    def test_output_is_streamed(self, start: Start) -> None:
        seen: list[tuple[str, float]] = []
        start("echo one; sleep 1; echo two", line=lambda text: seen.append((text, time.monotonic())))
        assert [text for text, _ in seen] == ["one", "two"]
        assert seen[1][1] - seen[0][1] > 0.5

    def test_a_timeout_ends_everything_in_it(self, start: Start) -> None:
        outcome = start("sleep 300 & sleep 300", timeout=1.0)
        assert outcome.reason == "timeout"
        assert outcome.exit_code != 0

    def test_a_signal_is_told_as_a_shell_tells_it(self, start: Start) -> None:
        outcome = start("kill -TERM $$")
        assert (outcome.exit_code, outcome.reason) == (143, "")

    def test_what_it_writes_belongs_to_its_user(self, start: Start, tmp_path: Path) -> None:
        start("mkdir /workdir/d; touch /workdir/d/f")
        status = (tmp_path / "work" / "d" / "f").stat()
        assert (status.st_uid, status.st_gid) == container_user()

    def test_directories_that_only_the_caller_enters_are_reached(self, start: Start, tmp_path: Path) -> None:
        given = tmp_path / "given"
        given.mkdir()
        (given / "x").write_text("x")
        tmp_path.chmod(0o700)
        assert start("cat /inputs/0/x > /workdir/y", inputs=(given,)).exit_code == 0

    def test_scratch_and_files_lie_where_they_are_asked_for(self, start: Start, tmp_path: Path) -> None:
        scratch, file = tmp_path / "scratch", tmp_path / "file"
        scratch.mkdir()
        os.chown(scratch, *container_user())
        file.write_text("mounted\n")
        file.chmod(0o444)
        places = {"cwd": "/scratch", "scratch": scratch, "files": ((file, "/etc/of/the job"),)}
        assert start("pwd > here && cat '/etc/of/the job' >> here", **places).exit_code == 0
        assert (scratch / "here").read_text() == "/scratch\nmounted\n"

    def test_too_much_memory_is_not_given(self, start: Start) -> None:
        assert start("python3 -c 'x = bytearray(10**9)'", limits=Limits(memory=64 * 1024**2)).exit_code != 0

    def test_sweeping_ends_what_runs(self, start: Start, runtime: Runtime) -> None:
        began = threading.Event()
        results: list[Outcome] = []
        run = f"sweep-{os.getpid()}"
        thread = threading.Thread(
            target=lambda: results.append(start("echo up; sleep 300", line=lambda _: began.set(), run=run))
        )
        thread.start()
        assert began.wait(30)
        assert runtime.sweep(run) == 1
        thread.join(30)
        assert results[0].exit_code != 0


class TestDocker:
    """What only docker's containers can show."""

    @pytest.fixture
    def runtime(self, docker: Docker) -> Runtime:
        return docker

    def test_no_container_is_left_behind(self, start: Start, docker: Docker) -> None:
        start("exit 0")
        start("exit 1")
        assert not docker._engine().containers.list(all=True, filters={"label": f"{RUN_LABEL}=test-{os.getpid()}"})

    def test_a_container_that_needs_too_much_memory_is_ended_and_says_so(self, start: Start) -> None:
        outcome = start("python3 -c 'x = bytearray(10**9)'", limits=Limits(memory=64 * 1024**2))
        assert outcome.exit_code != 0
        assert outcome.reason == "out of memory"

    def test_sweeping_ends_what_runs(self, start: Start, docker: Docker) -> None:
        began = threading.Event()
        results: list[Outcome] = []
        thread = threading.Thread(
            target=lambda: results.append(start("echo up; sleep 300", line=lambda _: began.set(), run="sweep-me"))
        )
        thread.start()
        assert began.wait(30)
        assert docker.sweep("sweep-me") == 1
        thread.join(30)
        assert results[0].exit_code != 0

    def test_containers_of_a_dead_runner_are_swept_by_the_next(self, start: Start, docker: Docker) -> None:
        began = threading.Event()
        thread = threading.Thread(
            target=lambda: start(
                "echo up; sleep 300", line=lambda _: began.set(), run="left", runner=f"999999.1.{_space()}"
            )
        )
        thread.start()
        assert began.wait(30)
        assert docker.sweep("another-run") == 1
        thread.join(30)

    def test_the_log_does_not_grow_our_memory(self, start: Start, tmp_path: Path) -> None:
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start("yes 0123456789012345678901234567890123456789 | head -c 50000000; head -c 50000000 /dev/zero")
        assert (tmp_path / "log").stat().st_size == 100_000_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


PROBES = {
    "the network": "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 3)'",
    "a network interface": "test $(ls /sys/class/net | grep -vc '^lo$') -gt 0",
    "being root": "test $(id -u) = 0",
    "being in root's group": "id -G | tr ' ' '\\n' | grep -qx 0",
    "a capability": "grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
    "a capability to gain": "grep -q 'CapBnd:.*[1-9a-f]' /proc/self/status",
    "new privileges": "grep -q 'NoNewPrivs:.*0' /proc/self/status",
    "writing to the image": "touch /usr/x || touch /etc/x || touch /x",
    "writing to an input": "touch /inputs/0/x || echo y > /inputs/0/f",
    "removing an input": "rm /inputs/0/f",
    "the host's shadow file": "cat /etc/shadow",
    "the host's processes": "test $(ls /proc | grep -c '^[0-9]') -gt 20",
    "the docker socket": "ls /var/run/docker.sock /run/docker.sock",
    "making a device": "mknod /tmp/d b 8 0",
    "mounting": "mount -t tmpfs none /tmp",
    "the host's environment": "env | grep -q RECAST_DM_PROBE_SECRET",
    "more processes than allowed": (
        "python3 -c 'import os\nfor _ in range(600): os.fork() or os._exit(os.system(\"sleep 5\"))'"
    ),
}


@pytest.mark.parametrize("probe", PROBES)
def test_a_container_is_closed(probe: str, container: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each probe tries something that a step has no business doing; none succeeds."""
    monkeypatch.setenv("RECAST_DM_PROBE_SECRET", "hunter2")
    work, given = tmp_path / "work", tmp_path / "input"
    work.mkdir()
    os.chown(work, *container_user())
    given.mkdir()
    given.chmod(0o777)
    (given / "f").write_text("kept")
    (given / "f").chmod(0o666)
    job = Job(
        name=f"recast-dm-probe-{os.getpid()}-{list(PROBES).index(probe)}",
        run="probe",
        runner=runner_id(),
        image=container.image(IMAGE),
        argv=("sh", "-c", PROBES[probe]),
        workdir=work,
        inputs=(given,),
        user=container_user(),
        log=tmp_path / "log",
    )
    outcome = container.run(job, lambda _: None)
    assert outcome.exit_code != 0, (tmp_path / "log").read_text()
    assert (given / "f").read_text() == "kept"


def test_a_probe_can_succeed(container: Runtime, tmp_path: Path) -> None:
    """The probes above fail for what they try, not because nothing runs in that image."""
    work = tmp_path / "work"
    work.mkdir()
    os.chown(work, *container_user())
    job = Job(
        name=f"recast-dm-probe-{os.getpid()}-good",
        run="probe",
        runner=runner_id(),
        image=container.image(IMAGE),
        argv=("sh", "-c", "touch /workdir/x /tmp/y && test $(id -u) != 0 && python3 -c 'import socket'"),
        workdir=work,
        inputs=(),
        user=container_user(),
        log=tmp_path / "log",
    )
    assert container.run(job, lambda _: None).exit_code == 0
