"""Sending a workflow to REANA once, whatever goes wrong: killed clients, lost answers, and two clients at a time.

`DIR/submission.json` says how far it has come. Names carry a digest of what is sent, and the workspace a note with the
whole of it: so a run that an earlier try created is found again, from here or from another machine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm import store
from recast_dm.backends.reana import names, note, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.refusing import NotAFile, Refused, Unsure
from recast_dm.backends.reana.translate import Translated
from recast_dm.backends.reana.values import Listed
from recast_dm.engine.rundir import SUBMISSION
from recast_dm.errors import RemoteError, UsageError

SCHEMA = "recast-dm/submission/1"
State: TypeAlias = Literal["created", "uploaded", "started", "failed"]
TRIES = 4
"""How often something is tried again whose answer was lost and that turned out not to have happened."""
_OVER = ("failed", "stopped", "deleted")
Told: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A workflow at REANA: `workflow` is its `name.run`, `digest` that of what was sent."""

    workflow: str
    id: str
    server: str
    name: str
    state: State
    digest: str
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
            reused=tuple(document["reused"]),
            notes=tuple(document["notes"]),
        )

    def keep(self, directory: Path) -> Submission:
        store.write_atomic(directory / SUBMISSION, store.pretty(self.document()))
        return self

    def failed(self, directory: Path) -> Submission:
        """Remembers that it ended badly: the next submission from there begins a new run."""
        return replace(self, state="failed").keep(directory)


def read(directory: Path) -> Submission | None:
    """What was submitted from a run directory. Raises IntegrityError when the file says something else."""
    path = directory / SUBMISSION
    return Submission.of(store.read_json(path, SCHEMA)) if path.is_file() else None


def submit(
    reana: Reana,
    name: str,
    translated: Translated,
    about: Mapping[str, Any],
    directory: Path,
    told: Told = lambda _: None,
    *,
    again: bool = False,
) -> Submission:
    """Has the workflow run at REANA, and says what it is called there. Repeated, it finds what an earlier call did.

    `about` is the note; `again` begins a new run where one has ended well. Raises RemoteError.
    """
    found = _here(reana, translated, directory, again)
    if found is None:
        listed = None if again else _there(reana, name, translated.digest)
        found = _submission(reana, name, translated, listed or _created(reana, name, translated)).keep(directory)
        told(f"{found.workflow} at {reana.url}")
    if found.state == "created":
        workspace.send(
            reana,
            found.workflow,
            {**translated.files, note.FILE: note.content(about)},
            lambda moved: told(f"sent {moved.done} of {moved.files} files: {moved.path}"),
        )
        found = replace(found, state="uploaded").keep(directory)
    if found.state == "uploaded":
        _start(reana, found.workflow)
        found = replace(found, state="started").keep(directory)
    return found


def _submission(reana: Reana, name: str, translated: Translated, run: _Run) -> Submission:
    return Submission(
        workflow=run.name,
        id=run.id,
        server=reana.url,
        name=name,
        state="started" if run.began else "created",
        digest=translated.digest,
        reused=tuple(map(str, translated.reused)),
        notes=translated.notes,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """A run at the server, and whether it was ever started."""

    name: str
    id: str
    began: bool = False


def _here(reana: Reana, translated: Translated, directory: Path, again: bool) -> Submission | None:
    """What was submitted from this directory and is still there. Raises UsageError for something else."""
    found = read(directory)
    if found is None or found.state == "failed" or (again and found.state == "started"):
        return None
    if found.server != reana.url:
        raise UsageError(
            f"{directory} was submitted to {found.server}, not to {reana.url}", hint="choose another --workdir"
        )
    if found.digest != translated.digest and found.state != "started":
        return None  # nothing of it has run: what is meant now goes before
    try:
        return None if reana.status(found.workflow).state == "deleted" else found
    except Refused as error:
        if error.status in (403, 404):
            return None
        raise


# --- what the server has already --------------------------------------------------------------------------------------


def _there(reana: Reana, name: str, digest: str) -> _Run | None:
    """The first run of that name with this content, or that has none yet: an earlier try created it."""
    runs = sorted(reana.workflows(name), key=_number)
    return next((_run(each) for each in runs if each.state not in _OVER and _is(reana, each, digest)), None)


def _run(listed: Listed) -> _Run:
    return _Run(listed.name, listed.id, listed.state != "created")


def _number(listed: Listed) -> tuple[int, ...]:
    return tuple(int(part) for part in names.split(listed.name)[1].split(".") if part.isdecimal())


def _is(reana: Reana, listed: Listed, digest: str) -> bool:
    """Whether a run holds what is to be sent. One that was only created holds nothing, and its name says what for."""
    try:
        document = json.loads(reana.read(listed.id, note.FILE))
    except (NotAFile, ValueError):
        return listed.state == "created"
    except Refused as error:
        if error.status == 404:
            return listed.state == "created"
        raise
    return isinstance(document, dict) and document.get("digest") == digest


def _created(reana: Reana, name: str, translated: Translated) -> _Run:
    """A new run; of two that two clients created at once, the first."""
    lost: Unsure | None = None
    before = {each.id for each in reana.workflows(name)}
    for _ in range(TRIES):
        try:
            reana.create(name, translated.specification, translated.files)
        except Unsure as error:
            lost = error
        new = [each for each in reana.workflows(name) if each.id not in before and each.state not in _OVER]
        runs = sorted((each for each in new if _is(reana, each, translated.digest)), key=_number)
        if not runs:
            continue
        for surplus in (each for each in runs[1:] if each.state == "created"):
            with contextlib.suppress(RemoteError):  # it was never started; whoever made it takes the first one, too
                reana.delete(surplus.id)
        return _run(runs[0])
    raise lost or RemoteError(
        f"{reana.url} created {name} and does not list it", hint="repeat the command; nothing was started"
    )


def _start(reana: Reana, w: str) -> None:
    """Starts a workflow that may have been started already."""
    trouble: RemoteError | None = None
    for _ in range(TRIES):
        try:
            reana.start(w)
            return
        except Unsure as error:
            trouble = error
        except Refused as error:
            if error.status != 409:
                raise
            trouble = error
        if reana.status(w).state != "created":
            return
    raise trouble or RemoteError(f"{w} was not started")
