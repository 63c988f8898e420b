"""The sandbox of an ordinary user: root becomes one in a process of its own, with a home and images of theirs."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from preserving import capture

from recast_dm.config import UNPRIVILEGED_UID
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.images.sources import FromEngine
from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits, Outcome, Runtime, runner_id
from recast_dm.runtimes.sandbox import Sandbox
from tests import somebody

ROOT = Path(__file__).parents[2]
IMAGE = "recast-dm/toy:1.0"
USER = UNPRIVILEGED_UID + 1 if os.geteuid() == 0 else os.geteuid()
T = TypeVar("T")

CLOSED = {
    "the network": "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 3)'",
    "being root": "test $(id -u) = 0",
    "a capability": "grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
    "a capability to gain": "grep -q 'CapBnd:.*[1-9a-f]' /proc/self/status",
    "new privileges": "grep -q 'NoNewPrivs:.*0' /proc/self/status",
    "writing to the image": "touch /usr/x || touch /etc/x || touch /x",
    "writing to an input": "touch /inputs/0/x || echo y > /inputs/0/f",
    "the user's own files": "cat {home}/secret",
    "the host's processes": "test $(ls /proc | grep -c '^[0-9]') -gt 20",
    "mounting": "mount -t tmpfs none /tmp",
    "a namespace of its own": "unshare --user --map-root-user true",
    "more processes than allowed": (
        "python3 -c 'import os\nfor _ in range(60): os.fork() or os._exit(os.system(\"sleep 3\"))'"
    ),
}
"""What the user's container has no business with."""


def as_user(what: Callable[[], T]) -> T:
    return somebody.as_user(USER, USER, what)


@dataclass(frozen=True, slots=True)
class Home:
    """A directory that only the user enters, and the toy image's layers beside it."""

    path: Path
    stored: Stored

    def unpack(self, runtime: Sandbox) -> None:
        shared = self.path.parent / "images"
        config = Blobs(shared).path(self.stored.image.image_id).read_bytes()
        runtime.images.add(shared, self.stored, config, [IMAGE])


@pytest.fixture(scope="module")
def home(docker: Runtime) -> Iterator[Home]:
    assert docker.image(IMAGE) is not None
    place = Path(tempfile.mkdtemp(prefix="recast-dm-user-"))
    place.chmod(0o755)
    try:
        stored = FromEngine("docker").take([IMAGE], Blobs(place / "images"))[IMAGE]
        own = place / "home"
        own.mkdir(mode=0o700)
        (own / "secret").write_text("hunter2")
        for each in (own, own / "secret"):
            os.chown(each, USER, USER)
        yield Home(own, stored)
    finally:
        shutil.rmtree(place)


@pytest.fixture(params=["bubblewrap", "unshare"])
def runtime(request: pytest.FixtureRequest, home: Home, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The user's sandbox, with the image that the user has unpacked."""
    monkeypatch.setattr(sys, "executable", reachable())
    found = Sandbox(home.path / "cache", starters=(request.param,))
    as_user(lambda: home.unpack(found))
    return found


def reachable() -> str:
    """A Python that the user can start: the one of these tests may lie in root's home."""
    for each in (sys.executable, "/usr/bin/python3"):
        if as_user(partial(os.access, each, os.X_OK)):
            return each
    pytest.fail("there is no Python that an ordinary user can start")


def ran(runtime: Sandbox, home: Home, command: str, **changes: object) -> tuple[Outcome, str]:
    """How a shell command ended that the user's container ran, and what it said."""
    place = Path(tempfile.mkdtemp(dir=home.path))
    work, given = place / "work", place / "given"
    work.mkdir()
    given.mkdir()
    (given / "f").write_text("kept")
    job = Job(
        name="user", run="user", runner=runner_id(), image=runtime.image(IMAGE), argv=("sh", "-c", command),
        workdir=work, inputs=(given,), user=(USER, USER), log=place / "log", limits=Limits(pids=40), **changes,  # type: ignore[arg-type]
    )  # fmt: skip
    outcome = runtime.run(job, lambda _: None)
    assert (given / "f").read_text() == "kept"
    written = [(path.stat().st_uid, path.read_text()) for path in work.iterdir()]
    assert {uid for uid, _ in written} <= {USER}
    return outcome, (place / "log").read_text() + "".join(text for _, text in written)


def test_what_starts_containers_needs_no_root(runtime: Sandbox) -> None:
    about = as_user(runtime.about)
    assert "no network" in about.isolation


def test_what_it_writes_is_the_users(runtime: Sandbox, home: Home) -> None:
    outcome, said = as_user(partial(ran, runtime, home, "id -u >'/workdir/a b'; cat /inputs/0/f; echo err >&2; exit 3"))
    assert (outcome.exit_code, outcome.reason) == (3, "")
    assert sorted(said.splitlines()) == [str(USER), "kepterr"]


def test_its_image_is_what_root_sees(runtime: Sandbox, home: Home) -> None:
    """Files that only root may read in the image are nobody's here, and programs run."""
    outcome, said = as_user(partial(ran, runtime, home, "python3 -c 'import idna; print(idna.__name__)'"))
    assert (outcome.exit_code, said) == (0, "idna\n")


def test_a_timeout_ends_everything_in_it(runtime: Sandbox, home: Home) -> None:
    outcome, _ = as_user(partial(ran, runtime, home, "sleep 300 & sleep 300", timeout=1.0))
    assert outcome.reason == "timeout"


@pytest.mark.parametrize("probe", CLOSED)
def test_it_is_closed(runtime: Sandbox, home: Home, probe: str) -> None:
    command = CLOSED[probe].replace("{home}", str(home.path))
    outcome, said = as_user(partial(ran, runtime, home, command))
    assert outcome.exit_code != 0, said


@pytest.fixture
def typed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`recast-dm` as the user types it, on a machine whose engines are root's."""
    python = reachable()
    packages = os.pathsep.join([*(each for each in sys.path if each.endswith("-packages")), str(ROOT)])
    become = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups") if os.geteuid() == 0 else ()
    env = {"HOME": str(home.path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": packages}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [*become, python, "-m", "recast_dm", *words]
        return subprocess.run(argv, env=env, cwd=home.path, capture_output=True, text=True, check=False)

    if run("--version").returncode != 0:
        pytest.skip(f"not run: {python} cannot read what these tests are installed with")
    return run


def test_a_user_without_any_engine_reruns_a_capsule(
    typed: Callable[..., subprocess.CompletedProcess[str]], home: Home, toy_image: Image, kept_images: Path
) -> None:
    capsule = home.path.parent / "toy.capsule"
    capture(ROOT / "tests/analyses/toy", capsule, FromEngine("docker"), kept_images)
    subprocess.run(["chmod", "-R", "a+rX", str(capsule)], check=True)
    doctor = typed("doctor", "--json")
    works = {each["name"]: each["works"] for each in json.loads(doctor.stdout)["machine"]}
    assert (doctor.returncode, works["runtime sandbox"]) == (0, True)
    done = typed("rerun", str(capsule), "--model", "spin1-axial", "--set", "m_med=900", "--set", "m_dm=1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    assert f"loading {toy_image.reference} from the capsule into sandbox" in done.stderr
