"""One class that every runtime passes: real ones start containers, the fake acts on the host."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from recast_dm.config import container_user
from recast_dm.images import engine
from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits, Outcome, Runtime, _space, runner_id
from recast_dm.runtimes.command_line import RUN_LABEL
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.runtimes.watching import errors_of

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

    def test_standard_error_is_told_apart(self, start: Start, tmp_path: Path) -> None:
        start("echo one; echo two >&2; echo three; printf four >&2")
        assert sorted((tmp_path / "log").read_text().replace("four", "four\n").split()) == [
            "four",
            "one",
            "three",
            "two",
        ]
        assert errors_of(tmp_path / "log").read_text() == "two\nfour"

    def test_who_is_silent_on_standard_error_has_no_file_of_it(self, start: Start, tmp_path: Path) -> None:
        start("echo one")
        assert not errors_of(tmp_path / "log").exists()

    def test_a_timeout_ends_everything_in_it(self, start: Start) -> None:
        outcome = start("sleep 300 & sleep 300", timeout=1.0)
        assert outcome.reason == "timeout"
        assert outcome.exit_code != 0

    def test_a_signal_is_told_as_a_shell_tells_it(self, start: Start) -> None:
        outcome = start("kill -TERM $$")
        assert (outcome.exit_code, outcome.reason) == (143, "")

    @pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
    def test_what_is_no_program_ends_as_in_a_shell(self, start: Start, tmp_path: Path, program: str, code: int) -> None:
        assert start("", argv=(program,)).exit_code == code
        assert program in (tmp_path / "log").read_text()

    def test_what_it_writes_belongs_to_its_user(self, start: Start, tmp_path: Path) -> None:
        start("mkdir /workdir/d; touch /workdir/d/f")
        status = (tmp_path / "work" / "d" / "f").stat()
        assert (status.st_uid, status.st_gid) == container_user()

    def test_directories_that_only_the_caller_enters_are_reached(self, start: Start, tmp_path: Path) -> None:
        """Whatever they are called; the sandbox's images lie below one too."""
        private = tmp_path / "private"
        work, given = private / 'Zürich: it\'s a, = "work" ⊕', private / "eingabe, mit: \n Zeile"
        for place in (work, given):
            place.mkdir(parents=True)
        os.chown(work, *container_user())
        (given / "x").write_text("x")
        private.chmod(0o700)
        assert start("cat /inputs/0/x > /workdir/y", workdir=work, inputs=(given,)).exit_code == 0
        assert (work / "y").read_text() == "x"

    def test_programs_may_open_their_output_by_name(self, start: Start, tmp_path: Path) -> None:
        assert start("echo out > /dev/stdout; echo err | tee /dev/stderr > /dev/null").exit_code == 0
        assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]

    def test_this_machine_is_localhost_in_it(self, start: Start) -> None:
        """Alone with itself: a program may talk to its own parts."""
        script = "import socket as s; l = s.create_server(('localhost', 0)); s.create_connection(l.getsockname())"
        assert start(f'python3 -c "{script}"').exit_code == 0

    def test_a_gigabyte_of_output_does_not_grow_our_memory(self, start: Start, tmp_path: Path) -> None:
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start("yes 0123456789012345678901234567890123456789 | head -c 500000000; head -c 500000000 /dev/zero")
        assert (tmp_path / "log").stat().st_size == 1_000_000_000
        (tmp_path / "log").unlink()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000

    def test_nothing_is_left_of_a_runner_that_was_killed(self, start: Start, runtime: Runtime, tmp_path: Path) -> None:
        seconds = f"31536{os.getpid():07}"  # nothing else on this machine sleeps as long
        read, write = os.pipe()
        if (runner := os.fork()) == 0:
            try:
                up = partial(os.write, write, b"up")
                start(f"echo up; sleep {seconds}", line=lambda _: up(), run="killed", runner=runner_id())
            finally:
                os._exit(1)
        os.close(write)
        try:
            assert os.read(read, 2) == b"up"
            assert eventually(lambda: bool(sleeping(seconds)))
        finally:
            os.close(read)
            os.kill(runner, signal.SIGKILL)
            os.waitpid(runner, 0)
        runtime.sweep("another-run")
        assert eventually(lambda: not sleeping(seconds))

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


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something is so within some seconds."""
    ended = time.monotonic() + 20
    while not true() and time.monotonic() < ended:
        time.sleep(0.1)
    return true()


def sleeping(seconds: str) -> list[str]:
    """The processes of this machine, in containers and out of them, that sleep for so long."""
    lines = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(place.read_bytes())
    return [line.decode() for line in lines if line == f"sleep\0{seconds}\0".encode()]


class TestEngine:
    """What only the containers of an engine can show: they are held by cgroups, and outlive who started them."""

    @pytest.fixture(params=["docker", "podman"])
    def runtime(self, request: pytest.FixtureRequest) -> Runtime:
        found: Runtime = request.getfixturevalue(request.param)
        return found

    def test_no_container_is_left_behind(self, start: Start, runtime: Runtime, tmp_path: Path) -> None:
        start("exit 0")
        start("exit 1")
        start("sleep 300", timeout=0.5)
        assert eventually(lambda: not listed(runtime, f"{RUN_LABEL}=test-{os.getpid()}"))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.cid", "work"]

    def test_a_container_that_needs_too_much_memory_is_ended_and_says_so(self, start: Start, runtime: Runtime) -> None:
        if "pids, memory and cpu limits" not in runtime.about().isolation:
            pytest.skip("not run: no cgroup limits memory here")
        outcome = start("python3 -c 'x = bytearray(10**9)'", limits=Limits(memory=64 * 1024**2))
        assert outcome.exit_code != 0
        assert outcome.reason == "out of memory"

    def test_containers_of_a_dead_runner_are_swept_by_the_next(self, start: Start, runtime: Runtime) -> None:
        began = threading.Event()
        thread = threading.Thread(
            target=lambda: start(
                "echo up; sleep 300", line=lambda _: began.set(), run="left", runner=f"999999.1.{_space()}"
            )
        )
        thread.start()
        assert began.wait(30)
        assert runtime.sweep("another-run") == 1
        thread.join(30)


def listed(runtime: Runtime, label: str) -> list[str]:
    """The containers of an engine with a label."""
    words = (*engine.command(runtime.about().name), "ps", "--all", "--quiet", "--filter", f"label={label}")
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()
