"""What an earlier workflow at REANA made and nobody has fetched: a step that is asked for by its key comes from there.

Keys of later steps are known once the files of earlier ones are, so the earlier workflow is expanded again, step by
step, as far as it is asked for; nothing else of it is fetched.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recast_dm import store
from recast_dm.backends.reana import note, places, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.fetched import DONE, Left, execution
from recast_dm.backends.reana.known import Known
from recast_dm.backends.reana.refusing import NotAFile
from recast_dm.engine import key as keys
from recast_dm.engine import outcome, publishers
from recast_dm.engine.cache import Entry, StepCache
from recast_dm.engine.expand import Expansion
from recast_dm.engine.publishers import Files
from recast_dm.errors import RecastError
from recast_dm.model import INIT, DockerEnvironment, Image, Step, StepId, Workflow

MOST = 3
"""How many earlier workflows are looked at."""


class Earlier:
    """The cache, and behind it what the newest earlier workflows of the same capsule made. Safe for threads."""

    def __init__(self, reana: Reana, cache: StepCache, known: Known, about: Mapping[str, Any]) -> None:
        self._reana = reana
        self._cache = cache
        self._known = known
        self._about = about
        self._opened: list[_Opened] | None = None
        self._lock = threading.Lock()

    def __call__(self, key: str) -> Entry | None:
        entry = self._cache.get(key)
        with self._lock:
            if entry is None and self._opened is None:
                newest = self._known.ids(self._reana.url, self._about)[:MOST]
                self._opened = [opened for each in newest if (opened := self._open(each)) is not None]
            for opened in self._opened or ():
                entry = opened.asked(key, entry)
        return entry

    def _open(self, identity: str) -> _Opened | None:
        """An earlier workflow that has ended; None for one that runs, has gone, or is not readable."""
        try:
            status = self._reana.status(identity)
            if not status.ended:
                return None
            if status.state == "deleted":
                self._known.drop(self._reana.url, identity)
                return None
            document = note.checked(json.loads(self._reana.read(identity, note.FILE)), status.name)
            left = Left.of(self._reana, status, map(StepId.parse, document["reused"]))
            return _Opened(self._reana, self._cache, document, left)
        except (RecastError, NotAFile, ValueError, RecursionError):
            return None


@dataclass(slots=True)
class _Opened:
    """An earlier workflow: its steps whose keys are known, and not asked for yet, are `ready`."""

    reana: Reana
    cache: StepCache
    note: Mapping[str, Any]
    left: Left
    ready: dict[str, list[Step]] = field(init=False, default_factory=dict)
    _images: Mapping[str, Image] = field(init=False)
    _trees: dict[StepId, str] = field(init=False)
    _waiting: list[Step] = field(init=False, default_factory=list)
    _workflow: Workflow = field(init=False)
    _expansion: Expansion = field(init=False)

    def __post_init__(self) -> None:
        document = self.note
        self._workflow, relaxations = note.workflow_of(document)
        tree = store.Tree.from_document(document["init"])
        files = tree.names() if document["initdir"] else None
        init = publishers.publish_init(document["initdata"], files)
        self._images = note.images_of(document)
        self._trees = {INIT: tree.sha256}
        self._expansion = Expansion(self._workflow, init, relaxations, files=files)
        self._advance()

    def asked(self, key: str, entry: Entry | None) -> Entry | None:
        """What is kept under a key: the `entry` that is here already, or files of this workflow."""
        for step in self.ready.pop(key, ()):
            try:
                entry = entry or self._fetched(step, key)
                if entry is not None:
                    files = Files(entry.tree.names())
                    published = outcome.published(step, files, entry.place, entry.execution)
                    self._trees[step.id] = entry.tree.sha256
                    self._expansion.publish(step.id, published, files)
            except RecastError:
                continue  # then it is done again
        self._advance()
        return entry

    def _advance(self) -> None:
        """Takes in the steps whose inputs are known by now."""
        self._waiting += self._expansion.advance()
        while ready := [step for step in self._waiting if all(source in self._trees for source in step.sources())]:
            self._waiting = [step for step in self._waiting if step not in ready]
            for step in ready:
                if step.spec.init:
                    self._trees[step.id] = ""
                else:
                    key = keys.of(keys.parts(step, self._image(step), self._trees))
                    self.ready.setdefault(key, []).append(step)

    def _image(self, step: Step) -> Image | None:
        environment = step.spec.environment
        return self._images.get(environment.reference) if isinstance(environment, DockerEnvironment) else None

    def _fetched(self, step: Step, key: str) -> Entry | None:
        """The files of a step that was done there, checked, and kept under its key."""
        place = places.directory(self._workflow, step.id)
        done = places.job_of(self.left.jobs, place)
        image = self._image(step)
        if done is None or done.status not in DONE or image is None or step.id in self.left.reused:
            return None
        found = [file for file in self.left.files if places.output(file.path, place)]
        with store.unfinished(self.cache.root / "reana" / f"{key[:16]}.fetched") as scratch:
            workspace.fetch(self.reana, self.left.id, scratch, listed=found)
            tree = scratch / place
            store.make_directory(tree)
            said = execution(self.reana.url, self.left, step, image, done)
            files = Files(frozenset(name for name, _ in store.walk(tree)))
            publishers.check_published(step, outcome.published(step, files, tree, said), files)
            store.seal(tree)
            self.cache.put(key, store.tree_of(tree), tree, said)
        return self.cache.get(key)
