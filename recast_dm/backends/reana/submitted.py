"""`DIR/submission.json`: which workflow at REANA a run directory was submitted as, and how far that has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm import schemas, store
from recast_dm.backends.reana.api import Reana
from recast_dm.engine.rundir import SUBMISSION
from recast_dm.errors import IntegrityError, UsageError

SCHEMA = "recast-dm/submission/1"
State: TypeAlias = Literal["creating", "created", "uploaded", "started", "fetched", "failed"]
"""How far it has come. `creating`: there is a workflow, or there is not; `failed`: it ended badly there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A workflow at REANA: `workflow` is its `name.run`, empty (as its id) while it is being created.

    `digest` is of the work, `sent` of everything that is sent; `before` are ids of runs of the name that are not meant.
    """

    workflow: str
    id: str
    server: str
    name: str
    state: State
    digest: str
    sent: str = ""
    before: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "workflow": self.workflow,
            "id": self.id,
            "server": self.server,
            "name": self.name,
            "state": self.state,
            "digest": self.digest,
            "sent": self.sent,
            "before": list(self.before),
            "reused": list(self.reused),
            "notes": list(self.notes),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Submission:
        return cls(
            workflow=document["workflow"],
            id=document["id"],
            server=document["server"],
            name=document["name"],
            state=document["state"],
            digest=document["digest"],
            sent=document["sent"],
            before=tuple(document["before"]),
            reused=tuple(document["reused"]),
            notes=tuple(document["notes"]),
        )

    def keep(self, directory: Path) -> Submission:
        store.write_atomic(directory / SUBMISSION, store.pretty(self.document()))
        return self

    def failed(self, directory: Path) -> Submission:
        """Remembers that it ended badly: the next submission from there begins a new run."""
        return replace(self, state="failed").keep(directory)

    def fetched(self, directory: Path) -> Submission:
        """Remembers that everything was fetched."""
        return replace(self, state="fetched").keep(directory)


def read(directory: Path) -> Submission | None:
    """What was submitted from a run directory. Raises IntegrityError when the file says something else."""
    path = directory / SUBMISSION
    if not path.is_file():
        return None
    document = store.read_json(path, SCHEMA)
    if problem := schemas.problem("submission-1", document):
        raise IntegrityError(f"{path} does not say what was submitted: {problem[1]}", hint="choose another --workdir")
    return Submission.of(document)


def mine(reana: Reana, directory: Path, digest: str) -> Submission | None:
    """What was submitted from a directory. Raises UsageError where that was other work, or to another server."""
    found = read(directory)
    if found is not None and found.server != reana.url:
        raise UsageError(
            f"{directory} was submitted to {found.server}, not to {reana.url}", hint="choose another --workdir"
        )
    if found is not None and found.digest != digest:
        raise UsageError(
            f"{directory} was submitted as {found.workflow or found.name}, which is other work",
            hint="choose another --workdir; one is for one run",
        )
    return found
