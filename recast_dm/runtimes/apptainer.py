"""Apptainer, or singularity: one command, no daemon, over the images that are unpacked below the cache directory.

Its command line is built as its manual describes it. It could not be installed where this was written: only the
command line is tested, and no container (see `runtimes.UNTESTED`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recast_dm import config
from recast_dm.errors import ToolMissing, storage_error
from recast_dm.images.rootfs import Rootfs
from recast_dm.model import Image
from recast_dm.runtimes import About, Job, Outcome
from recast_dm.runtimes.command_line import CLOSED, bind
from recast_dm.runtimes.marks import end_all
from recast_dm.runtimes.proving import job_of_this_machine
from recast_dm.runtimes.sandbox import Sandbox, inside, starting
from recast_dm.runtimes.watching import attached, ended, in_a_shell

PROGRAMS = ("apptainer", "singularity")
ENV = "/usr/bin/env"

ISOLATION = (
    *CLOSED,
    "memory limit of each process, by rlimit: no cgroup",
    "limit of the user's processes, by rlimit",
    "no limit of cpus",
    "no limit of /tmp",
)

_MEND = (
    "as root `apt-get install -y apptainer`, or `dnf install apptainer` from EPEL;"
    "\nwithout root: the installer at apptainer.org puts it below your own directory"
)


@dataclass(frozen=True, slots=True)
class Start:
    """What a start needs to know beside its job: the program, the image's files, what is /tmp in the container, whether
    the caller is root, the tasks that the user has already, and whether the image has `env`.
    """

    program: str
    tree: Path
    tmp: Path
    root: bool
    running: int = 0
    env: bool = True


def argv(job: Job, start: Start) -> tuple[str, ...]:
    """The command line of a job: closed by default.

    The command begins with `env -i`, so that it sees the image's variables and ours, and nothing of apptainer's own.
    A caller who is root becomes the job's user; any other is it already. Of networks, `none` is the one that apptainer
    lets everybody use (its manual, "Network virtualization").
    """
    words = ["prlimit", *(f"--{name.lower()}={most}" for name, most in inside.limits(job, start.running).items()), "--"]
    words += [start.program, "--silent", "exec", "--containall", "--cleanenv", "--no-home", "--no-umask", "--uts"]
    words += ["--nv"] if job.gpus else []
    words += [] if job.network else ["--net", "--network", "none"]
    words += ["--no-mount", "home,cwd,tmp,sys,hostfs,bind-paths"]
    if start.root:
        words += ["--no-privs", "--security", f"uid:{job.user[0]}", "--security", f"gid:{job.user[1]}"]
    for source, target, read_only in _mounts(job, start.tmp):
        words += ["--mount", bind(source, target, read_only=read_only)]
    words += ["--pwd", inside.cwd(job), str(start.tree)]
    if start.env:
        variables = sorted(inside.environment(job).items())
        words += [ENV, "-i", *(f"{key}={value}" for key, value in variables)]
    return (*words, *job.argv)


def _mounts(job: Job, tmp: Path) -> Iterator[tuple[Path, str, bool]]:
    yield tmp, "/tmp", False  # noqa: S108  # the container's
    yield job.workdir, "/workdir", False
    for n, place in enumerate(job.inputs):
        yield place, f"/inputs/{n}", True
    if job.scratch is not None:
        yield job.scratch, "/scratch", False
    for path, target in job.files:
        yield path, target, True


class Apptainer:
    """Whichever of apptainer and singularity is here, with the sandbox's images."""

    def __init__(self, cache: Path | None = None) -> None:
        self._store = Sandbox(cache)
        self._version: str | None = None

    @property
    def images(self) -> Rootfs:
        return self._store.images

    def about(self) -> About:
        if self._version is None:
            self._version = _prove(_program())
        return About("apptainer", self._version, ISOLATION)

    def image(self, reference: str) -> Image | None:
        return self._store.image(reference)

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        assert job.image is not None  # noqa: S101  # a container has one
        code, late = _started(_program(), job, self.images.tree(job.image), line)
        return ended(code, job.name, late=late, out_of_memory=False)

    def sweep(self, run: str) -> int:
        """Ends what is left of a run: a container ends with the command that started it."""
        return end_all(run)


def _program() -> str:
    for name in PROGRAMS:
        if shutil.which(name):
            return name
    raise ToolMissing("neither `apptainer` nor `singularity` is installed", hint=_MEND)


def environment(everything: Mapping[str, str]) -> dict[str, str]:
    """What apptainer itself sees: none of the variables with which a user or a site would change what it does.

    >>> environment({"APPTAINER_BIND": "/data", "SINGULARITYENV_X": "1", "PATH": "/bin"})
    {'PATH': '/bin'}
    """
    return {name: value for name, value in everything.items() if not name.startswith(("APPTAINER", "SINGULARITY"))}


def _started(program: str, job: Job, tree: Path, line: Callable[[str], None]) -> tuple[int, bool]:
    tmp = job.log.with_name(f"{job.log.name}.tmp")
    has_env = os.path.lexists(f"{tree}{ENV}")
    start = Start(program, tree, tmp, os.geteuid() == 0, starting.tasks_of(job.user[0]), has_env)
    try:
        tmp.mkdir(parents=True, exist_ok=True)
        tmp.chmod(0o1777)
        code, late = attached(argv(job, start), job, line, _end, env=environment(config.environment()))
    except OSError as error:
        raise storage_error(error, f"run {job.name}") from None
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return in_a_shell(code), late


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _prove(program: str) -> str:
    """The version, once a container has started and found no network. Raises ToolMissing."""
    done = subprocess.run([program, "--version"], capture_output=True, check=False, text=True, timeout=60)
    said: list[str] = []
    with job_of_this_machine(("sh", "-c", "test $(wc -l < /proc/net/route) -le 1")) as (job, tree):
        code, late = _started(program, replace(job, timeout=60.0), tree, said.append)
    if code != 0 or late:
        why = said[-1] if said else "a network is seen in it" if code == 1 else f"exit code {code}"
        hint = "does this machine allow network namespaces? As root: `sysctl -w user.max_net_namespaces=15000`"
        raise ToolMissing(f"{program} cannot start a closed container: {why}", hint=hint)
    return " ".join(done.stdout.split())


__all__ = ["ISOLATION", "PROGRAMS", "Apptainer", "Start", "argv", "environment"]
