"""Podman: its command line alone, no service and no socket; as root, and as an ordinary user.

What podman needs here is found by starting one container with the words that are then used for every job: a container
runtime and a manager of cgroups that work, and the limits that hold. The user sets nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast_dm import config, store
from recast_dm.errors import ToolMissing, last_words, storage_error
from recast_dm.images import engine
from recast_dm.images.rootfs import HOSTS
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Limits, Outcome, runner_lives, seccomp
from recast_dm.runtimes.command_line import CLOSED, LIMITS, RUN_LABEL, RUNNER_LABEL, bind, cidfile, run_words
from recast_dm.runtimes.marks import end_orphans
from recast_dm.runtimes.proving import job_of_this_machine
from recast_dm.runtimes.removal import Removal
from recast_dm.runtimes.watching import attached, ended, last_line

INITS = (
    "/usr/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/bin/catatonit",
    "/usr/bin/tini-static",
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
)
"""Programs to be process 1, which need nothing of the image."""

OOM = "oom"
"""What conmon 2.1 leaves in its current directory, where podman 4 does not look, when memory ran out."""

_SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
_WRAPPED = '"$@"; exit $?'
"""Process 1 where there is none of them: a shell, for the kernel ignores signals that process 1 does not expect."""

_ROOTLESS = ("started without root",)
_INSTALL = "as root on Debian or Ubuntu `apt-get install -y podman uidmap`"
_PROBE = (
    "for f in memory.max memory/memory.limit_in_bytes pids.max pids/pids.max cpu.max cpu/cpu.cfs_quota_us; do "
    'if read -r v < "/sys/fs/cgroup/$f"; then echo "$f $v"; fi; done 2>/dev/null; true'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What podman needs on this machine, for this user.

    `reach` are the words that every command begins with; `files` and `processes` the hard limits of this process, above
    which only a privileged podman can start anything; `limits` the controllers of cgroups that it is asked to use, and
    `held` those that were then seen to limit a container.
    """

    reach: tuple[str, ...] = ("podman",)
    rootless: bool = False
    selinux: bool = False
    seccomp: Path | None = None
    init: str | None = None
    files: int = 1024
    processes: int = 1024
    limits: tuple[str, ...] = LIMITS
    held: tuple[str, ...] = LIMITS


def argv(job: Job, settings: Settings) -> tuple[str, ...]:
    """The `podman run` command line of a job."""
    gpus = ("--device", "nvidia.com/gpu=all") if job.gpus else ()
    own = (*_own(settings), *_rlimits(job.limits, settings), *gpus)
    bare = settings.init is not None or job.argv[0] not in _SHELLS
    started = job if bare else replace(job, argv=("sh", "-c", _WRAPPED, "sh", *job.argv))
    return (*settings.reach, *run_words(started, own, settings.limits))


def _own(settings: Settings) -> Iterator[str]:
    """What podman does otherwise than docker unless it is told."""
    yield from ("--init", "--init-path", settings.init) if settings.init else ()
    yield from ("--userns", "keep-id") if settings.rootless else ()  # what is written belongs to the caller
    yield from ("--security-opt", "label=disable") if settings.selinux else ()  # else no file of the user can be read
    yield from ("--security-opt", f"seccomp={settings.seccomp}") if settings.seccomp else ()
    yield from ("--log-driver", "passthrough", "--read-only-tmpfs=false", "--shm-size", "65536k")
    yield from ("--http-proxy=false", "--passwd=false", "--sdnotify", "ignore")
    yield from ("--unsetenv", "container", "--unsetenv", "TERM")
    yield from ("--mount", bind(HOSTS, "/etc/hosts", read_only=True))


def _rlimits(limits: Limits, settings: Settings) -> Iterator[str]:
    """Limits that need no cgroup: those that podman would set too high to start anything, and for what nothing holds.

    An ordinary user's container counts its processes apart from all others, root's do not.
    """
    alone = settings.rootless and "pids" not in settings.held
    processes = min(limits.pids, settings.processes) if alone else settings.processes
    yield from ("--ulimit", f"nofile={settings.files}:{settings.files}")
    yield from ("--ulimit", f"nproc={processes}:{processes}")
    if "memory" not in settings.held:
        yield from ("--ulimit", f"data={limits.memory}:{limits.memory}")


