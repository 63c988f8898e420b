"""What starts a container. One module a runtime; the seam is `Runtime`, four methods.

A runtime gets a `Job` and gives an `Outcome`. It never decides whether a step succeeded: the engine does, from the
exit code and the files. Containers are closed by default: no network, no capabilities, read-only root, never uid 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from recast_dm.errors import ToolMissing, UsageError
from recast_dm.images import platforms
from recast_dm.model import Image

if TYPE_CHECKING:
    from recast_dm.images.rootfs import Rootfs
    from recast_dm.images.stores import Store

GROUP = "recast_dm.runtimes"
"""The entry points by which runtimes are found."""
AUTO_ORDER = ("docker", "podman", "apptainer", "sandbox")
"""`--runtime auto` takes the first of these that works."""
UNTESTED = frozenset({"apptainer"})
"""Those that could not be run where recast-dm is tested: `doctor` says so."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use. Memory in bytes; cpus in cores."""

    cpus: float = 1.0
    memory: int = 4 * 1024**3
    pids: int = 512
    tmp: int = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One container to start.

    `workdir` is mounted read-write at `/workdir`, `inputs[n]` read-only at `/inputs/<n>`; nothing else is mounted.
    `run` is the id of the run directory and `runner` the process that waits (see `runner_id`), so that leftovers of a
    dead runner can be found. `user` is the uid and gid of the process. Both output streams go to the file `log` as
    they come. The command starts in `cwd` (None: the image's own directory); each of `files` is mounted read-only at
    its place, `scratch` (where there is one) at `/scratch` to be written to; after `timeout` seconds everything ends.
    With `network` it has one, with `gpus` the machine's graphics processors: nothing gives these by default.
    Without an image, the job is a process of this machine.
    """

    name: str
    run: str
    runner: str
    image: Image | None
    argv: tuple[str, ...]
    workdir: Path
    inputs: tuple[Path, ...]
    user: tuple[int, int]
    log: Path
    stdin: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    cwd: str | None = None
    scratch: Path | None = None
    files: tuple[tuple[Path, str], ...] = ()
    timeout: float | None = None
    network: bool = False
    gpus: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `reason` says more than the code where the runtime knows it.

    `elsewhere` is what its record says otherwise, where somebody else did the work: when, how long, by what.
    """

    exit_code: int
    container_id: str
    reason: Reason = ""
    elsewhere: Mapping[str, Any] = field(default_factory=dict)


NETWORK = "network, as declared"
"""What a record says in the place of `no network`, where a stage declares that it needs one."""


def lacking(isolation: Iterable[str]) -> tuple[str, ...]:
    """Of what a runtime said, or a record, that it gives: what is weaker than wanted, or not there.

    >>> lacking(["no network", "pids limit", "no cpu limit: no cgroup", "memory limit of each process, by rlimit"])
    ('no cpu limit: no cgroup', 'memory limit of each process, by rlimit')
    """
    missing = ("no limit", "no filter", "no pids limit", "no cpu limit", "none", NETWORK)
    return tuple(each for each in isolation if "rlimit" in each or each.startswith(missing))


Reason: TypeAlias = Literal["", "out of memory", "timeout", "killed", "removed while it ran"]


@dataclass(frozen=True, slots=True)
class About:
    """A runtime that works: its name, version, and the isolation it gives, for records and `doctor`.

    `platform` is that of the machine where its containers run.
    """

    name: str
    version: str
    isolation: tuple[str, ...]
    platform: str = field(default_factory=platforms.here)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Of the isolation, what falls short of limits by cgroups, a filter of calls, and no network."""
        return lacking(self.isolation)


@runtime_checkable
class Runtime(Protocol):
    """The seam. Implementations are safe to call from several threads."""

    def about(self) -> About:
        """Proves that the runtime answers. Raises ToolMissing with the line that mends it."""
        ...

    def image(self, reference: str) -> Image | None:
        """The image that a reference or a local id names here, or None."""
        ...

    def run(self, job: Job, line: Callable[[str], None]) -> Outcome:
        """Starts a container and waits for it; each line of output goes to the log and to `line`."""
        ...

    def sweep(self, run: str) -> int:
        """Ends and removes every container of a run, and of every runner on this machine that has died."""
        ...


@runtime_checkable
class Unpacking(Protocol):
    """A runtime that starts containers over files that we have unpacked."""

    images: Rootfs


def store_of(runtime: Runtime) -> Store | None:
    """Where a runtime has its images; None for one that has none, or is not known."""
    from recast_dm.images import engine, stores

    if isinstance(runtime, Unpacking):
        return stores.UnpackedStore(runtime.images)
    name = runtime.about().name
    return stores.EngineStore(name) if name in engine.ENGINES else None


def runner_id(pid: int | None = None) -> str:
    """A process, told apart from a later one with the same pid by when it started, and from one elsewhere by where.

    >>> runner_lives(runner_id())
    True
    >>> runner_lives(f"1.0.{_space()}")
    False
    """
    number = pid or os.getpid()
    try:
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "gone"
    return f"{number}.{started}.{_space()}"


def runner_lives(runner: str) -> bool:
    """Whether the process that `runner_id` named may still be there. One that cannot be seen from here may."""
    pid, _, rest = runner.partition(".")
    started, _, space = rest.partition(".")
    if not pid.isdecimal() or space != _space():
        return True
    return started != "gone" and runner_id(int(pid)) == runner


def _space() -> str:
    """Where a pid means something: this boot of this machine, in this namespace of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return "unknown"


def names() -> tuple[str, ...]:
    """The runtimes that are known here, in the order in which `auto` takes them; then those that it does not take."""
    known = {point.name for point in entry_points(group=GROUP)}
    return (*(each for each in AUTO_ORDER if each in known), *sorted(known.difference(AUTO_ORDER)))


def find(name: str) -> Runtime:
    """The runtime of that name, or for `auto` the first that works.

    Raises UsageError for an unknown name, ToolMissing when it does not work here.
    """
    known = names()
    if name == "auto":
        return _first([each for each in known if each in AUTO_ORDER])
    if name not in known:
        raise UsageError(f"there is no runtime {name!r}", hint=f"known here: auto, {', '.join(sorted(known))}")
    (point,) = entry_points(group=GROUP, name=name)
    runtime: Runtime = point.load()()
    runtime.about()
    return runtime


def _first(names: Iterable[str]) -> Runtime:
    """The first of the runtimes that works. Raises ToolMissing that says of each why it does not."""
    failed: dict[str, ToolMissing] = {}
    for name in names:
        try:
            return find(name)
        except ToolMissing as error:
            failed[name] = error
    why = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
    hints = [each.hint for each in failed.values() if each.hint]
    raise ToolMissing(
        f"no container runtime works here ({why})",
        hint="\n".join([*hints[:1], "or see what else would do: `recast-dm doctor`"]),
    )
