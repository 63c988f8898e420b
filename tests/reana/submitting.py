"""One trial of submitting through faults: however it goes, there is one run, and nobody is told otherwise.

A client submits a workflow, follows it and fetches its files; it is killed or gives up, and the command is given again,
here or on another machine, until it went well. Then is checked what is at the server and what lies here. In some trials
a second client gives the same command at the same time; in those nobody is killed.
"""

from __future__ import annotations

import random
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from recast_dm.backends.reana import submission, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.refusing import Refused
from recast_dm.backends.reana.submission import Submission
from recast_dm.backends.reana.translate import Translated
from recast_dm.errors import RecastError
from tests.reana.engines import AtOnce
from tests.reana.faults import Faults, Killed, VirtualClock
from tests.reana.standin import TOKEN, Site, Standin
from tests.reana.things import Run

NAME = "toy-0123abcd-4567cdef"
POLLS = 200
"""How often is asked how far a run is: more often than any needs."""
COMMANDS = 12
"""How often the command is given; the last time without faults."""
OUTPUT = "only/out.txt"
WORKFLOW = b"""\
stages:
- name: only
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {n: {step: init, output: n}, out: '{workdir}/out.txt'}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'echo {n} > {out}'}
      publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
      environment: {environment_type: docker-encapsulated, image: debian, imagetag: bookworm-slim}
"""


def translated(seed: int) -> Translated:
    """A workflow of one step, with a few files of different sizes, an empty one among them."""
    chance = random.Random(seed)
    files: dict[str, Path | bytes] = {
        "workflow/workflow.yml": WORKFLOW,
        "inputs/empty": b"",
        "inputs/data": chance.randbytes(chance.choice((1, 100, 5000))),
    }
    specification = {
        "version": "0.9.0",
        "inputs": {"files": ["inputs/data", "inputs/empty"], "directories": [], "parameters": {"n": seed}},
        "workflow": {"type": "yadage", "file": "workflow/workflow.yml", "specification": None},
        "outputs": {"files": [OUTPUT], "directories": []},
    }
    return Translated(specification=specification, files=files, parameters={"n": seed})


@dataclass
class Client:
    """Somebody who gives the command, in a directory of their own."""

    reana: Reana
    clock: VirtualClock
    directory: Path
    work: Translated
    fetches: bool = True
    said: list[str] = field(default_factory=list)

    def submit(self) -> Submission:
        about = {"schema": "recast-dm/reana-note/1", "digest": self.work.digest}
        return submission.submit(self.reana, NAME, self.work, about, self.directory, self.said.append)

    def command(self) -> tuple[str, Submission]:
        """Submits, follows to the end, fetches; gives how it ended."""
        found = self.submit()
        for _ in range(POLLS):
            if (status := self.reana.status(found.workflow)).ended:
                break
            self.clock.sleep(10.0)
        if self.fetches:
            workspace.fetch(self.reana, found.workflow, self.directory / "fetched")
        return status.state, found


