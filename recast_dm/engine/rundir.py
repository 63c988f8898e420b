"""A run directory: `<stage>/<index>/` with each finished step's files, and one immutable record per finished step.

DIR/run.json                what this run is of
DIR/.workflow.json          the workflow, flattened, as the newest start read it
DIR/<stage>/<index>/...     a finished step's work directory, exactly once, as regular files
DIR/.records/<stage>/<index>.json
DIR/.attempts/<stage>.<index>.<n>/{work,log}      what did not finish; and the logs of what did
DIR/.attempts/.batch.<id>.tmp/                    steps that are being done together
DIR/.events.jsonl           what happened, one line an event, of every start
DIR/.lock                   held while a runner works here
DIR/submission.json         what it is called at REANA, where it was submitted there

A stage of a sub-workflow has the way to it as its name: `scan/1/fit`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.errors import IntegrityError, LockedError, RecastError, UsageError, storage_error
from recast_dm.model import Path as StepPath
from recast_dm.model import StepId, Value, Workflow

RUN_SCHEMA = "recast-dm/run/1"
STEP_SCHEMA = "recast-dm/step/1"
WORKFLOW_SCHEMA = "recast-dm/workflow/1"
WORKFLOW = ".workflow.json"
SUBMISSION = "submission.json"
INIT_FILES = ".init"
"""Init files that had to be unpacked or chosen lie here."""
OURS = (".records", ".attempts", ".lock", ".events.jsonl", INIT_FILES, WORKFLOW, SUBMISSION)
IDENTITY = ("analysis", "capsule", "model", "parameters", "initdata")
"""What of run.json must be the same when a run is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished step. `execution` says how it was done (container, image, command, times), `tree` what it left."""

    step: StepId
    key: str
    key_parts: Mapping[str, Any]
    tree: store.Tree
    published: Value
    depends_on: tuple[StepId, ...]
    execution: Mapping[str, Any]
    reused: str | None = None

    def document(self) -> dict[str, Any]:
        return {
            "schema": STEP_SCHEMA,
            "step": str(self.step),
            "key": self.key,
            "published": plain(self.published),
            "tree": self.tree.sha256,
            "outputs": [{**f.document(), "mtime_ns": f.mtime_ns} for f in self.tree.files],
            "depends_on": [str(step) for step in self.depends_on],
            "reused": self.reused,
            "execution": dict(self.execution),
            "key_parts": dict(self.key_parts),
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier start left of a step."""

    tree: store.Tree
    execution: Mapping[str, Any]
    reused: str | None


DAMAGED = (RecastError, KeyError, TypeError, AttributeError, OSError)
"""What looking at a record raises that was cut short or changed by hand."""


def plain(value: Value) -> Any:
    """A value as JSON; paths become `<stage>/<index>/...`, relative to the run directory."""
    if isinstance(value, StepPath):
        return value.render({d.step: str(d.step) for d in value.dirs()})
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def result_file(directory: Path, relpath: str) -> Path:
    """A result in a run directory: yadage's `stage/…` and `stage_<n>/…` are `stage/<n>/…` here.

    The same holds for each stage on the way to one in a sub-workflow.

    >>> result_file(Path("/run"), "select_3/counts.json")
    PosixPath('/run/select/3/counts.json')
    """
    if (directory / relpath).exists():
        return directory / relpath
    head, _, rest = relpath.partition("/")
    place = directory / head / "0"
    if not place.is_dir() and (numbered := re.fullmatch(r"(.+)_(\d+)", head)):
        place = directory / numbered[1] / numbered[2]
    if rest and not (place / rest).exists() and place.is_dir():
        inner, slash, _ = rest.partition("/")
        if slash and not (place / inner).is_file() and (found := result_file(place, rest)).exists():
            return found
    return place / rest


def _differing(earlier: Any, now: Any) -> str:
    """Which entries of two mappings differ, in words."""
    if not isinstance(earlier, Mapping) or not isinstance(now, Mapping):
        return ""
    names = sorted(name for name in {*earlier, *now} if earlier.get(name) != now.get(name))
    return f" ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def _flat(step: StepId) -> str:
    """A step's name as one part of a path, however deep it lies."""
    name = str(step).replace("/", ".")
    return name if len(name.encode()) <= 200 else f"{name[:40]}.{store.digest(name)[:16]}"


