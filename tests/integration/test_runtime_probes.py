"""What a step has no business doing: each probe tries one thing in a container of every runtime, and none succeeds.

That some of them fail for what they try is shown on this machine itself, where nothing is closed.
"""

import ctypes
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recast_dm.config import container_user
from recast_dm.images import nothing, platforms
from recast_dm.runtimes import Job, Runtime, runner_id
from recast_dm.runtimes.docker import Docker

IMAGE = "recast-dm/toy:1.0"
SECRET = "hunter2-of-the-host"

PROBES = {
    "the network": "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 3)'",
    "a server on this machine": "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", PORT), 3)'",
    "a server without a file": "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0ABSTRACT\")'",
    "a network interface": "test $(grep -c : /proc/net/dev) -gt 1",
    "being root": "test $(id -u) = 0",
    "being in root's group": "id -G | tr ' ' '\\n' | grep -qx 0",
    "a capability": "grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
    "a capability to gain": "grep -q 'CapBnd:.*[1-9a-f]' /proc/self/status",
    "new privileges": "grep -q 'NoNewPrivs:.*0' /proc/self/status",
    "a program that is setuid": "/inputs/0/setuid",
    "a user namespace of its own": "unshare --user true",
    "writing to the image": "touch /usr/x || touch /etc/x || touch /x",
    "writing to an input": "touch /inputs/0/x || echo y > /inputs/0/f",
    "removing an input": "rm /inputs/0/g",
    "the host's shadow file": "cat /etc/shadow",
    "the host's files": "grep -q SECRET HOSTFILE",
    "the host's name": "grep -qw HOSTNAME /etc/hosts || grep -qx HOSTNAME /etc/hostname",
    "the host's processes": "test $(ls /proc | grep -c '^[0-9]') -gt 20",
    "the environment of another process": "grep -qs SECRET /proc/[0-9]*/environ",
    "ending another process": "kill -0 RUNNER",
    "writing to the kernel's settings": 'level=$(cat /proc/sys/kernel/printk); echo "$level" > /proc/sys/kernel/printk',
    "the kernel's switches": "test -w /proc/sysrq-trigger",
    "the memory of the machine": "test -e /dev/mem || test -e /dev/kmsg || test -e /dev/port",
    "a disk": "for disk in $(awk 'NR > 2 {print $4}' /proc/partitions); do test -b /dev/$disk && exit 0; done; exit 1",
    "shared memory": "ls /dev/shm | grep -q SHARED || test $(wc -l < /proc/sysvipc/shm) -gt 1",
    "the socket of an engine": (
        "for name in docker.sock podman/podman.sock containerd/containerd.sock; do "
        "test -e /run/$name && exit 0; test -e /var/run/$name && exit 0; done; exit 1"
    ),
    "making a device": "mknod /tmp/d b 8 0",
    "mounting": "mount -t tmpfs none /tmp",
    "the host's environment": "env | grep -q SECRET",
    "an open file of the runner": "test $(ls /proc/self/fd | wc -l) -gt 4",
    "more processes than allowed": (
        "python3 -c 'import os\nfor _ in range(600): os.fork() or os._exit(os.system(\"sleep 5\"))'"
    ),
}
GETEUID = {"amd64": bytes.fromhex("b86b0000000f0589c7b83c0000000f05")}
"""Ends with the effective uid as its exit code."""


@dataclass(frozen=True)
class Host:
    """What of this machine the probes look for."""

    given: Path
    words: dict[str, str]

    def command(self, probe: str) -> str:
        return re.sub("|".join(self.words), lambda found: self.words[found[0]], PROBES[probe])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("RECAST_DM_PROBE", SECRET)
    monkeypatch.setenv("FTP_PROXY", f"http://user:{SECRET}@127.0.0.1")  # podman hands such variables on
    given = tmp_path / "input"
    given.mkdir()
    given.chmod(0o777)
    for name in ("f", "g"):
        (given / name).write_text("kept")
        (given / name).chmod(0o666)
    secret, shared = tmp_path / "secret", Path("/dev/shm") / f"recast-dm-probe-{os.getpid()}"
    for path in (secret, shared):
        path.write_text(SECRET)
    architecture = platforms.here().partition("/")[2]
    if architecture in GETEUID:
        (given / "setuid").write_bytes(nothing.program(62, GETEUID[architecture]))
        (given / "setuid").chmod(0o4755)
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(0, 4096, 0o1600)
    abstract = f"recast-dm-probe-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{abstract}")
        listener.listen()
        yield Host(
            given,
            {
                "PORT": str(server.getsockname()[1]),
                "ABSTRACT": abstract,
                "HOSTFILE": str(secret),
                "HOSTNAME": socket.gethostname(),
                "SECRET": SECRET,
                "SHARED": shared.name,
                "RUNNER": str(os.getpid()),
            },
        )
    libc.shmctl(segment, 0, None)
    shared.unlink()


def ran(runtime: Runtime, place: Path, given: Path, command: str) -> tuple[int, str]:
    work = place / "work"
    work.mkdir()
    os.chown(work, *container_user())
    job = Job(
        name=f"recast-dm-probe-{os.getpid()}-{place.name}",
        run="probe",
        runner=runner_id(),
        image=runtime.image(IMAGE),
        argv=("sh", "-c", command),
        workdir=work,
        inputs=(given,),
        user=container_user(),
        log=place / "log",
    )
    code = runtime.run(job, lambda _: None).exit_code
    return code, (place / "log").read_text()


@pytest.fixture(params=["docker", "podman", "sandbox", "unshare"])
def container(request: pytest.FixtureRequest) -> Runtime:
    """Every runtime that starts real containers."""
    found: Runtime = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("probe", PROBES)
def test_a_container_is_closed(probe: str, container: Runtime, tmp_path: Path, host: Host) -> None:
    code, said = ran(container, tmp_path, host.given, host.command(probe))
    assert code != 0, said
    assert {path.name: path.read_bytes() for path in host.given.glob("[fgx]")} == {"f": b"kept", "g": b"kept"}


def test_what_a_step_needs_works(container: Runtime, tmp_path: Path, host: Host) -> None:
    command = "touch /workdir/x /tmp/y && cp /bin/true /tmp && /tmp/true && test $(id -u) != 0 && cat /inputs/0/f"
    assert ran(container, tmp_path, host.given, command) == (0, "kept")


OPEN = (
    "a server on this machine",
    "a server without a file",
    "a network interface",
    "a capability to gain",
    "the host's files",
    "the host's processes",
    "the environment of another process",
    "ending another process",
    "the memory of the machine",
    "a disk",
    "shared memory",
    "the host's environment",
    "more processes than allowed",
)
"""Probes that do no harm where nothing is closed, to whomever they are run by."""


@pytest.mark.parametrize("probe", OPEN)
def test_a_probe_succeeds_where_nothing_is_closed(probe: str, host: Host) -> None:
    done = subprocess.run(["sh", "-c", host.command(probe)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_setuid_program_is_one_where_privileges_may_be_gained(docker: Docker, host: Host) -> None:
    assert docker.about().name == "docker"
    uid, gid = container_user()
    words = ["docker", "run", "--rm", "--user", f"{uid}:{gid}", "-v", f"{host.given}:/inputs/0", IMAGE]
    assert subprocess.run([*words, "/inputs/0/setuid"], check=False).returncode == 0
