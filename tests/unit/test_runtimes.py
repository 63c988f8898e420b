"""docker's command line as a pure function, and what else of a runtime needs no engine."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recast_dm import runtimes
from recast_dm.errors import ToolMissing, UsageError
from recast_dm.runtimes import Runtime, runner_id, runner_lives
from recast_dm.runtimes.command_line import bind
from recast_dm.runtimes.docker import argv
from recast_dm.runtimes.fake import FakeRuntime
from tests.jobs import JOB


def test_the_whole_command_line():
    assert argv(JOB) == (
        *("docker", "run", "--name", "recast-dm-1-count.0", "--cidfile", "/runs/1/.attempts/count.0.1/log.cid"),
        *("--label", "org.recast-dm.run=1", "--label", "org.recast-dm.runner=42.7"),
        *("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777,size=1024"),
        *("--user", "64077:64077", "--pull", "never", "--init", "--log-driver", "none"),
        *("--pids-limit", "99", "--memory", "1073741824", "--cpus", "1.5"),
        *("--mount", "type=bind,src=/runs/1/.attempts/count.0.1/work,dst=/workdir"),
        *("--mount", "type=bind,src=/runs/1/a b/0,dst=/inputs/0,ro"),
        *("--mount", 'type=bind,"src=/capsule,x/data",dst=/inputs/1,ro'),
        *("--env", "HOME=/tmp", "--env", "LC_ALL=C.UTF-8", "--env", "LOGNAME=recast", "--env", "OMP_NUM_THREADS=1"),
        *("--env", "RECAST_DM_P0=a\nb=c", "--env", "TMPDIR=/tmp", "--env", "TZ=UTC", "--env", "USER=recast"),
        *("--entrypoint", "sh", "sha256:abc", "-c", "echo 'a b' $X"),
    )


def test_a_directory_files_and_variables_of_the_environment():
    """What `workdir`, `par_mounts` and `env` of a specification become."""
    words = argv(
        replace(
            JOB,
            cwd="/opt/a b",
            files=((Path("/runs/mount.0"), "/cfg/x,y.json"),),
            env={"TZ": "CET", "A": "1"},
        )
    )
    assert words[words.index("--workdir") + 1] == "/opt/a b"
    assert 'type=bind,src=/runs/mount.0,"dst=/cfg/x,y.json",ro' in words
    assert [w for w in words if w.startswith(("TZ=", "A="))] == ["A=1", "TZ=CET"]
    image = words.index("sha256:abc")
    assert all(words.index(w) < image for w in ("--workdir", "--entrypoint", "A=1"))


def test_a_scratch_directory_can_be_written_to():
    mount = "type=bind,src=/runs/1/.attempts/count.0.1/scratch,dst=/scratch"
    words = argv(replace(JOB, scratch=Path("/runs/1/.attempts/count.0.1/scratch")))
    assert words[words.index(mount) - 1] == "--mount"
    assert words.index(mount) < words.index("sha256:abc")
    assert not any("/scratch" in word for word in argv(JOB))


def test_a_script_is_the_only_thing_that_opens_stdin():
    assert "--interactive" not in argv(JOB)
    assert "--interactive" in argv(replace(JOB, stdin="echo"))


PLACES = ["/a", "/a b", "/a,b", '/a"b', '/a,b"c,d', "/a=b", "/a'b", "/readonly,src=/etc", "/Zürich", "/a\\b"]


@pytest.mark.parametrize(
    "place",
    [*PLACES, "/a\nb"],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_any_path_can_be_mounted(place, read_only):
    """docker reads --mount as one line of CSV."""
    (fields,) = csv.reader(io.StringIO(bind(Path(place), "/x", read_only=read_only), newline=""), strict=True)
    assert fields == ["type=bind", f"src={place}", "dst=/x", *(["ro"] if read_only else [])]


class TestRunner:
    def test_this_process_lives(self):
        assert runner_lives(runner_id())

    def test_a_process_that_has_ended_does_not(self):
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        runner = runner_id(process.pid)
        assert runner_lives(runner)
        process.communicate()
        assert not runner_lives(runner)

    @pytest.mark.parametrize("process", [f"{2**22 + 1}.gone", f"{2**22 + 1}.5", "1.0"])
    def test_a_process_that_is_not_here_any_more(self, process):
        here = runner_id().split(".", 2)[2]
        assert not runner_lives(f"{process}.{here}")

    @pytest.mark.parametrize("runner", ["", "x", "1", "1.0", "1.0.elsewhere-1"])
    def test_one_that_cannot_be_seen_from_here_may_live(self, runner):
        """Its containers are not ours to end: it may be on another machine, or in another namespace."""
        assert runner_lives(runner)


class TestFind:
    def test_an_unknown_name_is_exit_2(self):
        with pytest.raises(UsageError, match="there is no runtime 'dokcer'") as caught:
            runtimes.find("dokcer")
        assert "known here: auto, apptainer, docker, podman, sandbox" in (caught.value.hint or "")

    @pytest.mark.parametrize("name", ["docker", "auto"])
    def test_no_engine_is_exit_4_and_says_what_mends_it(self, name, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(ToolMissing) as caught:
            runtimes.find(name)
        assert caught.value.exit_code == 4
        assert "apt-get install -y docker.io" in (caught.value.hint or "")


def test_the_fake_is_a_runtime():
    assert isinstance(FakeRuntime({}), Runtime)
