"""A workflow that somebody submitted with recast-dm, from here or elsewhere: what it is of, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.backends import Work
from recast_dm.backends.reana import note, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.refusing import NotAFile, Refused
from recast_dm.backends.reana.submission import Submission
from recast_dm.backends.reana.translate import INPUTS
from recast_dm.backends.reana.values import Status
from recast_dm.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`note` is what its workspace says of itself; `work` is made of that."""

    sent: Submission
    status: Status
    note: Mapping[str, Any]
    work: Work


def find(reana: Reana, w: str, copies: Path) -> Found:
    """A workflow that has ended. Its init files are brought below `copies`, where parts of workspaces lie by their ids.

    Raises UsageError for one that has not ended, and for one that was not submitted with recast-dm, IntegrityError for
    init files that are not those which were sent.
    """
    status = ended(reana, w)
    document = note.checked(_read(reana, status), status.name)
    copy = copies / status.id
    if document["initdir"]:
        sent_along = {f"{INPUTS}/{each['path']}" for each in document["init"]}  # steps may have put more there
        workspace.fetch(reana, status.id, copy, sent_along.__contains__)
    sent = Submission(
        workflow=status.name,
        id=status.id,
        server=reana.url,
        name=status.name.partition(".")[0],
        state="started",
        digest=document["digest"],
        sent=document["sent"],
        reused=tuple(document["reused"]),
    )
    return Found(sent=sent, status=status, note=document, work=note.work_of(document, copy))


def ended(reana: Reana, w: str) -> Status:
    """The status of a workflow that has ended. Raises UsageError for one that has not, or has no files any more."""
    status = reana.status(w)
    if status.state == "deleted":
        raise UsageError(f"{status.name} is deleted", hint="`recast-dm ls --reana` lists those that are there")
    if not status.ended:
        raise UsageError(
            f"{status.name} has not ended: it is {status.state}", hint=f"recast-dm status {status.name} --watch"
        )
    return status


def _read(reana: Reana, status: Status) -> Any:
    hint = "name the files that you want: recast-dm download W PATH... -o DIR"
    try:
        return json.loads(reana.read(status.id, note.FILE))
    except Refused as error:
        if error.status != 404:
            raise
        raise UsageError(f"{status.name} was not submitted with recast-dm: {note.FILE} is missing", hint=hint) from None
    except (NotAFile, ValueError, RecursionError):
        raise UsageError(f"{note.FILE} of {status.name} is no note of recast-dm's", hint=hint) from None
