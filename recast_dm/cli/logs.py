"""`recast-dm logs`."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, reana, view
from recast_dm.errors import UsageError, storage_error

if TYPE_CHECKING:
    from recast_dm.engine.history import Run, StepHistory

INTERVAL = 0.2
"""Seconds between two looks while following. Not inotify: that is silent on network filesystems, and a look is one
`stat` a running step, so this costs a thousandth of a core."""
CHUNK = 256 * 1024
Step = Annotated[
    str | None,
    typer.Argument(metavar="[STEP]", help="Such as generate/0.", show_default="what failed, runs, or ended last"),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is said until the run ends.")]
StepOption = Annotated[str | None, typer.Option("--step", metavar="STEP", help="The same as STEP.", show_default=False)]
Stderr = Annotated[bool, typer.Option("--stderr", help="Only what was said on standard error, in containers here.")]
Attempt = Annotated[int | None, typer.Option(min=1, help="Which attempt at the step.", show_default="the last")]


def logs(
    run: chosen.RunArgument = None,
    step: Step = None,
    option: reana.WorkflowOption = None,
    named: StepOption = None,
    follow: Follow = False,
    attempt: Attempt = None,
    stderr: Stderr = False,
    json: options.Json = False,
) -> None:
    """Print what steps said, also while they run: here, or at REANA.

    Without STEP: the one that failed, else those that run, else the last that ended.

    \b
    Examples:
      recast-dm logs build/runs/latest generate/0 --follow
      recast-dm logs my-search-3fa94c1b.2 --step fit
    """
    if json and follow:
        raise UsageError("--json is one document, and --follow does not end", hint="leave out one of them")
    if stderr and follow:
        raise UsageError("--follow follows everything that is said", hint="leave out --stderr, or --follow")
    step = _step(step, named)
    workflow = reana.distant(run, option)
    if workflow is not None:
        from recast_dm.cli import reana_logs

        reana_logs.logs(workflow, str(run) if option and run else step, follow=follow, json=json)
        return
    found, only = chosen.run_and_step(run, step)
    if attempt is not None and only is None:
        raise UsageError("--attempt counts the attempts at one step", hint="name the step too")
    steps = (only,) if only is not None else _interesting(found)
    if json:
        view.document(
            {
                "schema": "recast-dm/logs/1",
                "run": str(found.directory),
                "logs": _documents(found, steps, attempt, stderr=stderr),
            }
        )
    elif follow:
        _follow(found, only, attempt)
    else:
        _show(found, steps, attempt, stderr=stderr)


def _step(word: str | None, option: str | None) -> str | None:
    if word and option and word != option:
        raise UsageError(f"both {word!r} and --step {option!r} name a step", hint="keep one of them")
    return word or option


def _interesting(run: Run) -> tuple[StepHistory, ...]:
    """The first step that failed; else those that run; else the last that ended."""
    failed = [step for step in run.steps if step.state == "failed"]
    running = [step for step in run.steps if step.state == "running"]
    said = sorted((s for s in run.steps if s.log and s.began is not None), key=lambda s: s.ended or s.began or 0.0)
    return tuple(failed[:1] or running or said[-1:] or [s for s in run.steps if s.log][-1:])


def _show(run: Run, steps: tuple[StepHistory, ...], attempt: int | None, *, stderr: bool) -> None:
    if not steps:
        view.say(f"no step of {run.directory} has said anything yet")
        return
    for step in steps:
        log = _log(run, step, attempt)
        if log is None:
            view.say(_silence(run, step))
            continue
        if stderr and (log := _errors(log)) is None:
            view.say(f"{step.id} said nothing on standard error")
            continue
        view.say(f"{step.id}: {log}")
        for data in _chunks(log):
            _write(data if len(steps) == 1 else _prefixed(str(step.id), data))


def _log(run: Run, step: StepHistory, attempt: int | None) -> Path | None:
    if attempt is None:
        return step.log
    found = {int(log.parent.name.rpartition(".")[2]): log for log in run.logs(step.id)}
    if attempt not in found:
        known = ", ".join(map(str, found)) or "none"
        raise UsageError(f"{step.id} has no log of an attempt {attempt}", hint=f"attempts with a log: {known}")
    return found[attempt]


def _errors(log: Path) -> Path | None:
    """What was said on standard error, where there was anything: a batch and a process of this machine mix both."""
    from recast_dm.runtimes.watching import errors_of

    return errors_of(log) if errors_of(log).is_file() else None


def _silence(run: Run, step: StepHistory) -> str:
    """Why a step has no log."""
    if step.state == "finished":
        origin = "was taken from the cache" if step.how == "cached" else "started no process"
        return f"{step.id} {origin}: it said nothing in {run.directory}"
    return f"{step.id} is {step.state}: it has said nothing yet"


def _documents(run: Run, steps: tuple[StepHistory, ...], attempt: int | None, *, stderr: bool) -> list[dict[str, Any]]:
    found = []
    for step in steps:
        log = _log(run, step, attempt)
        log = _errors(log) if stderr and log else log
        text = b"".join(_chunks(log)).decode("utf-8", "replace") if log else ""
        said = {"step": str(step.id), "state": step.state, "log": str(log) if log else None, "text": text}
        found.append(said)
    return found


def _chunks(log: Path) -> Iterator[bytes]:
    try:
        with log.open("rb") as file:
            while data := file.read(CHUNK):
                yield data
    except OSError as error:
        raise storage_error(error, "read what the step said") from None


def _write(data: bytes) -> None:
    """Bytes as the step wrote them, past Python's buffer, so that nothing is left in it for a reader that has gone."""
    sys.stdout.flush()
    descriptor = _descriptor()
    if descriptor is None:
        sys.stdout.write(data.decode("utf-8", "replace"))
        return
    while data:
        data = data[os.write(descriptor, data) :]


