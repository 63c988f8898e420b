"""What a workspace at REANA says of itself, so that whoever finds it there can go on: `recast-dm/note.json`.

REANA keeps the translated workflow; the note has the one that it was made of, with everything else that our engine
needs to tell what the files there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.backends import Work
from recast_dm.backends.reana.translate import INPUTS, Translated
from recast_dm.errors import IntegrityError
from recast_dm.images.placed import Placed
from recast_dm.model import Image
from recast_dm.spec import yadage

FILE = "recast-dm/note.json"
SCHEMA = "recast-dm/reana-note/1"


def note(work: Work, translated: Translated, placed: Mapping[str, Placed]) -> dict[str, Any]:
    """The document for some work; `placed` are the images by the names of the workflow."""
    pinned = {**work.pinned, **{name: each.image for name, each in placed.items()}}
    return {
        "schema": SCHEMA,
        "digest": translated.digest,
        "about": dict(work.about),
        "workflow": dict(work.workflow.source),
        "initdata": dict(work.initdata),
        "initdir": work.initdir is not None,
        "relaxations": {stage: list(names) for stage, names in work.relaxations.items()},
        "images": {name: image.document() for name, image in pinned.items()},
        "results": dict(work.results),
        "reused": [str(step) for step in translated.reused],
    }


def content(document: Mapping[str, Any]) -> bytes:
    return store.pretty(document)


def checked(document: Any, where: str) -> Mapping[str, Any]:
    """A note that was read. Raises IntegrityError for what is none."""
    problem = schemas.problem("reana-note-1", document)
    if problem is not None:
        raise IntegrityError(
            f"{FILE} of {where} is no note of ours: {problem}", hint="was it submitted by `recast-dm submit`?"
        )
    found: Mapping[str, Any] = document
    return found


def work_of(document: Mapping[str, Any], workspace: Path) -> Work:
    """The work that a note is about; its init files lie in a copy of the workspace. Raises SpecError."""
    relaxations = {stage: tuple(names) for stage, names in document["relaxations"].items()}
    return Work(
        workflow=yadage.read_flattened(document["workflow"], frozenset(relaxations), FILE),
        initdata=document["initdata"],
        initdir=workspace / INPUTS if document["initdir"] else None,
        pinned={name: Image.from_document(each) for name, each in document["images"].items()},
        relaxations=relaxations,
        about=document["about"],
        results=document["results"],
    )
