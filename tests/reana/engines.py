"""What performs the workflows of the stand-in: the seam, and an engine that performs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from tests.reana.things import Run

if TYPE_CHECKING:
    from tests.reana.standin import Standin


class Engine(Protocol):
    """`begin` is called once a run was queued, `look` before a run is looked at, `stop` ends one that lives."""

    def begin(self, standin: Standin, run: Run) -> None: ...

    def look(self, standin: Standin, run: Run) -> None: ...

    def stop(self, standin: Standin, run: Run) -> None: ...

    def close(self) -> None: ...


def no_files(_: Run) -> Mapping[str, bytes]:
    return {}


class AtOnce:
    """Performs nothing: a run is queued, running and then ended by the server's clock.

    `queue` and `work` are seconds; `outputs` makes the files that a run leaves in its workspace, `ending` its status.
    """

    def __init__(
        self,
        *,
        queue: float = 0.0,
        work: float = 0.0,
        outputs: Callable[[Run], Mapping[str, bytes]] = no_files,
        ending: Callable[[Run], str] = lambda _: "finished",
    ) -> None:
        self._queue = queue
        self._work = work
        self._outputs = outputs
        self._ending = ending

    def begin(self, standin: Standin, run: Run) -> None:
        run.status, run.queued = "queued", standin.now()

    def look(self, standin: Standin, run: Run) -> None:
        if run.queued is None or not run.alive:
            return
        with run.lock:
            passed = standin.now() - run.queued
            if passed >= self._queue and run.status == "queued":
                run.status, run.started = "running", run.queued + self._queue
            if passed >= self._queue + self._work and run.status == "running":
                self._end(run, run.queued + self._queue + self._work)

    def _end(self, run: Run, when: float) -> None:
        for name, content in self._outputs(run).items():
            target = run.workspace / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        run.status, run.finished = self._ending(run), when

    def stop(self, standin: Standin, run: Run) -> None:
        with run.lock:
            run.status = "stopped"
            run.stopped = run.finished = standin.now()

    def close(self) -> None:
        pass
