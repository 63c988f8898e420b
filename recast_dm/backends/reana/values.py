"""What a REANA server says, as frozen values; each is read from the JSON of version 0.9."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast, get_args

from recast_dm.errors import RemoteError

State: TypeAlias = Literal["created", "pending", "queued", "running", "finished", "failed", "stopped", "deleted"]
STATES: tuple[str, ...] = get_args(State)
ENDED: tuple[State, ...] = ("finished", "failed", "stopped", "deleted")
BUNDLES = "workflow-specification-bundles-v1"
"""The capability of servers that take a workflow as a bundle of its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    message: str
    capabilities: frozenset[str] = frozenset()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Ping:
        return cls(
            message=str(document.get("message", "")), capabilities=frozenset(document.get("api_capabilities") or ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is used of a resource (bytes, or milliseconds of a processor) and its limit; None or 0: there is none."""

    usage: int
    limit: int | None = None
    shown: str = ""
    shown_limit: str = ""
    health: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Quota:
        usage, limit = document.get("usage") or {}, document.get("limit") or {}
        return cls(
            usage=int(usage.get("raw") or 0),
            limit=int(limit["raw"]) if limit.get("raw") else None,
            shown=str(usage.get("human_readable", "")),
            shown_limit=str(limit.get("human_readable", "")),
            health=document.get("health"),
        )

    @property
    def free(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class You:
    """Who the token belongs to. The token itself, which the server sends along, is left out."""

    email: str
    version: str
    token_status: str
    quota: Mapping[str, Quota] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> You:
        return cls(
            email=str(document.get("email", "")),
            version=str(document.get("reana_server_version", "")),
            token_status=str((document.get("reana_token") or {}).get("status", "")),
            quota={name: Quota.of(each) for name, each in (document.get("quota") or {}).items() if each},
        )


@dataclass(frozen=True, slots=True)
class Info:
    """What a site offers: names and values as it gives them."""

    entries: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Info:
        return cls({name: each.get("value") if isinstance(each, dict) else each for name, each in document.items()})

    def get(self, name: str) -> Any:
        return self.entries.get(name)

    @property
    def compute_backends(self) -> tuple[str, ...]:
        return tuple(self.get("compute_backends") or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A workflow there: `name` is `name.run`, which every call takes."""

    name: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many steps; `finished` and the others count them. `ids` are the jobs by how they stand."""

    total: int = 0
    finished: int = 0
    running: int = 0
    failed: int = 0
    started: str | None = None
    ended: str | None = None
    stopped: str | None = None
    step: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Progress:
        def count(name: str) -> int:
            return int((document.get(name) or {}).get("total") or 0)

        return cls(
            total=count("total"),
            finished=count("finished"),
            running=count("running"),
            failed=count("failed"),
            started=document.get("run_started_at"),
            ended=document.get("run_finished_at"),
            stopped=document.get("run_stopped_at"),
            step=document.get("current_step_name"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A step there. Times are texts in UTC, as the server writes them."""

    id: str
    step: str
    status: str
    command: str = ""
    image: str = ""
    backend: str = ""
    backend_id: str = ""
    started: str | None = None
    finished: str | None = None
    log: str = ""

    @classmethod
    def of(cls, identity: str, document: Mapping[str, Any]) -> Job:
        return cls(
            id=identity,
            step=str(document.get("job_name") or ""),
            status=str(document.get("status") or ""),
            command=str(document.get("cmd") or ""),
            image=str(document.get("docker_img") or ""),
            backend=str(document.get("compute_backend") or ""),
            backend_id=str(document.get("backend_job_id") or ""),
            started=document.get("started_at"),
            finished=document.get("finished_at"),
            log=str(document.get("logs") or ""),
        )

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is not known."""
        begun, ended = moment(self.started), moment(self.finished)
        return (ended - begun).total_seconds() if begun and ended else 0.0


def moment(text: str | None) -> datetime | None:
    """A time of the server's, which says none of its zone: it is UTC.

    >>> moment("2026-11-22T10:41:42").isoformat()
    '2026-11-22T10:41:42+00:00'
    """
    with contextlib.suppress(ValueError, TypeError):
        found = datetime.fromisoformat(text or "")
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    name: str
    id: str
    state: State
    progress: Progress
    created: str = ""
    jobs: tuple[Job, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Status:
        return cls(
            name=str(document["name"]),
            id=str(document["id"]),
            state=_state(document["status"]),
            progress=Progress.of(document.get("progress") or {}),
            created=str(document.get("created") or ""),
            jobs=_jobs(_inner(document.get("logs"))),
        )

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """What a workflow and its steps said; `engine` is what REANA's yadage said."""

    workflow: str
    engine: str
    jobs: tuple[Job, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Logs:
        inner = _inner(document.get("logs"))
        return cls(
            workflow=str(inner.get("workflow_logs") or ""),
            engine=str(inner.get("engine_specific") or ""),
            jobs=_jobs(inner.get("job_logs") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A workflow in a list."""

    name: str
    id: str
    state: State
    created: str
    progress: Progress

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Listed:
        return cls(
            name=str(document["name"]),
            id=str(document["id"]),
            state=_state(document["status"]),
            created=str(document.get("created") or ""),
            progress=Progress.of(document.get("progress") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a workspace: its path there, its size in bytes."""

    path: str
    size: int
    modified: str = ""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> File:
        return cls(
            path=str(document["name"]),
            size=int((document.get("size") or {}).get("raw") or 0),
            modified=str(document.get("last-modified") or ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    name: str
    kind: str


def _state(word: Any) -> State:
    if word in STATES:
        return cast(State, word)
    raise RemoteError(f"the server says that the workflow is {word!r}, which is no state that REANA 0.9 has")


def _inner(text: Any) -> dict[str, Any]:
    """The JSON in a JSON string."""
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def _jobs(document: Mapping[str, Any]) -> tuple[Job, ...]:
    found = [Job.of(name, each) for name, each in document.items() if isinstance(each, dict)]
    return tuple(sorted(found, key=lambda job: (job.started or "~", job.step)))
