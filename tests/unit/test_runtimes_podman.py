"""podman's command line as a pure function, and how its settings are found."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from recast_dm.errors import ToolMissing
from recast_dm.images import engine
from recast_dm.runtimes.podman import HOSTS, Podman, Settings, _delegated, _held, argv, isolation
from tests.jobs import JOB

ROOTFUL = Settings(reach=("podman", "--runtime", "runc"), init="/usr/bin/tini-static", files=20000, processes=32768)
ROOTLESS = replace(ROOTFUL, reach=("podman",), rootless=True, limits=(), held=())


def test_the_whole_command_line_of_root():
    assert argv(JOB, ROOTFUL) == (
        *("podman", "--runtime", "runc"),
        *("run", "--name", "recast-dm-1-count.0", "--cidfile", "/runs/1/.attempts/count.0.1/log.cid"),
        *("--label", "org.recast-dm.run=1", "--label", "org.recast-dm.runner=42.7"),
        *("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777,size=1024"),
        *("--user", "64077:64077", "--pull", "never"),
        *("--init", "--init-path", "/usr/bin/tini-static"),
        *("--log-driver", "passthrough", "--read-only-tmpfs=false", "--shm-size", "65536k"),
        *("--http-proxy=false", "--passwd=false", "--sdnotify", "ignore"),
        *("--unsetenv", "container", "--unsetenv", "TERM"),
        *("--mount", f"type=bind,src={HOSTS},dst=/etc/hosts,ro"),
        *("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=32768:32768"),
        *("--pids-limit", "99", "--memory", "1073741824", "--cpus", "1.5"),
        *("--mount", "type=bind,src=/runs/1/.attempts/count.0.1/work,dst=/workdir"),
        *("--mount", "type=bind,src=/runs/1/a b/0,dst=/inputs/0,ro"),
        *("--mount", 'type=bind,"src=/capsule,x/data",dst=/inputs/1,ro'),
        *("--env", "HOME=/tmp", "--env", "LC_ALL=C.UTF-8", "--env", "LOGNAME=recast", "--env", "OMP_NUM_THREADS=1"),
        *("--env", "RECAST_DM_P0=a\nb=c", "--env", "TMPDIR=/tmp", "--env", "TZ=UTC", "--env", "USER=recast"),
        *("--entrypoint", "sh", "sha256:abc", "-c", "echo 'a b' $X"),
    )


def added(words: tuple[str, ...], to: tuple[str, ...]) -> set[str]:
    return set(words) - set(to)


def test_an_ordinary_user_keeps_their_uid_and_is_limited_by_rlimits_where_no_cgroup_is_theirs():
    words, other = argv(JOB, ROOTLESS), argv(JOB, ROOTFUL)
    assert added(words, other) == {"--userns", "keep-id", "nproc=99:99", "data=1073741824:1073741824"}
    assert added(other, words) == {
        *("--runtime", "runc", "nproc=32768:32768"),
        *("--pids-limit", "99", "--memory", "1073741824", "--cpus", "1.5"),
    }


def test_controllers_that_are_delegated_are_used():
    words = argv(JOB, replace(ROOTLESS, limits=("pids", "memory"), held=("pids", "memory")))
    assert words[words.index("--memory") + 1] == "1073741824"
    assert "nproc=32768:32768" in words
    assert not {"--cpus", "data=1073741824:1073741824"} & set(words)


def test_with_selinux_the_user_s_files_can_be_read():
    assert added(argv(JOB, replace(ROOTFUL, selinux=True)), argv(JOB, ROOTFUL)) == {"label=disable"}


@pytest.mark.parametrize("command", [("sh", "-c", "x"), ("/bin/bash", "x.sh")])
def test_without_a_program_for_it_a_shell_is_process_1(command):
    words = argv(replace(JOB, argv=command), replace(ROOTFUL, init=None))
    assert "--init" not in words
    assert words[words.index("--entrypoint") :] == (
        *("--entrypoint", "sh", "sha256:abc", "-c", '"$@"; exit $?', "sh"),
        *command,
    )


def test_an_image_without_a_shell_starts_without_one():
    words = argv(replace(JOB, argv=("/nothing",)), replace(ROOTFUL, init=None))
    assert words[words.index("--entrypoint") :] == ("--entrypoint", "/nothing", "sha256:abc")


def test_what_is_not_enforced_is_said():
    assert isolation(ROOTFUL)[-1] == "pids, memory and cpu limits"
    assert isolation(ROOTLESS)[-4:] == (
        "started without root",
        "limit of the user's processes, by rlimit",
        "memory limit of each process, by rlimit: no cgroup",
        "no cpu limit: no cgroup",
    )


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("memory.max 4294967296\npids.max 512\ncpu.max 100000 100000", ("pids", "memory", "cpu")),
        (
            "memory/memory.limit_in_bytes 4294967296\npids/pids.max 512\ncpu/cpu.cfs_quota_us 100000",
            ("pids", "memory", "cpu"),
        ),
        ("memory.max max\npids.max 512\ncpu.max max 100000", ("pids",)),
        ("memory/memory.limit_in_bytes 9223372036854771712\npids/pids.max max\ncpu/cpu.cfs_quota_us -1", ()),
        ("", ()),
        ("nonsense", ()),
    ],
)
def test_the_limits_that_a_container_sees(said, held):
    assert _held(said) == held


def test_the_controllers_that_systemd_delegates(tmp_path):
    assert _delegated(tmp_path, 1000) == ()
    session = tmp_path / "user.slice/user-1000.slice/user@1000.service"
    session.mkdir(parents=True)
    (session / "cgroup.controllers").write_text("cpuset memory pids\n")
    assert _delegated(tmp_path, 1000) == ("pids", "memory")
    assert _delegated(tmp_path, 1001) == ()


class TestStore:
    """Which storage driver an ordinary user's podman gets."""

    OVERLAY = ("--storage-driver", "overlay")

    @pytest.fixture
    def store(self, tmp_path):
        place = tmp_path / ".local/share/containers/storage"
        place.mkdir(parents=True)
        return place

    def test_an_overlay_store_is_named(self, tmp_path, store):
        (store / "overlay-images").mkdir()
        (store / "vfs-images").mkdir()
        assert engine.store_words({"HOME": str(tmp_path)}) == self.OVERLAY

    def test_a_vfs_store_is_kept(self, tmp_path, store):
        (store / "vfs-images").mkdir()
        assert engine.store_words({"HOME": str(tmp_path)}) == ()

    def test_what_the_user_chose_is_kept(self, tmp_path, store):
        assert engine.store_words({"HOME": str(tmp_path), "STORAGE_DRIVER": "vfs"}) == ()
        (tmp_path / ".config/containers").mkdir(parents=True)
        (tmp_path / ".config/containers/storage.conf").touch()
        assert engine.store_words({"HOME": str(tmp_path)}) == ()

    @pytest.mark.parametrize(("code", "words"), [(0, OVERLAY), (125, ())])
    def test_a_new_store_is_made_with_overlay_where_that_works(self, tmp_path, store, monkeypatch, code, words):
        stub(tmp_path, monkeypatch, f"exit {code}")
        assert engine.store_words({"HOME": str(tmp_path)}) == words


