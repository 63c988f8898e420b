"""Start of a trivial container on every runtime that works here, in turns with its own bare command."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from recast_dm.config import container_user
from recast_dm.errors import ToolMissing
from recast_dm.images import engine, layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.sources import FromEngine
from recast_dm.model import Image
from recast_dm.runtimes import Job, Runtime, runner_id
from recast_dm.runtimes.docker import Docker
from recast_dm.runtimes.docker import argv as docker_argv
from recast_dm.runtimes.podman import Podman
from recast_dm.runtimes.podman import argv as podman_argv
from recast_dm.runtimes.sandbox import Sandbox
from tests.bench import engines, runs
from tests.bench.engines import Engine
from tests.bench.timing import BIN, in_turns, table

IMAGE = "recast-dm/toy:1.0"
AT_ONCE = (1, 2)
OVER_BARE, STEPS_A_SECOND = 1.15, 20.0
OF_DOCKER = {"sandbox, bubblewrap": 1 / 10, "sandbox, unshare": 1 / 2}
"""Targets: ours over the bare command; steps of a fan-out; the sandbox's start as a part of docker's."""
AS_ROOT = "sandbox, bubblewrap; bare: `bwrap` as root, without becoming the job's user"

Bare = Callable[[Job], tuple[str, ...]]
"""The command that somebody would type instead."""
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime of ours, and its bare command where there is one; `runs` are as many as take some seconds."""

    name: str
    runtime: Runtime
    bare: Bare | None
    runs: int


def measure(*, quick: bool = False) -> None:
    """`quick` starts each a few times only, and has a fan-out of a hundred steps."""
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as name:
        place = Path(name)
        place.chmod(0o711)  # the job's user goes through
        found: dict[tuple[str, int], list[float]] = {}
        for each in _candidates(place / "cache"):
            image = each.runtime.image(IMAGE) or _loaded(each, place / "images")
            for at_once in AT_ONCE:
                found[each.name, at_once] = _both(each, image, at_once, place, each.runs // 4 if quick else each.runs)
        _show(found)
        _fan_out(place, 100 if quick else 1000)


def _candidates(place: Path) -> list[Candidate]:
    """Those that work here; of the others it is said that they were not run."""
    docker, podman, cache = Docker(), Podman(), Sandbox(place)
    bubblewrap, unshare = Sandbox(place, ("bubblewrap",)), Sandbox(place, ("unshare",))
    as_root = [Candidate(AS_ROOT, bubblewrap, partial(_bwrap, cache), 60)] if os.geteuid() == 0 else []
    made = [
        Candidate("docker", docker, lambda job: _typed(docker_argv(job)), 24),
        Candidate("podman", podman, lambda job: _typed(podman_argv(job, podman._settings())), 24),
        Candidate("sandbox, bubblewrap", bubblewrap, lambda job: (*_become(), *_bwrap(cache, job)), 60),
        *as_root,
        Candidate("sandbox, unshare", unshare, None, 30),
    ]
    found = []
    for each in made:
        try:
            print(f"{each.name}: {each.runtime.about().version}")
            found.append(each)
        except ToolMissing as error:
            print(f"{each.name}: not run, {error.message}")
    print(flush=True)
    return found


def _loaded(each: Candidate, place: Path) -> Image:
    """An engine that lacks the image gets it from docker."""
    shared = Blobs(place / "blobs")
    stored = FromEngine("docker").take([IMAGE], shared)[IMAGE]
    layout.write(place, [stored], shared)
    engine.load(each.name, place, [stored], [[IMAGE]])
    image = each.runtime.image(IMAGE)
    assert image is not None, f"{each.name} has no {IMAGE}"
    return image


# --- ours and bare ----------------------------------------------------------------------------------------------------


def _both(each: Candidate, image: Image, at_once: int, place: Path, times: int) -> list[float]:
    """Seconds until as many containers as are started at once have ended: ours, and the bare command."""
    works = [place / f"{each.name}-{at_once}-{n}" for n in range(at_once)]
    for work in works:
        work.mkdir()
        os.chown(work, *container_user())

    def ours() -> None:
        jobs = [job(f"recast-dm-bench-{os.getpid()}-{next(_NUMBERS)}", image, work) for work in works]
        for outcome in pool.map(lambda job: each.runtime.run(job, lambda _: None), jobs):
            assert outcome.exit_code == 0, outcome

    def bare(typed: Bare) -> None:
        words = [typed(job("bare", image, work)) for work in works]
        quietly = partial(subprocess.Popen, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        assert [process.wait() for process in [quietly(each) for each in words]] == [0] * at_once

    actions = (ours, *((partial(bare, each.bare),) if each.bare else ()))
    with ThreadPoolExecutor(at_once) as pool:
        return in_turns(*((partial(_settle, each), action) for action in actions), runs=times)


def _settle(each: Candidate) -> None:
    """What ended before is removed: podman's containers go while the next ones start."""
    each.runtime.sweep("no-such-run")


def job(name: str, image: Image, work: Path) -> Job:
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


def _typed(words: tuple[str, ...]) -> tuple[str, ...]:
    """What an engine is started with, as somebody would type it: the engine gives a name, and removes the container."""
    run = words.index("run") + 1
    named = words.index("--name"), words.index("--cidfile")
    rest = [word for n, word in enumerate(words[run:], run) if n not in named and n - 1 not in named]
    return (*words[:run], "--rm", *rest)


def _become() -> tuple[str, ...]:
    """Root becomes the job's user first, as it does for ours: bubblewrap alone would leave it root for files."""
    uid, gid = map(str, container_user())
    return ("setpriv", "--reuid", uid, "--regid", gid, "--clear-groups") if os.geteuid() == 0 else ()


def _bwrap(cache: Sandbox, job: Job) -> tuple[str, ...]:
    """The same namespaces over the same tree."""
    assert job.image is not None
    uid, gid = map(str, job.user)
    words = ["bwrap", "--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--cap-drop", "ALL"]
    words += ["--uid", uid, "--gid", gid, "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    words += ["--ro-bind", str(cache.images.tree(job.image)), "/", "--bind", str(job.workdir), "/workdir"]
    return (*words, "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", *job.argv)


def _show(found: dict[tuple[str, int], list[float]]) -> None:
    heads = ("runtime", "at once", "ours, ms", "bare, ms", f"ratio (target: ≤ {OVER_BARE})", "ours / docker's (target)")
    rows = []
    for (name, at_once), (ours, *theirs) in found.items():
        bare, ratio = (f"{1000 * theirs[0]:.1f}", f"{ours / theirs[0]:.2f}") if theirs else ("", "")
        part = f"{ours / found['docker', at_once][0]:.3f}" if ("docker", at_once) in found else ""
        target = f" (≤ {OF_DOCKER[name]:.1f})" if name in OF_DOCKER and part else ""
        rows.append((name, str(at_once), f"{1000 * ours:.1f}", bare, ratio, f"{part}{target}"))
    table("Start of a trivial container until it has ended, in turns with the bare command", heads, rows)


# --- a fan-out --------------------------------------------------------------------------------------------------------


def _fan_out(place: Path, steps: int) -> None:
    """Through our own engine, two at once; the image has been unpacked before."""
    ours = _through_the_engine("work")
    runs.run(_through_the_engine("before"), "fan-out", 2, place / "fan-out")
    ours.write(place / "fan-out", "fan-out", steps, "true")
    done = runs.start(ours, place / "fan-out", budget=1800)
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