class Trial:
    """The world of one seed."""

    def __init__(
        self,
        seed: int,
        directory: Path,
        *,
        shares: tuple[float, ...] = (0.03, 0.1, 0.3, 0.6),
        both: bool = False,
    ) -> None:
        """`both`: a client may be killed while another is at it, too."""
        chance = random.Random(f"trial {seed}")
        self.clock = VirtualClock()
        self.ending = chance.choice(("finished", "finished", "failed"))
        engine = AtOnce(
            queue=chance.uniform(0, 20), work=chance.uniform(1, 60), outputs=_outputs, ending=lambda _: self.ending
        )
        site = Site(rate=chance.choice((None, 20)), not_startable=chance.choice((403, 409)))
        self.standin = Standin(
            directory / "server", engine=engine, site=site, now=self.clock.now, identities=_identities(chance)
        )
        self.work = translated(seed)
        self.directory = directory
        together = chance.random() < 0.4 or both
        self.faults = Faults(
            self.standin.handle,
            seed,
            self.clock,
            share=chance.choice(shares),
            deadly=both or not together,
            elsewhere=self._elsewhere if together else None,
        )
        self.moves = chance.random() < 0.3
        self.fetches = chance.random() < 0.3
        self.client = self._client("here", self.faults)
        self.errors: list[BaseException] = []
        self.other: list[Client] = []

    def _client(self, name: str, handle: Callable[..., Any]) -> Client:
        reana = Reana(self.standin.connection(handle, clock=self.clock))
        return Client(reana, self.clock, self.directory / name, self.work, self.fetches)

    def _elsewhere(self) -> None:
        """The same command on another machine, at the same time, without faults."""
        other = self._client("elsewhere", self.standin.handle)
        self.other.append(other)
        other.submit()

    def run(self) -> str | None:
        """What went wrong."""
        ended = self._commanded()
        if ended is None:
            error = self.errors[-1]
            return f"it does not go well without faults either: {type(error).__name__}: {error}"
        return next(filter(None, self._problems(*ended)), None)

    def _commanded(self) -> tuple[str, Submission] | None:
        for n in range(COMMANDS):
            self.faults.calm = n == COMMANDS - 1
            if n and self.moves:
                self.moves = False
                self.client = self._client("another", self.faults)
            try:
                return self.client.command()
            except (Killed, RecastError) as error:
                self.errors.append(error)
                self.clock.sleep(60.0)
        return None

    # --- what must hold ----------------------------------------------------------------------------------------------

    def _problems(self, state: str, found: Submission) -> Iterator[str | None]:
        runs = [run for run in reversed(self.standin.ordered()) if run.name == NAME]
        began = [run for run in runs if run.queued is not None]
        if not began:
            yield "nothing was started"
            return
        yield from _twice(began)
        run = began[-1]
        left = [each.full for each in runs if each.status == "created"]
        if left and not self.errors and not self.faults.met["broken"]:
            yield f"{left} are left there"  # who died, gave up or met a server that broke down could not remove them
        if (found.workflow, state) != (run.full, run.status) and not self.other:
            yield f"it says {found.workflow} is {state}: {run.full} is {run.status}"
        if found.state != "started":
            yield f"it says {found.state}"
        if run.parameters_given() != {"n": self.work.parameters["n"]}:
            yield "it ran with other parameters"
        yield from self._files(next(each for each in began if each.full == found.workflow))
        yield from self._tokens()
        for other in self.other:
            known = submission.read(other.directory)
            if known is not None and known.state == "started" and known.workflow not in {each.full for each in began}:
                yield f"another client knows {known.workflow}, which has not run"

    def _files(self, run: Run) -> Iterator[str]:
        there = {
            p.relative_to(run.workspace).as_posix(): p.read_bytes() for p in run.workspace.rglob("*") if p.is_file()
        }
        for path, content in self.work.files.items():
            if there.get(path) != content:
                yield f"{path} is not what was sent"
        if self.ending == "finished" and there.get(OUTPUT) != _outputs(run)[OUTPUT]:
            yield "the output is not there"
        here = _content(self.client.directory / "fetched")
        if self.fetches and here != there:
            yield f"fetched: {sorted(here)}, there: {sorted(there)}, or their content differs"

    def _tokens(self) -> Iterator[str]:
        """The token must be nowhere: neither in a file nor in anything said."""
        for path in self.directory.rglob("*"):
            if path.is_file() and TOKEN.encode() in path.read_bytes():
                yield f"the token is in {path.relative_to(self.directory)}"
        said = [*self.client.said, *(line for other in self.other for line in other.said)]
        texts = [*said, *map(_told, self.errors)]
        if any(TOKEN in text for text in texts):
            yield "the token is in what was said"


def _told(error: BaseException) -> str:
    """Everything that a traceback can show of an error, but what the stand-in and its transport hold themselves."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=isinstance(error, Refused))
    return f"{error!r} {error} " + "".join(shown.format())


def _twice(began: list[Run]) -> Iterator[str]:
    """A run is begun once; again only after it has failed, when the command is given anew."""
    for earlier, later in pairwise(began):
        if earlier.status != "failed" or earlier.finished is None or earlier.finished > (later.queued or 0.0):
            yield f"{later.full} was started beside {earlier.full}, which is {earlier.status}"


def _content(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def _outputs(run: Run) -> dict[str, bytes]:
    return {OUTPUT: f"{run.parameters_given().get('n')}\n".encode()}


def _identities(chance: random.Random) -> Callable[[], str]:
    return lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4))
