"""The one error tree. Each class owns its exit code; each message says what is wrong, where, and what to do next.

    RecastError                 1
    ├── StepFailed              1   a step ended badly, or did not write what it declares
    ├── UsageError              2   a word on the command line, or a point, that cannot be
    ├── SpecError               3   recast.yml, workflow.yml or steps.yml says something impossible
    ├── ToolMissing             4   no container engine, no image, no tool
    ├── IntegrityError          5   bytes are not what their hash says
    ├── RemoteError             6   a remote service failed
    ├── StatisticsError         7   a fit did not converge: never a number
    ├── LockedError             8   another runner has this run directory
    ├── StorageError            9   no space, or not writable
    └── Interrupted   129/130/143   a closed terminal, Ctrl-C or SIGTERM; finished steps are kept

>>> error = SpecError("unknown stage 'genrate'", where=Location("workflow.yml", 7, 5), hint="did you mean 'generate'?")
>>> print(error)
workflow.yml:7:5: unknown stage 'genrate'
  did you mean 'generate'?
>>> error.exit_code
3
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any, ClassVar

SCHEMA = "recast-dm/error/1"
LONGEST = 1000
"""Characters of a message: it may repeat what a user wrote, and that may be anything."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text file; line and column count from 1, as editors do."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A step of a run that failed, why, and where its log lies."""

    step: str
    reason: str
    log: str | None


class RecastError(Exception):
    """What a user may see. `hint` is the next thing to do, one or more lines.

    The error of a run that failed has its directory in `run_dir`, and in `failed` every step that did not end well.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"
    failed: tuple[Failure, ...] = ()
    run_dir: str | None = None

    def __init__(self, message: str, *, where: Location | None = None, hint: str | None = None) -> None:
        long = len(message) > LONGEST
        self.message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}" if long else message
        super().__init__(self.message)
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        if not self.hint:
            return head
        return head + "".join(f"\n  {line}" for line in self.hint.splitlines())

    def document(self) -> dict[str, Any]:
        """The JSON error document (schema `recast-dm/error/1`)."""
        where = None
        if self.where:
            where = {"file": self.where.file, "line": self.where.line, "column": self.where.column}
        of_run: dict[str, Any] = {}
        if self.run_dir is not None:
            failed = [{"step": each.step, "reason": each.reason, "log": each.log} for each in self.failed]
            of_run = {"failed": failed, "run_dir": self.run_dir}
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "exit_code": self.exit_code,
            "message": self.message,
            "where": where,
            "hint": self.hint,
            **of_run,
        }


class StepFailed(RecastError):
    """`step` and `status` say which step ended with which exit code, where that is why it failed.

    `reason` names how it ended: `exit code 3`, `killed`, `out of memory`, `timeout`.
    """

    kind = "step-failed"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        step: str | None = None,
        status: int | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.status = status
        self.reason = reason


class UsageError(RecastError):
    exit_code = 2
    kind = "usage"


class SpecError(RecastError):
    exit_code = 3
    kind = "invalid-spec"


class ToolMissing(RecastError):
    exit_code = 4
    kind = "tool-missing"


class IntegrityError(RecastError):
    exit_code = 5
    kind = "integrity"


class RemoteError(RecastError):
    exit_code = 6
    kind = "remote"


class StatisticsError(RecastError):
    exit_code = 7
    kind = "statistics"


class LockedError(RecastError):
    exit_code = 8
    kind = "locked"


class StorageError(RecastError):
    exit_code = 9
    kind = "storage"


class Interrupted(RecastError):
    """A closed terminal (129), Ctrl-C (130) or SIGTERM (143)."""

    kind = "interrupted"

    def __init__(self, message: str, *, signal_number: int = 2, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # one class, two signals


_STORAGE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


def storage_error(error: OSError, what: str) -> RecastError:
    """An operating-system error while doing `what`, as an error a user can act on.

    >>> print(storage_error(OSError(errno.ENOSPC, "No space left on device", "/data/run"), "keep the step's outputs"))
    cannot keep the step's outputs: No space left on device: /data/run
      free some space, or name another place with --workdir and RECAST_DM_CACHE_DIR; finished steps are kept
    """
    place = f": {error.filename}" if error.filename else ""
    message = f"cannot {what}: {error.strerror or error}{place}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, or name another place with --workdir and RECAST_DM_CACHE_DIR; finished steps are kept"
        return StorageError(message, hint=hint)
    if error.errno in _STORAGE_ERRNOS:
        return StorageError(message, hint="check who may write there, or name another place")
    return StorageError(message)


def last_words(said: str | bytes) -> str:
    """The last line of what a program said, as much of it as a message should hold.

    >>> last_words(b"one\\ntwo\\n"), last_words("")
    ('two', 'no message')
    """
    text = said if isinstance(said, str) else said.decode("utf-8", "replace")
    lines = text.strip().splitlines()
    return lines[-1].strip()[:300] if lines else "no message"
