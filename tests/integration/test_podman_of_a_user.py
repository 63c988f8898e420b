"""The podman of an ordinary user: a user of its own for the test, with a home and a store of images of theirs."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recast_dm.images import engine
from recast_dm.images.blobs import Blobs
from recast_dm.images.sources import FromEngine
from recast_dm.runtimes import Job, Runtime, runner_id
from recast_dm.runtimes.podman import Podman
from tests import somebody

IMAGE = "recast-dm/toy:1.0"
USER = "recast-dm-test"

CLOSED = {
    "being root": "test $(id -u) = 0",
    "a capability": "grep -q 'Cap[EB].*:.*[1-9a-f]' /proc/self/status",
    "new privileges": "grep -q 'NoNewPrivs:.*0' /proc/self/status",
    "a network interface": "test $(grep -c : /proc/net/dev) -gt 1",
    "a namespace of its own": "unshare --user true",
    "writing to the image": "touch /usr/x || touch /etc/x",
    "more processes than allowed": (
        "python3 -c 'import os\nfor _ in range(600): os.fork() or os._exit(os.system(\"sleep 5\"))'"
    ),
    "more memory than allowed": "python3 -c 'bytearray(5 * 2**30)'",
}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("podman", "newuidmap", "useradd"))):
        why = "an ordinary user of podman is made by root, with useradd and newuidmap"
        if os.geteuid() == 0 and os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and {why}")
        pytest.skip(f"not run: {why}")
    place = Path(tempfile.mkdtemp(prefix="recast-dm-user-"))
    subprocess.run(["useradd", "--home-dir", str(place), "--user-group", USER], check=True)
    os.chown(place, *ids())
    yield place
    as_user(place, lambda: subprocess.run(["podman", "system", "migrate"], check=False, capture_output=True).returncode)
    subprocess.run(["userdel", USER], check=True)
    shutil.rmtree(place)


def ids() -> tuple[int, int]:
    entry = pwd.getpwnam(USER)
    return entry.pw_uid, entry.pw_gid


def as_user(home: Path, what: Callable[[], object]) -> object:
    """What a function gives in a process of the user, in whose home it starts."""

    def at_home() -> object:
        os.chdir(home)
        path = os.environ["PATH"]
        os.environ.clear()
        os.environ.update({"HOME": str(home), "PATH": path, "USER": USER})
        engine._podman_store.cache_clear()
        return what()

    return somebody.as_user(*ids(), at_home)


def everything(layout: Path, taken: list) -> dict[str, object]:
    """One session of the user: the image comes, a job runs, each probe is tried, and nothing is left."""
    engine.load("podman", layout, taken, [[IMAGE]])
    runtime = Podman()
    image = runtime.image(IMAGE)

    def run(name: str, command: str) -> tuple[int, str, Path]:
        place = Path.cwd() / name
        (place / "work").mkdir(parents=True)
        job = Job(
            name=f"recast-dm-user-{os.getpid()}-{next(numbers)}",
            run="user",
            runner=runner_id(),
            image=image,
            argv=("sh", "-c", command),
            workdir=place / "work",
            inputs=(),
            user=(os.getuid(), os.getgid()),
            log=place / "log",
        )
        return runtime.run(job, lambda _: None).exit_code, (place / "log").read_text(), place / "work"

    numbers = itertools.count()
    codes: dict[str, int] = {}
    worked, said, work = run("Zürich, at work", "touch /workdir/f && id -u; exit 3")
    for name, command in CLOSED.items():
        codes[name] = run(name, command)[0]
    return {
        "image": image,
        "isolation": runtime.about().isolation,
        "job": (worked, said.split()[-1:], (work / "f").stat().st_uid),
        "succeeded": [name for name, code in codes.items() if code == 0],
        "left": runtime.sweep("user"),
        "driver": engine.command("podman")[-1],
    }


def test_an_ordinary_user_runs_containers_without_setting_anything(home: Path, docker: Runtime, tmp_path: Path) -> None:
    shared = Blobs(home / "layers")
    taken = list(FromEngine("docker").take([IMAGE], shared).values())
    for path in (shared.root, *shared.root.rglob("*")):
        os.chown(path, *ids())
    found = as_user(home, lambda: everything(shared.root, taken))
    assert isinstance(found, dict)
    assert found["image"] == docker.image(IMAGE)
    assert "started without root" in found["isolation"]
    uid = ids()[0]
    assert found["job"] == (3, [str(uid)], uid)
    assert (found["succeeded"], found["left"], found["driver"]) == ([], 0, "overlay")