def isolation(settings: Settings) -> tuple[str, ...]:
    """What the settings give, in the words of `About`.

    >>> isolation(Settings(rootless=True, held=("pids", "memory")))[-4:]
    ('started without root', 'pids limit', 'memory limit', 'no cpu limit: no cgroup')
    """
    if settings.held == LIMITS:
        return (*CLOSED, *_ROOTLESS[: settings.rootless], "pids, memory and cpu limits")
    without = {
        "pids": "limit of the user's processes, by rlimit" if settings.rootless else "no pids limit: no cgroup",
        "memory": "memory limit of each process, by rlimit: no cgroup",
        "cpu": "no cpu limit: no cgroup",
    }
    limits = (f"{each} limit" if each in settings.held else without[each] for each in LIMITS)
    return (*CLOSED, *_ROOTLESS[: settings.rootless], *limits)


class Podman:
    """The podman of this user: root's or their own, each with a store of images of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: Settings | None = None
        self._version: str | None = None
        self._removal = Removal(lambda names: self._try("rm", "--force", "--volumes", *names))

    def _settings(self) -> Settings:
        with self._lock:
            if self._known is None:
                self._known = _find()
        return self._known

    def about(self) -> About:
        if self._version is None:
            self._version = self._said("--version").split()[-1]
        return About("podman", self._version, isolation(self._settings()))

    def image(self, reference: str) -> Image | None:
        document = engine.looked_up("podman", reference)
        return None if document is None else engine.image_of(reference, document)

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        words = argv(job, self._settings())
        place = job.log.with_name(f"{job.log.name}.podman")
        try:
            place.mkdir(parents=True, exist_ok=True)
            code, late = attached(words, job, line, lambda _: self._try("kill", job.name), cwd=place)
            out_of_memory = (place / OOM).exists()
        except OSError as error:
            raise storage_error(error, f"run {job.name}") from None
        finally:
            shutil.rmtree(place, ignore_errors=True)
        container_id = cidfile(job).read_text().strip() if cidfile(job).exists() else ""
        if not container_id:
            raise ToolMissing(f"podman could not start a container: {last_line(job)}")
        state: dict[str, Any] | None = {"Status": "exited", "ExitCode": 0} if code == 0 else self._state(container_id)
        self._removal.add(container_id)
        if state is None:
            return Outcome(code, container_id, "removed while it ran")
        if state["Status"] not in ("exited", "stopped"):
            raise ToolMissing(f"podman could not start a container: {last_line(job)}")
        out_of_memory = out_of_memory or bool(state.get("OOMKilled"))
        return ended(int(state["ExitCode"]), container_id, late=late, out_of_memory=out_of_memory)

    def _state(self, container_id: str) -> dict[str, Any] | None:
        """How a container ended; None when somebody has removed it."""
        try:
            done = self._try("container", "inspect", container_id)
            state: dict[str, Any] = json.loads(done.stdout)[0]["State"]
        except (ValueError, LookupError, TypeError):
            return None
        return state

    def sweep(self, run: str) -> int:
        end_orphans(run)
        if not shutil.which("podman"):
            return 0
        self._removal.finish()
        count = 0
        for container_id, labels in self._containers():
            if labels.get(RUN_LABEL) == run or not runner_lives(labels.get(RUNNER_LABEL, "")):
                count += self._try("rm", "--force", "--volumes", "--time", "0", container_id).returncode == 0
        return count

    def _containers(self) -> list[tuple[str, Mapping[str, str]]]:
        """The containers that are ours, with their labels."""
        listed = self._try("ps", "--all", "--filter", f"label={RUN_LABEL}", "--format", "json")
        try:
            return [(str(each["Id"]), each.get("Labels") or {}) for each in json.loads(listed.stdout)]
        except (ValueError, LookupError, TypeError):
            return []  # a podman that does not answer has none to leave behind

    def _said(self, *words: str) -> str:
        try:
            done = _podman(engine.command("podman"), *words)
        except FileNotFoundError:
            raise ToolMissing("the command `podman` is not installed", hint=_INSTALL) from None
        if done.returncode != 0:
            raise ToolMissing(f"podman does not answer: {last_words(done.stderr)}", hint=_mend(done.stderr))
        return done.stdout

    def _try(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Asks podman for what may be impossible by now."""
        reach = self._known.reach if self._known else engine.command("podman")
        return _podman(reach, *words)


