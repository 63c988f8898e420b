"""apptainer's command line as a pure function. No apptainer can be installed here: no container of it is started."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recast_dm.errors import ToolMissing
from recast_dm.model import Image
from recast_dm.runtimes import Job, runner_id
from recast_dm.runtimes.apptainer import Apptainer, Start, argv
from tests import jobs

CONFIG = {"env": ["LANG=C", "PATH=/opt/bin:/bin"], "workdir": "/opt/x"}
JOB = replace(
    jobs.JOB,
    image=Image(reference="a:1", image_id="sha256:abc", diff_ids=("sha256:x",), platform="linux/amd64", config=CONFIG),
    inputs=(Path("/runs/1/a b/0"), Path("/capsule,x:y/data")),
    user=(1000, 1000),
)
START = Start(program="apptainer", tree=Path("/cache/rootfs/trees/abc"), tmp=Path("/runs/tmp"), root=False, running=7)


def test_the_whole_command_line():
    assert argv(JOB, START) == (
        *("prlimit", "--nproc=106", "--data=1073741824", "--core=0", "--"),
        *("apptainer", "--silent", "exec", "--containall", "--cleanenv", "--no-home", "--no-umask", "--uts"),
        *("--net", "--network", "none", "--no-mount", "home,cwd,tmp,sys,hostfs,bind-paths"),
        *("--mount", "type=bind,src=/runs/tmp,dst=/tmp"),
        *("--mount", "type=bind,src=/runs/1/.attempts/count.0.1/work,dst=/workdir"),
        *("--mount", "type=bind,src=/runs/1/a b/0,dst=/inputs/0,ro"),
        *("--mount", 'type=bind,"src=/capsule,x:y/data",dst=/inputs/1,ro'),
        *("--pwd", "/opt/x", "/cache/rootfs/trees/abc", "/usr/bin/env", "-i"),
        *("HOME=/tmp", "LANG=C", "LC_ALL=C.UTF-8", "LOGNAME=recast", "OMP_NUM_THREADS=1", "PATH=/opt/bin:/bin"),
        *("RECAST_DM_P0=a\nb=c", "TMPDIR=/tmp", "TZ=UTC", "USER=recast"),
        *("sh", "-c", "echo 'a b' $X"),
    )


def test_root_becomes_the_user_of_the_job():
    words = argv(JOB, replace(START, root=True))
    assert set(words) - set(argv(JOB, START)) == {"--no-privs", "--security", "uid:1000", "gid:1000"}


def test_scratch_files_and_a_directory():
    words = argv(
        replace(JOB, cwd="/scratch", scratch=Path("/runs/scratch"), files=((Path("/runs/m"), "/cfg/x,y.json"),)), START
    )
    assert "type=bind,src=/runs/scratch,dst=/scratch" in words
    assert 'type=bind,src=/runs/m,"dst=/cfg/x,y.json",ro' in words
    assert words[words.index("--pwd") + 1] == "/scratch"


def test_an_image_without_env_starts_without_it():
    words = argv(replace(JOB, argv=("/nothing",)), replace(START, env=False))
    assert words[-2:] == ("/cache/rootfs/trees/abc", "/nothing")


def test_none_says_what_mends_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="neither `apptainer` nor `singularity` is installed") as caught:
        Apptainer(tmp_path).about()
    assert "dnf install apptainer" in (caught.value.hint or "")


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A singularity that does what a script says in place of starting a container."""

    def write(script: str) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/singularity").write_text(f"#!/bin/sh\n[ $1 = --version ] && exec echo version 3.8\n{script}\n")
        (tmp_path / "bin/singularity").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")

    return write


@pytest.fixture
def started(tmp_path) -> Job:
    (tmp_path / "work").mkdir()
    return replace(JOB, workdir=tmp_path / "work", inputs=(), log=tmp_path / "log", runner=runner_id())


def test_about_tells_the_version_of_what_is_here(stub, tmp_path):
    stub("exit 0")
    about = Apptainer(tmp_path).about()
    assert (about.name, about.version) == ("apptainer", "version 3.8")
    assert "limit of the user's processes, by rlimit" in about.isolation


def test_one_that_starts_nothing_is_missing(stub, tmp_path):
    stub("echo FATAL: no network namespaces; exit 255")
    with pytest.raises(ToolMissing, match="singularity cannot start a closed container: FATAL: no network"):
        Apptainer(tmp_path).about()


def test_exit_codes_output_and_variables(stub, tmp_path, started, monkeypatch):
    monkeypatch.setenv("SINGULARITY_BIND", "/data")
    stub('echo "bind $SINGULARITY_BIND."; exit 3')
    said: list[str] = []
    assert Apptainer(tmp_path).run(started, said.append).exit_code == 3
    assert said == ["bind ."]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "log", "work"]


def test_what_takes_too_long_is_ended_with_all_its_processes(stub, tmp_path, started):
    stub("sleep 300 & sleep 300")
    began = time.monotonic()
    outcome = Apptainer(tmp_path).run(replace(started, timeout=0.5), lambda _: None)
    assert (outcome.exit_code, outcome.reason) == (137, "timeout")
    assert time.monotonic() - began < 20
