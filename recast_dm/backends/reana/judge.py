"""How a workflow at REANA ended: by its progress and by the files that are there, not by its state alone.

REANA's yadage draws its graph after the last step: where that dies, the run is `failed` though everything is done. And
a run in which a declared file was never written is `finished` there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from recast_dm.backends.reana.values import Progress, Status

Outcome: TypeAlias = Literal["open", "success", "failure", "stopped", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`open`: it may still run. `why` says what the state there does not; `missing` are outputs that are not there."""

    outcome: Outcome
    why: str = ""
    missing: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        return self.outcome == "success"


def judge(status: Status, outputs: Iterable[str], there: Collection[str]) -> Verdict:
    """What a workflow came to.

    `outputs` are the paths in the workspace that it declares: files, directories (at least one file below), or shell
    patterns; `there` are the files of its workspace.

    >>> from recast_dm.backends.reana.values import Progress, Status
    >>> def run(state): return Status(name="a.1", id="1", state=state, progress=Progress(total=2, finished=2))
    >>> judge(run("failed"), ["limit"], ["limit/limit.json"]).why
    'REANA calls it failed, but every step finished and every output is there: what died came after them'
    >>> judge(run("finished"), ["limit"], ["limit.txt"])
    Verdict(outcome='failure', why='REANA calls it finished, but outputs are not there: limit', missing=('limit',))
    """
    if status.state == "deleted":
        return Verdict(outcome="deleted")
    if not status.ended:
        return Verdict(outcome="open")
    missing = absent(outputs, there)
    if status.state == "stopped":
        return Verdict(outcome="stopped", missing=missing)
    return _finished(missing) if status.state == "finished" else _failed(status.progress, list(outputs), missing)


def absent(outputs: Iterable[str], there: Collection[str]) -> tuple[str, ...]:
    """The declared outputs that a workspace does not hold.

    >>> absent(["a/b.txt", "c", "d/*.json"], ["a/b.txt", "c/x", "d/y.txt"])
    ('d/*.json',)
    """
    places = set(there)
    return tuple(output for output in outputs if not _is_there(output.strip("/"), places))


def _is_there(output: str, places: Collection[str]) -> bool:
    if output in places or any(place.startswith(f"{output}/") for place in places):
        return True
    return any(mark in output for mark in "*?[") and any(fnmatchcase(place, output) for place in places)


def all_done(progress: Progress) -> bool:
    """Whether every step that was ever known has finished; never so where no step is known."""
    return 0 < progress.total <= progress.finished and not progress.failed


def _finished(missing: tuple[str, ...]) -> Verdict:
    if not missing:
        return Verdict(outcome="success")
    why = f"REANA calls it finished, but outputs are not there: {', '.join(missing)}"
    return Verdict(outcome="failure", why=why, missing=missing)


def _failed(progress: Progress, outputs: list[str], missing: tuple[str, ...]) -> Verdict:
    """Only what declares outputs can show that it has them."""
    if all_done(progress) and outputs and not missing:
        why = "REANA calls it failed, but every step finished and every output is there: what died came after them"
        return Verdict(outcome="success", why=why)
    return Verdict(outcome="failure", why=_unfinished(progress, missing), missing=missing)


def _unfinished(progress: Progress, missing: tuple[str, ...]) -> str:
    if progress.failed:
        return f"{progress.failed} of {progress.total} steps failed"
    if not all_done(progress):
        return f"{progress.finished} of {progress.total} steps finished"
    return (
        f"every step finished, but outputs are not there: {', '.join(missing)}" if missing else "no output is declared"
    )
