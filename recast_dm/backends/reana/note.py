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
from recast_dm.backends.reana.translate import INPUTS, NOTE, Translated
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.images.placed import Placed
from recast_dm.model import Image, Workflow
from recast_dm.spec import relaxations as relaxing
from recast_dm.spec import yadage

FILE = NOTE
SCHEMA = "recast-dm/reana-note/1"


def images(work: Work, placed: Mapping[str, Placed]) -> dict[str, Image]:
    """The images that the workflow uses, by its names for them. Raises UsageError for one whose layers nobody knows."""
    known = {**work.pinned, **{name: each.image for name, each in placed.items()}}
    for name in work.workflow.images():
        if name not in known:
            raise UsageError(
                f"the layers of the image {name} are not known, so nobody could tell later what was run there",
                hint="`recast-dm capture` records them, and `recast-dm images push` brings the image to a registry",
            )
    return {name: known[name] for name in work.workflow.images()}


def digest(work: Work, found: Mapping[str, Image]) -> str:
    """Of the work: equal where the same is asked for, wherever images lie and whatever is at hand already."""
    return _digest(work, found, _init(work))


def _init(work: Work) -> store.Tree | None:
    return store.init_tree(work.initdir) if work.initdir else None


def _digest(work: Work, found: Mapping[str, Image], init: store.Tree | None) -> str:
    layers = {name: [list(image.diff_ids), image.platform, dict(image.config)] for name, image in found.items()}
    return store.digest(
        {
            "workflow": work.workflow.source,
            "relaxations": {stage: list(names) for stage, names in work.relaxations.items()},
            "initdata": work.initdata,
            "initdir": init.sha256 if init else None,
            "images": layers,
        }
    )


def note(work: Work, translated: Translated, placed: Mapping[str, Placed]) -> dict[str, Any]:
    """The document for some work; `placed` are the images by the names of the workflow."""
    found, init = images(work, placed), _init(work)
    return {
        "schema": SCHEMA,
        "digest": _digest(work, found, init),
        "sent": translated.digest,
        "about": dict(work.about),
        "workflow": dict(work.workflow.source),
        "initdata": dict(work.initdata),
        "initdir": work.initdir is not None,
        "init": init.document() if init else [],
        "relaxations": {stage: list(names) for stage, names in work.relaxations.items()},
        "images": {name: image.document() for name, image in found.items()},
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
            f"{FILE} of {where} is no note of ours: {problem[1]}", hint="was it submitted by `recast-dm submit`?"
        )
    found: Mapping[str, Any] = document
    return found


def workflow_of(document: Mapping[str, Any]) -> tuple[Workflow, dict[str, tuple[str, ...]]]:
    """The workflow that a note is about, and the relaxations of its stages. Raises SpecError."""
    relaxations = {stage: tuple(names) for stage, names in document["relaxations"].items()}
    return yadage.read_flattened(document["workflow"], relaxing.raw_stages(relaxations), FILE), relaxations


def images_of(document: Mapping[str, Any]) -> dict[str, Image]:
    """The images of that workflow, by its names for them."""
    return {name: Image.from_document(each) for name, each in document["images"].items()}


def work_of(document: Mapping[str, Any], workspace: Path) -> Work:
    """The work that a note is about; its init files lie in a copy of the workspace.

    Raises IntegrityError where these, or anything else, are not what was submitted.
    """
    workflow, relaxations = workflow_of(document)
    initdir = workspace / INPUTS if document["initdir"] else None
    init = _restored(initdir, store.Tree.from_document(document["init"])) if initdir is not None else None
    work = Work(
        workflow=workflow,
        initdata=document["initdata"],
        initdir=initdir,
        pinned=images_of(document),
        relaxations=relaxations,
        about=document["about"],
        results=document["results"],
    )
    if _digest(work, images(work, {}), init) != document["digest"]:
        raise IntegrityError(f"{FILE} does not say what was submitted: it was changed, or is another version's")
    return work


def _restored(initdir: Path, tree: store.Tree) -> store.Tree:
    """Init files as they were sent: REANA keeps no word of which may be executed. Raises IntegrityError."""
    store.make_directory(initdir)
    for file in tree.files:
        place = initdir / file.path
        if place.is_file():
            place.chmod(0o755 if file.executable else 0o644)
    found = store.init_tree(initdir)
    if found.sha256 != tree.sha256:
        odd = sorted({file.path for file in {*found.files} ^ {*tree.files}})
        raise IntegrityError(
            f"init files in the workspace are not those that were submitted: {', '.join(odd[:5])}",
            hint="somebody has changed them there: what was computed may be of either; "
            "`recast-dm submit --again` begins anew",
        )
    return found
