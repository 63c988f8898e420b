"""kill -9 and failing disks at any moment: what is finished stays finished, and the same command goes on.

Seeds below `KILLS` kill a runner (a process of its own) after a random time or at a random durable operation. Each of
the rest takes a slice of *every* durable operation of a small run: there the runner is killed, or the operation fails
with ENOSPC or EIO. `Faults` wraps `os` and `open` from outside: the product has no hook for it.

    python tests/soak/kills.py DIRECTORY WORKFLOW [OPERATION]    the runner that gets killed
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from recast_dm import schemas, spec, store
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.engine.cache import StepCache
from recast_dm.errors import RecastError
from recast_dm.model import Policy, Workflow
from recast_dm.runtimes import Job
from recast_dm.runtimes.docker import RUN_LABEL, Docker
from recast_dm.runtimes.fake import FakeRuntime, in_turn
from recast_dm.runtimes.marks import RUN_VARIABLE
from recast_dm.spec import text

NAME = "kills"
KILLS = 240
SLICES = 20
TOTAL = KILLS + 3 * SLICES
IMAGE = "recast-dm/toy:1.0"
NAMES = ("chain", "fan", "nested")

# --- three workflows --------------------------------------------------------------------------------------------------

_COMMAND = """sleep {nap}; cd {here} && mkdir deep && {{ echo {n}; cat {files} /dev/null; }} > out &&
cp out deep/run && chmod +x deep/run"""


_PROGRAM = "prog {n} {files} --out {out}"


def _stage(
    name: str,
    files: Any,
    where: str,
    *,
    scatter: list[int] | None = None,
    nap: float = 0.03,
    cmd: str = _COMMAND,
) -> dict[str, Any]:
    host = {"environment_type": "localproc-env"}
    image, _, tag = IMAGE.partition(":")
    container = {"environment_type": "docker-encapsulated", "image": image, "imagetag": tag}
    parameters = {"n": scatter or [name], "files": files, "nap": nap, "here": "{workdir}", "out": "{workdir}/out"}
    return {
        "name": name,
        "dependencies": [],
        "scheduler": {
            "scheduler_type": "multistep-stage",
            "scatter": {"method": "zip", "parameters": ["n"]},
            "parameters": parameters,
            "step": {
                "process": {"process_type": "string-interpolated-cmd", "cmd": cmd},
                "environment": host if where == "host" else container,
                "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
            },
        },
    }


def _from(stages: str) -> dict[str, str]:
    return {"stages": stages, "output": "out"}


def _stages(name: str, where: str) -> list[dict[str, Any]]:
    if name == "pair":
        return [_stage("a", [], where), _stage("b", _from("a"), where)]
    if name == "batch":
        return [_stage("many", [], where, scatter=[1, 2], cmd=_PROGRAM)]
    if name == "chain":
        return [_stage("a", [], where), _stage("b", _from("a"), where), _stage("c", _from("b"), where)]
    if name == "fan":
        return [_stage("many", [], where, scatter=[1, 2, 3, 4]), _stage("merge", _from("many"), where)]
    inner = [_stage("one", {"step": "init", "output": "given"}, where), _stage("two", _from("one"), where)]
    scan = {
        "name": "scan",
        "dependencies": [],
        "scheduler": {
            "scheduler_type": "multistep-stage",
            "parameters": {"given": _from("before"), "mass": [500, 1000]},
            "scatter": {"method": "zip", "parameters": ["mass"]},
            "workflow": {"stages": inner},
        },
    }
    return [_stage("before", [], where), scan, _stage("merge", _from("scan[*].two"), where)]


@functools.cache
def workflow(name: str, where: str) -> Workflow:
    """One of `NAMES`, or the small `pair` or `batch`, its steps on the `host` or in a `container`."""
    return spec.parse_workflow(text.parse(yaml.safe_dump({"stages": _stages(name, where)}), f"{name}.yml"))


def _program(job: Job) -> int:
    """What a step does where the runtime is the fake: the same kinds of files, no process."""
    words = [job.argv[-1], *(p.read_text() for place in job.inputs for _, p in store.walk(place))]
    for path in ("out", "deep/run"):
        (job.workdir / path).parent.mkdir(exist_ok=True)
        (job.workdir / path).write_text(store.digest(words))
    (job.workdir / "deep/run").chmod(0o755)
    return 0


def _adding(words: list[str], _: Path) -> int:
    """What `prog` does for each step of a batch."""
    *given, _, out = words
    Path(out).write_text(store.digest([Path(each).read_text() if "/" in each else each for each in given]))
    return 0


def run(name: str, root: Path, where: str, jobs: int = 2) -> dict[str, str]:
    """Executes a workflow in `root/run` with the cache `root/cache`; gives how each step was done."""
    hows: dict[str, str] = {}

    def observe(event: events.Event) -> None:
        if isinstance(event, events.StepFinished):
            hows[str(event.step)] = event.how

    program = in_turn("prog", _adding) if name == "batch" else _program
    policies = {"many": Policy(batch=("prog",))} if name == "batch" else {}
    runtime = {"host": None, "fake": FakeRuntime({IMAGE: program}), "docker": Docker()}[where]
    local = Local(runtime=runtime, jobs=jobs, cache=StepCache(root / "cache"), allow_host=where == "host")
    flow = workflow(name, "host" if where == "host" else "container")
    work = Work(workflow=flow, initdata={}, policies=policies, about={"analysis": name, "initdata": {}})
    local.execute(work, directory=root / "run", observer=observe)
    return hows


# --- what must hold ---------------------------------------------------------------------------------------------------


def records(root: Path) -> dict[str, bytes]:
    """Every record, as it is, by its step."""
    place = root / "run" / ".records"
    return {
        str(p.relative_to(place).with_suffix("")): p.read_bytes() for p in place.rglob("*.json") if p.name[0] != "."
    }


def torn(root: Path) -> list[str]:
    """What is wrong with the records: each is whole, valid, and says what its files are."""
    wrong = []
    for step, data in records(root).items():
        try:
            document = json.loads(data)
            problem = schemas.problem("step-1", document)
            tree = store.Tree.from_document(document["outputs"])
            if problem is not None:
                wrong.append(f"the record of {step}: {problem}")
            if not tree.sha256 == document["tree"] == store.tree_of(root / "run" / step).sha256:
                wrong.append(f"the record of {step} says something else than its files")
        except (ValueError, KeyError, OSError, RecastError) as error:
            wrong.append(f"the record of {step} is torn: {type(error).__name__}: {error}")
    return wrong


def rubbish(root: Path) -> list[str]:
    """Temporary files in a finished run directory, outside of what belongs to attempts."""
    place = root / "run"
    names = (path.relative_to(place) for path in place.rglob("*.tmp"))
    return [f"left behind: {name}" for name in names if name.parts[0] != ".attempts"]


def trees(root: Path) -> dict[str, str]:
    """The hash of each finished step's files."""
    return {step: store.tree_of(root / "run" / step).sha256 for step in records(root)}


