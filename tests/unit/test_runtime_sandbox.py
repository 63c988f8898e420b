"""The sandbox's command lines, word by word."""

import os
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recast_dm.images import fake
from recast_dm.images.rootfs import MOUNT_POINTS
from recast_dm.runtimes import Job, Limits
from recast_dm.runtimes.sandbox import bubblewrap, inside, unprivileged, unshared


def job(tmp_path: Path) -> Job:
    return Job(
        name="n",
        run="r",
        runner="1.2.3",
        image=fake.image("x:1"),
        argv=("sh", "-c", "true"),
        workdir=Path("/w d"),
        inputs=(Path("/i"),),
        user=(1000, 100),
        log=tmp_path / "log",
        limits=Limits(memory=5, pids=7, tmp=9),
        cwd="/workdir",
        files=((Path("/f"), "/etc/of/it"),),
    )


def tree_of(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("")
    (tree / "usr").mkdir()
    (tree / "sys").mkdir()
    (tree / "bin").symlink_to("usr/bin")
    return tree


def files_of(tree: Path) -> str:
    return (
        f"--symlink usr/bin /bin --dir /etc --ro-bind {tree}/etc/passwd /etc/passwd --ro-bind {tree}/usr /usr "
        "--tmpfs /inputs --perms 1777 --size 9 --tmpfs /tmp --proc /proc --dev /dev --bind /w d /workdir "
        "--ro-bind /i /inputs/0 --ro-bind /f /etc/of/it --remount-ro /inputs --remount-ro /"
    )


def test_a_job_is_closed_by_default(tmp_path: Path) -> None:
    tree, each = tree_of(tmp_path), job(tmp_path)
    words = " ".join(bubblewrap.argv(each, tree, inside.mounts(each, tree), 3, block=4))
    before, _, rest = words.partition(" --clearenv ")
    assert before == (
        "bwrap --block-fd 4 --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net "
        "--unshare-cgroup-try --disable-userns --die-with-parent --cap-drop ALL --uid 1000 --gid 100 "
        "--json-status-fd 3"
    )
    assert rest[rest.index("--symlink") :] == f"{files_of(tree)} --chdir /workdir -- sh -c true"


def test_a_tree_with_all_mount_points_is_shown_at_once(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    for name in MOUNT_POINTS:
        (tree / name.removeprefix("/")).mkdir(exist_ok=True)
    each = replace(job(tmp_path), files=())
    assert inside.files(each, tree, inside.mounts(each, tree))[:5] == (
        "--ro-bind",
        str(tree),
        "/",
        "--tmpfs",
        "/inputs",
    )


def test_root_needs_no_user_namespace_for_unshare_and_others_do() -> None:
    mine, roots = (" ".join(unshared.argv(5, privileged=each)[:-6]) for each in (False, True))
    assert mine == (
        "setpriv --pdeathsig KILL unshare --user --map-root-user --mount --pid --net --ipc --uts --cgroup --fork "
        "--kill-child"
    )
    assert roots == mine.replace(" --user --map-root-user", "")


def test_the_launcher_is_asked_for_what_bubblewrap_is(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    asked = unshared.request(job(tmp_path), tree, 3, 3, privileged=True)
    assert " ".join(asked["files"]) == files_of(tree)
    assert (asked["user"], asked["cwd"], asked["argv"]) == ((1000, 100), "/workdir", ("sh", "-c", "true"))
    assert asked["limits"] == {"NPROC": 10, "DATA": 5, "CORE": 0}


def test_a_program_for_nobody_leaves_this_process_as_it_was(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    (tmp_path / "x").write_text("seen")
    before = (os.geteuid(), Path("/proc/self/status").read_text().partition("CapEff")[2].split()[1])
    words = ("sh", "-c", f"id -u; cat {unprivileged.seen(0)}; cat {tmp_path}/x 2>/dev/null || echo; cat /proc/mounts")
    start = partial(subprocess.Popen, words, stdout=subprocess.PIPE, text=True)
    with unprivileged.Started((64077, 64077), (tmp_path / "x",), start) as process:  # type: ignore[arg-type]
        said = process.communicate()[0]
    assert said.startswith("64077\nseen\n")
    assert "/sys/0" in said
    assert "/sys/0" not in Path("/proc/mounts").read_text()
    assert before == (os.geteuid(), Path("/proc/self/status").read_text().partition("CapEff")[2].split()[1])


def test_what_cannot_be_started_is_told_where_it_was_asked_for(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with pytest.raises(FileNotFoundError):
        unprivileged.Started((64077, 64077), (tmp_path,), partial(subprocess.Popen, ("/no-such-program",)))
    with pytest.raises(OSError, match="mount"):
        unprivileged.Started((64077, 64077), (tmp_path / "gone",), partial(subprocess.Popen, ("true",)))
