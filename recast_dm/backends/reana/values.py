"""What a REANA server says, as frozen values; each is read from the JSON of version 0.9."""

from __future__ import annotations

import contextlib
import json
import math
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
    def of(cls, document: Any) -> Ping:
        """Reads `GET /api/ping`. Released servers name no capabilities, and none is none.

        >>> Ping.of({"message": "OK", "status": "200"}).capabilities
        frozenset()
        """
        found = _document(document)
        named = found.get("api_capabilities")
        able = frozenset(each for each in named if isinstance(each, str)) if isinstance(named, list) else frozenset()
        return cls(message=str(found.get("message", "")), capabilities=able)


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
        usage, limit = _part(document, "usage"), _part(document, "limit")
        return cls(
            usage=_whole(usage.get("raw")),
            limit=_whole(limit.get("raw")) or None,
            shown=str(usage.get("human_readable", "")),
            shown_limit=str(limit.get("human_readable", "")),
            health=str(document["health"]) if document.get("health") else None,
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
    def of(cls, document: Any) -> You:
        """Reads `GET /api/you`."""
        found = _document(document)
        return cls(
            email=str(found.get("email") or ""),
            version=str(found.get("reana_server_version") or ""),
            token_status=str(_part(found, "reana_token").get("status") or ""),
            quota={name: Quota.of(each) for name, each in _part(found, "quota").items() if isinstance(each, dict)},
        )

    @property
    def disk(self) -> Quota | None:
        return self.quota.get("disk")

    @property
    def cpu(self) -> Quota | None:
        return self.quota.get("cpu")


@dataclass(frozen=True, slots=True)
class Info:
    """What a site offers: names and values as it gives them."""

    entries: Mapping[str, Any]

    @classmethod
    def of(cls, document: Any) -> Info:
        """Reads `GET /api/info`: each entry has a title and a value.

        >>> info = Info.of({"kubernetes_max_memory_limit": {"title": "...", "value": "10Gi"}})
        >>> info.get("kubernetes_max_memory_limit")
        '10Gi'
        """
        entries = _document(document)
        return cls({name: each.get("value") if isinstance(each, dict) else each for name, each in entries.items()})

    def get(self, name: str) -> Any:
        return self.entries.get(name)

    @property
    def compute_backends(self) -> tuple[str, ...]:
        found = self.get("compute_backends")
        return tuple(map(str, found)) if isinstance(found, list) else ()


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
            return _whole(_part(document, name).get("total"))

        return cls(
            total=count("total"),
            finished=count("finished"),
            running=count("running"),
            failed=count("failed"),
            started=_or_none(document.get("run_started_at")),
            ended=_or_none(document.get("run_finished_at")),
            stopped=_or_none(document.get("run_stopped_at")),
            step=_or_none(document.get("current_step_name")),
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
            started=_or_none(document.get("started_at")),
            finished=_or_none(document.get("finished_at")),
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
    def of(cls, document: Any) -> Status:
        """Reads `GET /api/workflows/{w}/status`, whose `logs` are the jobs, as JSON in a text."""
        found = _document(document)
        return cls(
            name=_text(found, "name"),
            id=_text(found, "id"),
            state=_state(found.get("status")),
            progress=Progress.of(_part(found, "progress")),
            created=str(found.get("created") or ""),
            jobs=_jobs(_inner(found.get("logs"))),
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
    def of(cls, document: Any) -> Logs:
        """Reads `GET /api/workflows/{w}/logs`, where everything is JSON in a text."""
        inner = _inner(_document(document).get("logs"))
        return cls(
            workflow=str(inner.get("workflow_logs") or ""),
            engine=str(inner.get("engine_specific") or ""),
            jobs=_jobs(_part(inner, "job_logs")),
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
    def of(cls, document: Any) -> Listed:
        """Reads an item of `GET /api/workflows`; its progress says only the times."""
        found = _document(document)
        return cls(
            name=_text(found, "name"),
            id=_text(found, "id"),
            state=_state(found.get("status")),
            created=str(found.get("created") or ""),
            progress=Progress.of(_part(found, "progress")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a workspace: its path there, its size in bytes.

    An empty directory looks like one in a list: only asking for it tells.
    """

    path: str
    size: int
    modified: str = ""

    @classmethod
    def of(cls, document: Any) -> File:
        """Reads an item of `GET /api/workflows/{w}/workspace`, or of the disk usage, which puts a / before paths.

        >>> File.of({"name": "/gen/gen.txt", "size": {"raw": 17}}).path
        'gen/gen.txt'
        """
        found = _document(document)
        return cls(
            path=str(found.get("name") or "").removeprefix("/"),
            size=_whole(_part(found, "size").get("raw")),
            modified=str(found.get("last-modified") or ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret of the user's: `kind` is `env` or `file`. Its value cannot be read back."""

    name: str
    kind: str

    @classmethod
    def of(cls, document: Any) -> Secret:
        """Reads an item of `GET /api/secrets`."""
        found = _document(document)
        return cls(name=_text(found, "name"), kind=str(found.get("type") or ""))


def _state(word: Any) -> State:
    if word in STATES:
        return cast(State, word)
    raise RemoteError(f"the server says that the workflow is {word!r}, which is no state that REANA 0.9 has")


def _document(answer: Any) -> Mapping[str, Any]:
    if isinstance(answer, Mapping):
        return answer
    raise RemoteError(f"the server's answer is a {type(answer).__name__}, where an object was expected")


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that may be missing, or null."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if isinstance(found, str) and found:
        return found
    raise RemoteError(f"the server's answer has no {name!r}")


def _or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _inner(text: Any) -> Mapping[str, Any]:
    """The JSON in a JSON string. Raises RemoteError."""
    if not isinstance(text, str):
        return text if isinstance(text, Mapping) else {}
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    return _document(found)


def _jobs(document: Mapping[str, Any]) -> tuple[Job, ...]:
    found = [Job.of(name, each) for name, each in document.items() if isinstance(each, dict)]
    return tuple(sorted(found, key=lambda job: (job.started or "~", job.step)))