@functools.cache
def undisturbed(name: str, where: str) -> dict[str, str]:
    """The trees of a run that nobody killed."""
    with tempfile.TemporaryDirectory() as place:
        run(name, Path(place), where)
        return trees(Path(place))


def went_on(name: str, root: Path, where: str, before: dict[str, bytes], hows: dict[str, str]) -> list[str]:
    """What is wrong after a run was ended and started again; `before` are the records that were there between."""
    after = records(root)
    wrong = [f"{step} was finished and is {hows.get(step)}" for step in before if hows.get(step) != "kept"]
    wrong += [f"the record of {step} was written again" for step in before if after.get(step) != before[step]]
    if trees(root) != undisturbed(name, where):
        wrong.append("the outputs are not those of an undisturbed run")
    return wrong + torn(root) + rubbish(root)


# --- faults -----------------------------------------------------------------------------------------------------------

_WRAPPED = (
    *("rename", "replace", "link", "symlink", "mkdir", "unlink", "remove", "rmdir", "fsync", "fdatasync", "chmod"),
    *("fchmod", "chown", "fchown", "lchown", "utime", "sendfile", "truncate", "ftruncate"),
)


@dataclass
class Faults:
    """Numbers every operation that changes a disk, from 0; the one numbered `at` does `act` instead.

    A write does half of its work before. `act` returns for nothing to happen.
    """

    at: int = -1
    act: Callable[[], None] = lambda: None
    seen: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def point(self, what: str, first: Callable[[], object] = lambda: None) -> None:
        with self._lock:
            self.seen.append(what)
            here = len(self.seen) - 1 == self.at
        if here:
            first()
            self.act()

    @contextlib.contextmanager
    def installed(self) -> Iterator[Faults]:
        """Holds while `os` and `open` are wrapped."""
        kept = {name: getattr(os, name) for name in (*_WRAPPED, "open")}
        kept_open = io.open
        for name in _WRAPPED:
            setattr(os, name, self._wrapped(name, kept[name]))
        os.open = self._os_open(kept["open"])
        io.open = builtins.open = self._open(kept_open)
        try:
            yield self
        finally:
            for name, function in kept.items():
                setattr(os, name, function)
            io.open = builtins.open = kept_open

    def _wrapped(self, name: str, function: Any) -> Any:
        def wrapped(*words: Any, **more: Any) -> Any:
            self.point(f"{name} {_named(words[0])}")
            return function(*words, **more)

        return wrapped

    def _os_open(self, function: Any) -> Any:
        def wrapped(path: Any, flags: int, *words: Any, **more: Any) -> Any:
            if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC):
                self.point(f"open {path}")
            return function(path, flags, *words, **more)

        return wrapped

    def _open(self, function: Any) -> Any:
        def wrapped(path: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
            if not set(mode) & set("wxa+"):
                return function(path, mode, *words, **more)
            self.point(f"open {path}")
            return _Writing(function(path, mode, *words, **more), self)

        return wrapped


def _named(place: Any) -> str:
    """A path, also of an open file."""
    return str(Path(f"/proc/self/fd/{place}").readlink()) if isinstance(place, int) else str(place)


class _Writing:
    """An open file whose every write is an operation of its own."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._faults.point(f"write {self._file.name}", half)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory in memory, where fsync costs nothing: a killed process leaves there what it leaves on a disk."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


_rename, _unlink = os.rename, os.unlink  # what the test itself does is no point


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fails(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number), "the failing disk")

    return act


def operations(name: str) -> list[str]:
    """Every durable operation of a run, of a start again, and of a run with a filled cache in another directory."""
    with _scratch() as place:
        faults = Faults()
        with faults.installed():
            _thrice(name, Path(place))
        return [what.replace(place, "") for what in faults.seen]


def _thrice(name: str, root: Path) -> None:
    """A run that makes everything, one that misses a record, and one that takes everything from the cache."""
    run(name, root, "fake", jobs=1)
    _unlink(root / "run/.records" / f"{min(records(root))}.json")
    run(name, root, "fake", jobs=1)
    _rename(root / "run", root / "first")
    run(name, root, "fake", jobs=1)


_NEEDLESS = ("unlink", "rmdir", "open /run/.events.jsonl", "write /run/.events.jsonl", "link", "mkdir", "the end")
"""Operations that may fail without the run failing: tidying up, telling, a second name (a copy will do), a directory
that is there already (where it is not, what comes next fails). So may all that keeps a step in the cache."""


def failpoint(name: str, number: int, act: Callable[[], None], said: list[str]) -> str | None:
    """One fault at one operation, in a forked process; then the run goes on in this one. None when all is well."""
    with _scratch() as place:
        root = Path(place)
        status, message = _forked(name, root, Faults(number, act))
        what = said[number] if number < len(said) else "the end"
        if act is die:
            wrong = [] if status == -signal.SIGKILL or what == "the end" else [f"not killed: {status} {message}"]
        else:
            wrong = _ended(status, message, what)
        wrong += torn(root) if (root / "run").exists() else []
        before = records(root)
        try:
            hows = run(name, root, "fake", jobs=1)
        except Exception as error:  # noqa: BLE001  # any exception is the finding
            return f"{number} ({what}): {wrong}; then it does not go on: {type(error).__name__}: {error}"
        wrong += went_on(name, root, "fake", before, hows)
        return f"{number} ({what}): {'; '.join(wrong)}" if wrong else None


def _ended(status: int, message: str, what: str) -> list[str]:
    """What is wrong with how a run met a failing disk: it ends as StorageError does, or it did not need it."""
    if status == 0 and (what.startswith(_NEEDLESS) or " /cache/" in what):
        return []
    return [] if status == 9 else [f"exit {status} {message}"]


def _forked(name: str, root: Path, faults: Faults) -> tuple[int, str]:
    """`_thrice` with a fault: the exit code (negative: the signal) and the error."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            with faults.installed():
                _thrice(name, root)
            code = 0
        except RecastError as error:
            code = error.exit_code
            os.write(writer, str(error).encode()[:4000])
        except BaseException as error:  # noqa: BLE001  # a child must never return into the parent's code
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as said:
        message = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), message


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def runner(root: Path, name: str, where: str, operation: int = -1) -> subprocess.Popen[bytes]:
    """A runner that says when it begins, and then what it did."""
    words = [sys.executable, __file__, str(root), name, where, str(operation)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])