def _podman(reach: Sequence[str], *words: str) -> subprocess.CompletedProcess[str]:
    argv = (*reach, *words)
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 124, "", "it took longer than a minute")


# --- finding the settings --------------------------------------------------------------------------------------------


def _find() -> Settings:
    """Starts a container with one settings after the other, until one works. Raises ToolMissing when none does."""
    first = _looked()
    said = ""
    for words in _ways(tuple(each for each in ("crun", "runc") if shutil.which(each))):
        settings = replace(first, reach=(*engine.command("podman"), *words))
        done = _prove(settings)
        if done.returncode == 0:
            return replace(settings, held=_held(done.stdout))
        said = said or done.stderr
    raise ToolMissing(f"podman cannot start a container: {last_words(said)}", hint=_mend(said))


def _ways(runtimes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Podman's own choice first; then each container runtime; then all without systemd.

    >>> [" ".join(words) for words in _ways(["runc"])][1:]
    ['--runtime runc', '--cgroup-manager cgroupfs', '--cgroup-manager cgroupfs --runtime runc']
    """
    for manager, name in itertools.product((None, "cgroupfs"), (None, *runtimes)):
        yield (*(("--cgroup-manager", manager) if manager else ()), *(("--runtime", name) if name else ()))


def _looked() -> Settings:
    """What can be seen without starting anything."""
    rootless = os.geteuid() != 0
    return Settings(
        rootless=rootless,
        selinux=Path("/sys/fs/selinux/enforce").exists(),
        seccomp=_filter(config.Config.from_environment().cache_dir / "podman/seccomp.json"),
        init=next((each for each in INITS if os.access(each, os.X_OK)), None),
        files=_hard(resource.RLIMIT_NOFILE, 1024 * 1024),
        processes=_hard(resource.RLIMIT_NPROC, int(Path("/proc/sys/kernel/pid_max").read_text())),
        limits=_delegated(Path("/sys/fs/cgroup"), os.geteuid()) if rootless else LIMITS,
    )


def _filter(place: Path) -> Path | None:
    """Writes the filter of system calls where podman can read it; None where podman's own is not found."""
    try:
        own = json.loads(next(each for each in seccomp.PROFILES if each.is_file()).read_text())
        store.write_atomic(place, store.canonical(seccomp.closed(own)))
    except (StopIteration, OSError, ValueError, LookupError, TypeError):
        return None
    return place


def _hard(limit: int, most: int) -> int:
    hard = resource.getrlimit(limit)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)  # podman lowers its own to as much


def _delegated(cgroups: Path, uid: int) -> tuple[str, ...]:
    """The limits that an ordinary user's podman may set: what systemd gave to the session; none with cgroups v1."""
    session = cgroups / f"user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"
    with contextlib.suppress(OSError):
        given = session.read_text().split()
        return tuple(each for each in LIMITS if each in given)
    return ()


def _prove(settings: Settings) -> subprocess.CompletedProcess[str]:
    """Starts a container as every job is started, with this machine's own programs, which says what limits it."""
    with job_of_this_machine(("sh", "-c", _PROBE)) as (job, _):
        words = argv(job, settings)[len(settings.reach) + 1 :]
        return _podman(settings.reach, "run", "--rm", "--rootfs", *words)


def _held(said: str) -> tuple[str, ...]:
    """The limits that a container sees on itself.

    >>> _held("memory.max 4294967296\\npids.max 512\\ncpu.max max 100000")
    ('pids', 'memory')
    """
    seen = {file.partition(".")[0].partition("/")[0]: value for file, _, value in map(_parted, said.splitlines())}
    limits = Limits()
    held = {
        "pids": seen.get("pids") == str(limits.pids),
        "memory": seen.get("memory") == str(limits.memory),
        "cpu": seen.get("cpu", "max").split()[0] not in ("max", "-1"),
    }
    return tuple(each for each in LIMITS if held[each])


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def _mend(said: str) -> str | None:
    """What to do about what podman says."""
    user = config.environment().get("USER", "$USER")
    if "newuidmap" in said or "newgidmap" in said:
        return "as root on Debian or Ubuntu `apt-get install -y uidmap`"
    if "subuid" in said or "subgid" in said or "lchown" in said or "insufficient UIDs" in said:
        ranges = "--add-subuids 100000-165535 --add-subgids 100000-165535"
        return f"as root `usermod {ranges} {user}`, then `podman system migrate`"
    return None