def stub(place: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A podman that does what a script says; `$*` are its words."""
    (place / "bin").mkdir()
    (place / "bin/podman").write_text(f"#!/bin/sh\n{script}\n")
    (place / "bin/podman").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}/bin:{os.environ['PATH']}")


class TestAbout:
    def test_none(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ToolMissing, match="the command `podman` is not installed") as caught:
            Podman().about()
        assert "apt-get install -y podman uidmap" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        ("said", "hint"),
        [
            ('exec: "newuidmap": executable file not found in $PATH', "apt-get install -y uidmap"),
            ("cannot find UID/GID for user x: no subuid ranges found", "--add-subuids 100000-165535"),
            ("something else", None),
        ],
    )
    def test_one_that_starts_nothing_says_why(self, tmp_path, monkeypatch, said, hint):
        stub(
            tmp_path,
            monkeypatch,
            f"case \"$*\" in *--version) echo podman version 5.0;; *) echo '{said}' >&2; exit 125; esac",
        )
        with pytest.raises(ToolMissing, match="podman cannot start a container: ") as caught:
            Podman().about()
        assert said in caught.value.message
        assert (caught.value.hint is None) if hint is None else (hint in (caught.value.hint or ""))

    def test_words_are_tried_until_a_container_starts(self, tmp_path, monkeypatch):
        stub(
            tmp_path,
            monkeypatch,
            'case "$*" in *--version) echo podman version 5.0;; *--cgroup-manager*) echo pids.max 512;; '
            f'*) echo "$*" >> {tmp_path}/tried; exit 126; esac',
        )
        about = Podman().about()
        assert about.version == "5.0"
        assert "pids limit" in about.isolation
        assert "memory limit of each process, by rlimit: no cgroup" in about.isolation
        assert (tmp_path / "tried").read_text().count("--rootfs") >= 1