def left(root: Path, where: str) -> int:
    """How many processes or containers of the run there are."""
    path = root / "run" / "run.json"
    if not path.exists():
        return 0
    run_id = json.loads(path.read_bytes())["id"]
    if where == "docker":
        return len(Docker()._engine().containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"}))
    marker, count = f"{RUN_VARIABLE}={run_id}".encode(), 0
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            count += marker in (place / "environ").read_bytes().split(b"\0")
    return count


def killed(name: str, where: str, *, delay: float | None = None, operation: int = -1) -> str | None:
    """A runner killed after `delay` seconds or at an operation; then started again. None when all is well."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        first = runner(root, name, where, operation)
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        if delay is not None:
            time.sleep(delay)
            first.kill()
        _, said = first.communicate(timeout=120)
        if first.returncode not in (0, -signal.SIGKILL):
            return f"the first start failed: {said.decode()[-1000:]}"
        before = records(root)
        wrong = torn(root)
        again = runner(root, name, where)
        out, said = again.communicate(timeout=120)
        if again.returncode != 0:
            return f"it does not go on: {said.decode()[-2000:]}"
        wrong += went_on(name, root, where, before, json.loads(out.splitlines()[-1]))
        time.sleep(0.02)  # a process that was sent SIGKILL may take a moment
        if count := left(root, where):
            wrong.append(f"{count} processes or containers are left")
        return "; ".join(wrong) or None


def one(seed: int) -> str | None:
    if seed >= KILLS:
        name, part = NAMES[seed % 3], (seed - KILLS) // 3
        return failpoints(name, part, SLICES)
    chance = random.Random(seed)
    name = NAMES[seed % 3]
    where = "docker" if seed % 24 == 0 and shutil.which("docker") else "host"
    if seed % 2:
        return killed(name, where, operation=chance.randrange(120 if name == "chain" else 200))
    return killed(name, where, delay=chance.uniform(0, 4 if where == "docker" else 0.5))


def failpoints(name: str, part: int, parts: int) -> str | None:
    """Every kind of fault at every `parts`-th operation."""
    said = operations(name)
    found = [
        failpoint(name, number, act, said)
        for number in range(part, len(said) + 1, parts)
        for act in (die, fails(errno.ENOSPC), fails(errno.EIO))
    ]
    return "\n".join(filter(None, found)) or None


def _main(root: str, name: str, where: str, operation: str) -> None:
    with Faults(int(operation), die).installed():
        print("ready", flush=True)
        print(json.dumps(run(name, Path(root), where)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
