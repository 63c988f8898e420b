"""Start of a trivial container on every runtime that works here, in turns with its own bare command."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import yaml

from recast_dm.config import container_user
from recast_dm.errors import ToolMissing
from recast_dm.model import Image
from recast_dm.runtimes import Job, Runtime, runner_id
from recast_dm.runtimes.docker import argv
from recast_dm.runtimes.sandbox import Sandbox
from tests.bench import engines, runs
from tests.bench.engines import Engine
from tests.bench.timing import BIN, in_turns, table

IMAGE = "recast-dm/toy:1.0"
AT_ONCE = (1, 2)
OVER_BARE, STEPS_A_SECOND = 1.15, 20.0
OF_DOCKER = {"sandbox, bubblewrap": 1 / 10, "sandbox, unshare": 1 / 2}
"""Targets: ours over the bare command; steps of a fan-out; the sandbox's start as a part of docker's."""
NAMESPACES = ("--user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")

Bare = Callable[[Path, Image], tuple[str, ...]]
"""The command that somebody would type instead, for a work directory and an image."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime of ours and its bare command; `runs` are as many as take some seconds."""

    name: str
    runtime: Runtime
    bare: Bare
    runs: int


def measure(*, quick: bool = False) -> None:
    """`quick` starts each a few times only, and has a fan-out of a hundred steps."""
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as name:
        place = Path(name)
        found: dict[tuple[str, int], tuple[float, float]] = {}
        for each in _candidates(place / "cache"):
            image = each.runtime.image(IMAGE)
            assert image is not None, f"{each.name} has no {IMAGE}"
            for at_once in AT_ONCE:
                found[each.name, at_once] = _both(each, image, at_once, place, each.runs // 4 if quick else each.runs)
        _show(found)
        _fan_out(place, 100 if quick else 1000)


def _candidates(cache: Path) -> list[Candidate]:
    """Those that work here; of the others it is said that they were not run."""
    loaded = {point.name: point.load() for point in entry_points(group="recast_dm.runtimes")}
    made: list[tuple[str, Callable[[], Runtime], Bare, int]] = [
        *((name, loaded[name], _engine(name), 24) for name in ("docker", "podman") if name in loaded),
        ("sandbox, bubblewrap", lambda: Sandbox(cache, ("bubblewrap",)), _bwrap, 60),
        ("sandbox, unshare", lambda: Sandbox(cache, ("unshare",)), _unshare, 60),
    ]
    found = []
    for name, make, bare, times in made:
        try:
            runtime = make()
            print(f"{name}: {runtime.about().version}")
            found.append(Candidate(name, runtime, bare, times))
        except ToolMissing as error:
            print(f"{name}: not run, {error.message}")
    print(flush=True)
    return found


# --- ours and bare ----------------------------------------------------------------------------------------------------


def _both(each: Candidate, image: Image, at_once: int, place: Path, times: int) -> tuple[float, float]:
    """Seconds until as many containers as are started at once have ended: ours, and the bare command."""
    works = []
    for n in range(at_once):
        works.append(place / f"{each.name}-{at_once}-{n}")
        works[-1].mkdir()
        os.chown(works[-1], *container_user())
    jobs = (
        [_job(f"recast-dm-bench-{os.getpid()}-{at_once}-{turn}-{n}", image, work) for n, work in enumerate(works)]
        for turn in itertools.count()
    )

    def ours() -> None:
        for outcome in pool.map(lambda job: each.runtime.run(job, lambda _: None), next(jobs)):
            assert outcome.exit_code == 0, outcome

    def bare() -> None:
        started = [
            subprocess.Popen(each.bare(work, image), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for work in works
        ]
        assert [process.wait() for process in started] == [0] * at_once

    with ThreadPoolExecutor(at_once) as pool:
        own, theirs = in_turns((_nothing, ours), (_nothing, bare), runs=times)
    return own, theirs


def _nothing() -> None:
    """There is nothing to do before a start."""


def _job(name: str, image: Image, work: Path) -> Job:
    return Job(
        name=name,
        run="bench",
        runner=runner_id(),
        image=image,
        argv=("true",),
        workdir=work,
        inputs=(),
        user=container_user(),
        log=work.with_name(f"{name}.log"),
    )


def _engine(name: str) -> Bare:
    """`docker run --rm` with the options of ours; the engine gives it a name."""

    def words(work: Path, image: Image) -> tuple[str, ...]:
        _, run, _, _, _, _, *rest = argv(_job("bare", image, work))
        return (name, run, "--rm", *rest)

    return words


def _bwrap(work: Path, image: Image) -> tuple[str, ...]:
    """As the caller: root does not become an unprivileged user first, as ours does."""
    uid, gid = map(str, container_user())
    words = ["bwrap", "--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL"]
    words += ["--uid", uid, "--gid", gid, "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    words += ["--ro-bind", str(_tree(work, image)), "/", "--bind", str(work), "/mnt"]
    return (*words, "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "true")


def _unshare(work: Path, image: Image) -> tuple[str, ...]:
    """Without a read-only root, devices and a work directory: `unshare` has no words for them."""
    words = ["unshare", *NAMESPACES, "--map-root-user", "--fork", "--kill-child", "--mount-proc"]
    return (*words, "--root", str(_tree(work, image)), "/bin/true")


def _tree(work: Path, image: Image) -> Path:
    return Sandbox(work.parent / "cache").images.tree(image)


def _show(found: dict[tuple[str, int], tuple[float, float]]) -> None:
    heads = ("runtime", "at once", "ours, ms", "bare, ms", f"ratio (target: ≤ {OVER_BARE})", "ours / docker's (target)")
    rows = []
    for (name, at_once), (ours, bare) in found.items():
        part = ours / found["docker", at_once][0] if ("docker", at_once) in found else None
        target = f" (≤ {OF_DOCKER[name]:.1f})" if name in OF_DOCKER else ""
        times = (f"{1000 * ours:.1f}", f"{1000 * bare:.1f}", f"{ours / bare:.2f}")
        rows.append((name, str(at_once), *times, "" if part is None else f"{part:.3f}{target}"))
    table("Start of a trivial container until it has ended, in turns with the bare command", heads, rows)


# --- a fan-out --------------------------------------------------------------------------------------------------------


def _fan_out(place: Path, steps: int) -> None:
    """Through our own engine, two at once; the image has been unpacked before."""
    engine = _through_the_engine("work")
    runs.run(_through_the_engine("before"), "fan-out", 2, place / "fan-out")
    engine.write(place / "fan-out", "fan-out", steps, "true")
    done = runs.start(engine, place / "fan-out", budget=1800)
    rate = steps / done.wall
    row = (f"{steps:,}", f"{done.wall:.1f}", f"{rate:.1f} (≥ {STEPS_A_SECOND:g})", f"{1000 * done.cpu / steps:.1f}")
    heads = ("steps", "s", "steps a second (target)", "ms of CPU a step")
    table("A fan-out of `true` in the toy image: `recast-dm run --runtime sandbox --jobs 2`", heads, [row])


def _through_the_engine(work: str) -> Engine:
    words = ("workflow.yml", "--inputs", "input.yml", "--runtime", "sandbox", "--no-cache", "--workdir", work)
    return Engine("recast-dm", "", (str(BIN / "recast-dm"), "run", *words, "--jobs", engines.JOBS, "--quiet"), _write)


def _write(place: Path, shape: engines.Shape, steps: int, command: str) -> None:
    """The workflow of the engines' bench, its steps in containers."""
    engines.write_yadage(place, shape, steps, command)
    document = yaml.safe_load((place / "workflow.yml").read_text())
    name, _, tag = IMAGE.partition(":")
    for stage in document["stages"]:
        stage["scheduler"]["step"]["environment"] = {
            "environment_type": "docker-encapsulated",
            "image": name,
            "imagetag": tag,
        }
    (place / "workflow.yml").write_text(yaml.safe_dump(document, sort_keys=False))
