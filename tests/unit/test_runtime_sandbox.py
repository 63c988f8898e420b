"""The sandbox's command lines, word by word."""

from pathlib import Path

from recast_dm.images import fake
from recast_dm.runtimes import Job, Limits
from recast_dm.runtimes.sandbox import bubblewrap


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


def test_a_job_is_closed_by_default(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/passwd").write_text("")
    (tree / "usr").mkdir()
    (tree / "sys").mkdir()
    (tree / "bin").symlink_to("usr/bin")
    each = job(tmp_path)
    words = " ".join(bubblewrap.argv(each, tree, 3, bubblewrap.mounts(each, tree)))
    before, _, rest = words.partition(" --clearenv ")
    assert before == (
        "bwrap --unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup-try "
        "--disable-userns --die-with-parent --cap-drop ALL --uid 1000 --gid 100 --json-status-fd 3"
    )
    assert rest[rest.index("--symlink") :] == (
        f"--symlink usr/bin /bin --dir /etc --ro-bind {tree}/etc/passwd /etc/passwd --ro-bind {tree}/usr /usr "
        "--perms 1777 --size 9 --tmpfs /tmp --proc /proc --dev /dev --bind /w d /workdir --ro-bind /i /inputs/0 "
        "--ro-bind /f /etc/of/it --remount-ro / --chdir /workdir -- sh -c true"
    )


def test_root_becomes_the_user_before_anything_else_starts(tmp_path: Path) -> None:
    words = bubblewrap.staged(job(tmp_path), Path("/t"), ("bwrap",))
    assert words[:4] == ("unshare", "--mount", "--propagation", "private")
    assert words[9:14] == ("/t", "/w d", "/i", "/f", "--")
    assert " ".join(words[14:]) == (
        "setpriv --reuid 1000 --regid 100 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs bwrap"
    )


def test_limits_count_what_the_user_runs_already(tmp_path: Path) -> None:
    assert bubblewrap.limited(job(tmp_path), 3) == ("prlimit", "--nproc=10", "--data=5", "--core=0", "--")