def _descriptor() -> int | None:
    try:
        return sys.stdout.fileno()
    except (OSError, ValueError):  # replaced by something in memory
        return None


def _prefixed(name: str, data: bytes) -> bytes:
    lines = data.decode("utf-8", "replace").splitlines()
    return "".join(f"{name} | {line}\n" for line in lines).encode("utf-8", "backslashreplace")


# --- following -------------------------------------------------------------------------------------------------------


def _follow(run: Run, only: StepHistory | None, attempt: int | None) -> None:
    """Prints what is said until the run ends; with a step, until that step ends."""
    if not run.locked or attempt is not None or (only is not None and only.state in ("finished", "failed")):
        _show(run, (only,) if only is not None else _interesting(run), attempt, stderr=False)
        return
    _Following(run.directory, str(only.id) if only is not None else None).run()


class _Following:
    """The logs of the steps that run. The journal says which do."""

    def __init__(self, directory: Path, only: str | None) -> None:
        self._directory = directory
        self._only = only
        self._tails: dict[str, _Tail] = {}
        self._journal = _Tail(directory / ".events.jsonl")
        self._ended = False

    def run(self) -> None:
        from recast_dm.engine import history

        self._take(told=False)
        looks = 0
        while not self._ended:
            for step, tail in self._tails.items():
                self._say(step, tail.lines())
            wait()
            looks += 1
            gone = looks % 5 == 0 and not history.locked(self._directory)  # a runner that was killed says nothing
            self._take(told=True)
            if gone:
                self._ended = True
        for step, tail in self._tails.items():
            self._say(step, tail.lines(last=True))

    def _take(self, *, told: bool) -> None:
        """Takes in the journal as far as it was not yet; what an earlier start told is over."""
        for line in self._journal.lines():
            event = _event(line)
            name, step = event.get("event"), event.get("step")
            if name == "run-started":
                self._tails.clear()
                self._ended = False
            elif name == "run-finished":
                self._ended = True
            elif name == "started" and isinstance(step, str) and self._only in (None, step):
                self._close(step)
                self._tails[step] = _Tail(self._directory / ".attempts" / Path(str(event.get("log"))).name / "log")
            elif name in ("ran", "cached", "kept", "failed") and isinstance(step, str):
                self._close(step, told=told)
                self._ended = self._ended or (told and step == self._only)

    def _close(self, step: str, *, told: bool = True) -> None:
        tail = self._tails.pop(step, None)
        if tail is not None and told:
            self._say(step, tail.lines(last=True))

    def _say(self, step: str, lines: list[bytes]) -> None:
        if lines:
            text = b"".join(lines)
            _write(text if self._only else _prefixed(step, text))


class _Tail:
    """A file that grows, read on from where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def lines(self, *, last: bool = False) -> list[bytes]:
        """The whole lines that are new; with `last`, the unfinished one too."""
        try:
            if self._path.stat().st_size > self._offset:
                with self._path.open("rb") as file:
                    file.seek(self._offset)
                    new = file.read()
                self._offset += len(new)
                self._rest += new
        except OSError:  # not there yet
            return []
        *whole, self._rest = self._rest.split(b"\n")
        found = [line + b"\n" for line in whole]
        if last and self._rest:
            found, self._rest = [*found, self._rest + b"\n"], b""
        return found


def _event(line: bytes) -> dict[str, Any]:
    from json import loads

    try:
        event = loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def wait(seconds: float = INTERVAL) -> None:
    """Sleeps; raises BrokenPipeError as soon as nobody reads stdout any more."""
    descriptor = _descriptor()
    if descriptor is None:
        time.sleep(seconds)
        return
    poller = select.poll()
    poller.register(descriptor, 0)
    if any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poller.poll(seconds * 1000)):
        raise BrokenPipeError