class RunDirectory:
    """One run's directory, locked by whoever works in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: int | None = None
        self._tidied: set[Path] = set()
        self._tidying = threading.Lock()

    def __enter__(self) -> RunDirectory:
        self._refuse_foreign()
        store.make_directory(self.root / ".records")
        store.make_directory(self.root / ".attempts")
        try:
            self._lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._hold(self._lock)
        except BlockingIOError:
            self.__exit__()
            raise LockedError(
                f"another recast-dm works in {self.root}",
                hint="wait for it, or choose another --workdir",
            ) from None
        except OSError as error:
            self.__exit__()
            raise storage_error(error, f"lock {self.root}") from None
        self._tidied.clear()
        self._tidy(self.root)
        self._tidy(self.root / ".attempts")
        return self

    def _hold(self, lock: int) -> None:
        """Takes the lock. Whoever only looks holds it for a moment, so a second try is due."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _refuse_foreign(self) -> None:
        """A directory full of somebody else's files is not a run directory, and no capsule gets files of a run."""
        if any((place / "capsule.json").is_file() for place in (self.root, *self.root.parents)):
            raise UsageError(f"{self.root} lies in a capsule", hint="choose another --workdir")
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is a file, not a directory", hint="choose another --workdir")
        foreign = []
        if self.root.is_dir():  # looked at before run.json is: another runner may just be beginning here
            foreign = [p.name for p in self.root.iterdir() if p.name not in OURS and not store.is_temporary(p)]
        if foreign and not (self.root / "run.json").exists():
            raise UsageError(
                f"{self.root} is not a run directory: it holds {foreign[0]!r}",
                hint="choose an empty or a new --workdir",
            )

    def identify(self, about: Mapping[str, Any]) -> str:
        """Writes run.json, keeping the id of an earlier start. Gives the run's id."""
        path = self.root / "run.json"
        earlier = store.read_json(path, RUN_SCHEMA) if path.exists() else {}
        for name in (name for name in IDENTITY if name in earlier and name in about):
            if earlier[name] != about[name]:
                raise UsageError(
                    f"{self.root} holds a run with another {name}{_differing(earlier[name], about[name])}",
                    hint="choose another --workdir; one is for one run",
                )
        run_id = earlier.get("id") or uuid.uuid4().hex[:12]
        store.write_atomic(path, store.pretty({"schema": RUN_SCHEMA, "id": run_id, **about}))
        return str(run_id)

    def keep_workflow(self, workflow: Workflow, relaxations: Mapping[str, tuple[str, ...]]) -> None:
        """Writes down what is run, so that the directory says it by itself; nothing when it says so already."""
        document = {
            "schema": WORKFLOW_SCHEMA,
            "relaxations": {stage: list(names) for stage, names in sorted(relaxations.items())},
            "workflow": workflow.source,
        }
        data = store.pretty(document)
        path = self.root / WORKFLOW
        if not path.is_file() or path.read_bytes() != data:
            store.write_atomic(path, data)

    @property
    def journal(self) -> Path:
        return self.root / ".events.jsonl"

    def place(self, step: StepId) -> Path:
        return self.root / step.stage / str(step.index)

    def record_path(self, step: StepId) -> Path:
        return self.root / ".records" / step.stage / f"{step.index}.json"

    def read(self, step: StepId) -> dict[str, Any] | None:
        """The record of a finished step, when its files are there."""
        path = self.record_path(step)
        return store.read_json(path, STEP_SCHEMA) if path.exists() and self.place(step).is_dir() else None

    def kept(self, step: StepId, key: str, *, verify: bool = False) -> Kept | None:
        """What an earlier start left of a step with this key; with `verify` every byte of it is hashed again.

        Raises one of DAMAGED when the record or the files are not what they were.
        """
        document = self.read(step)
        if document is None or document["key"] != key:
            return None
        tree, place = store.Tree.from_document(document["outputs"]), self.place(step)
        intact = tree.sha256 == document["tree"] and store.looks_like(tree, place)
        if not intact or (verify and store.tree_of(place).sha256 != tree.sha256):
            raise IntegrityError(f"the files of {step} have changed since they were recorded")
        return Kept(tree, document["execution"], document["reused"])

    def write(self, record: Record) -> None:
        store.write_atomic(self.record_path(record.step), store.pretty(record.document()))

    def attempt(self, step: StepId) -> Path:
        """A new directory for one attempt at a step."""
        for number in range(1, 1_000_000):
            path = self._attempt(step, number)
            try:
                path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise storage_error(error, f"begin {step}") from None
            return path
        raise UsageError(f"{self.root} holds a million attempts at {step}", hint="choose another --workdir")

    def log(self, step: StepId) -> Path | None:
        """The log of the newest attempt at a step, where there is one."""
        number = 1
        while self._attempt(step, number + 1).exists():
            number += 1
        log = self._attempt(step, number) / "log"
        return log if log.is_file() else None

    def _attempt(self, step: StepId, number: int) -> Path:
        return self.root / ".attempts" / f"{_flat(step)}.{number}"

    @contextlib.contextmanager
    def batch(self) -> Iterator[Path]:
        """A new directory for a batch. It goes at the end; when the runner was killed, at the next start."""
        path = store.temporary(self.root / ".attempts" / "batch")
        store.make_directory(path)
        try:
            yield path
        finally:
            store.remove(path)

    def clear(self, step: StepId) -> None:
        """Removes what an earlier start left of a step that has to be done again; its record stays for `explain`."""
        record, place = self.record_path(step), self.place(step)
        self._tidy(record.parent)
        self._tidy(place.parent)
        if record.exists() or place.exists():
            attempt = self.attempt(step)
            with contextlib.suppress(FileNotFoundError):
                record.rename(attempt / "replaced.json")
            with contextlib.suppress(FileNotFoundError):
                place.rename(attempt / "replaced")
            shutil.rmtree(attempt / "replaced", ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)

    def _tidy(self, directory: Path) -> None:
        """Removes what a runner that was killed left half-written there, once, before anything is written anew."""
        with self._tidying:
            if directory not in self._tidied:
                for path in store.temporaries(directory):
                    store.remove(path)
                self._tidied.add(directory)
