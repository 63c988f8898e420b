"""Sending a workflow to REANA once, whatever goes wrong: killed clients, lost answers, and two clients at a time.

REANA cannot be told "create this unless it is there". So what is about to happen is written down before
(`DIR/submission.json`), and the server's list says afterwards what did happen. Names carry a digest of the work, and
the workspace a note with the whole of it: a run that an earlier try created is found again, also from another machine.
Of several runs of the same work that nobody has started, the one with the lowest number stays.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from recast_dm.backends.reana import names, note, workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Clock
from recast_dm.backends.reana.refusing import NotAFile, Refused, Unsure
from recast_dm.backends.reana.submitted import State, Submission, mine, read
from recast_dm.backends.reana.translate import Translated
from recast_dm.backends.reana.values import Listed
from recast_dm.errors import RemoteError

__all__ = ["State", "Submission", "mine", "read", "submit"]

TRIES = 4
"""How often something is tried again whose answer was lost and that turned out not to have happened."""
QUIET = 30.0
"""Seconds without a new file after which a run that somebody else created is taken for abandoned."""
LOOK = 3.0
"""Seconds between two looks at such a run, and after an answer was lost."""
_BEGUN = ("queued", "pending", "running", "finished")
"""States of a run that is as good as one that we start."""
_GONE = (403, 404)
"""What REANA answers about a workflow that is not there."""
Told: TypeAlias = Callable[[str], object]


def submit(
    reana: Reana,
    name: str,
    translated: Translated,
    about: Mapping[str, Any],
    directory: Path,
    told: Told = lambda _: None,
    *,
    again: bool = False,
    clock: Clock | None = None,
) -> Submission:
    """Has the workflow run at REANA, and says what it is called there. Repeated, it finds what an earlier call did.

    `about` is the note. A run of the same work that is there and did not end badly is taken, whoever began it; `again`
    begins a new one. The caller holds the lock of the directory. Raises UsageError, RemoteError.
    """
    return _Submitting(reana, name, translated, about, directory, told, clock or reana.clock).submitted(again)


class _OvertakenError(Exception):
    """Another client has started the run that we were filling."""


@dataclass(slots=True)
class _Submitting:
    """One call of `submit`."""

    reana: Reana
    name: str
    translated: Translated
    about: Mapping[str, Any]
    directory: Path
    told: Told
    clock: Clock

    def submitted(self, again: bool) -> Submission:
        found = mine(self.reana, self.directory, self.about["digest"])
        if found is not None and found.state in ("started", "fetched") and not again:
            if found.state == "fetched" or self._state(found.id) != "deleted":
                return found
            found = replace(found, state="failed")
        for _ in range(TRIES):
            found = self._there(found, again)
            if found.state == "started":
                self._sweep(found)
                return found
            self.told(f"{found.workflow} at {self.reana.url}")
            started = self._started(found)
            if started is not None:
                return started
            found, again = None, False  # it has vanished: another client may have removed it
        raise RemoteError(
            f"workflows called {self.name} vanish at {self.reana.url} as fast as they are created",
            hint="does somebody else delete them? repeat the command later",
        )

    def _there(self, found: Submission | None, again: bool) -> Submission:
        """A run that is there: the one that was begun here, one of the same work, or a new one."""
        if found is not None and found.state in ("created", "uploaded"):
            if found.sent == self.translated.digest:
                first = self._alike(found.before, until=found.id)  # another client's, created before ours was
                if first is not None:
                    self._remove(found.id)
                return first or found
            self._remove(found.id)  # other files are at hand now than when it was created, and it never started
            found = None
        before: tuple[str, ...] = ()
        if found is not None and found.state == "creating":
            before = found.before
        elif again or (found is not None and found.state == "failed"):
            before = tuple(run.id for run in self._runs())
        return self._alike(before) or self._created(before)

    # --- what the server has already ---------------------------------------------------------------------------------

    def _runs(self) -> list[Listed]:
        """Every run of the name, the first one first."""
        return sorted(self.reana.workflows(self.name), key=lambda run: names.run_order(run.name))

    def _alike(self, before: tuple[str, ...], until: str | None = None) -> Submission | None:
        """The first run of the same work, of those that are meant and come before the one `until`."""
        for run in self._runs():
            if run.id == until:
                return None
            if run.id in before:
                continue
            if run.state in _BEGUN and (said := self._said(run.id)) is not None:
                return self._kept("started", run.name, run.id, before, said)
            if run.state == "created" and self._asks_the_same(run.id) and (found := self._inherited(run, before)):
                return found
        return None

    def _said(self, w: str) -> Mapping[str, Any] | None:
        """The note of a run of the same work; None for another's."""
        try:
            document = json.loads(self.reana.read(w, note.FILE))
        except (NotAFile, ValueError, RecursionError):
            return None
        except Refused as error:
            if error.status in _GONE:
                return None
            raise
        same = isinstance(document, dict) and document.get("digest") == self.about["digest"]
        return document if same else None

    def _asks_the_same(self, w: str) -> bool:
        """Whether a run was created for the same: it may have no files yet, but the server knows what it is given."""
        try:
            kept = self.reana.specification(w).get("specification") or {}
        except Refused as error:
            if error.status in _GONE:
                return False
            raise
        return all(kept.get(part) == self.translated.specification.get(part) for part in ("inputs", "outputs"))

    def _inherited(self, run: Listed, before: tuple[str, ...]) -> Submission | None:
        """A run that was created for the same, perhaps by another client, who is left to fill it as long as it does.

        Two that write the same file at once could leave half of it to a run that starts then. None where it vanishes.
        """
        quiet = QUIET * random.uniform(1.0, 1.5)  # noqa: S311  # two that wait must not both take over at once
        seen, since = self._files(run.id), self.clock.now()
        while True:
            state = self._state(run.id)
            if state in _BEGUN:
                said = self._said(run.id)
                return self._kept("started", run.name, run.id, before, said) if said is not None else None
            if state != "created":
                return None
            if self.clock.now() - since >= quiet:
                return self._kept("created", run.name, run.id, before)
            self.clock.sleep(LOOK)
            there = self._files(run.id)
            if there != seen:
                seen, since = there, self.clock.now()

    def _files(self, w: str) -> frozenset[tuple[str, int, str]]:
        try:
            return frozenset((file.path, file.size, file.modified) for file in self.reana.files(w))
        except Refused as error:
            if error.status in _GONE:
                return frozenset()
            raise

    def _state(self, w: str) -> str:
        try:
            return self.reana.status(w).state
        except Refused as error:
            if error.status in _GONE:
                return "deleted"
            raise

    def _remove(self, w: str) -> None:
        """Deletes a run that never started; one that did meanwhile stays."""
        if self._state(w) == "created":
            with contextlib.suppress(Refused):
                self.reana.delete(w)

    # --- a new one ---------------------------------------------------------------------------------------------------

    def _created(self, before: tuple[str, ...]) -> Submission:
        """A new run; of two that two clients created at once, the first."""
        for _ in range(TRIES):
            self._kept("creating", "", "", before)
            try:
                made = self.reana.create(self.name, self.translated.specification, self.translated.files)
            except Unsure:
                self.clock.sleep(LOOK)  # it may be on its way
                if found := self._alike(before):
                    return found
                continue
            found = self._kept("created", made.name, made.id, before)
            first = self._alike(before, until=made.id)
            if first is None:
                return found
            self._remove(made.id)
            return first
        raise RemoteError(
            f"{self.reana.url} was asked {TRIES} times to create {self.name}, and no workflow is there",
            hint="repeat the command later; nothing was started",
        )

    # --- files, and the start ----------------------------------------------------------------------------------------

    def _started(self, found: Submission) -> Submission | None:
        """A run that has its files and was started; None where it is no more."""
        state = self._state(found.id)
        if state == "deleted":
            return None
        if state == "created":
            try:
                if found.state == "created":
                    self._send(found.id)
                    found = replace(found, state="uploaded").keep(self.directory)
                self._start(found.id)
            except _OvertakenError:
                if self._state(found.id) == "deleted":
                    return None
        started = replace(found, state="started").keep(self.directory)
        self._sweep(started)
        return started

    def _sweep(self, started: Submission) -> None:
        """Deletes runs that a request made which arrived twice, or late: nobody will start them."""
        with contextlib.suppress(RemoteError):  # it has started, and that is what counts
            for run in self._runs():
                surplus = run.state == "created" and run.id not in (started.id, *started.before)
                if surplus and self._asks_the_same(run.id):
                    self._remove(run.id)

    def _send(self, w: str) -> None:
        """Fills a run. Raises _OvertakenError where it was started meanwhile: whoever waited for us took over."""
        looked = self.clock.now()

        def demand_unstarted() -> None:
            nonlocal looked
            if self.clock.now() - looked > QUIET / 2:
                if self._state(w) != "created":
                    raise _OvertakenError
                looked = self.clock.now()

        workspace.send(
            self.reana,
            w,
            {**self.translated.files, note.FILE: note.content(self.about)},
            lambda moved: self.told(f"sent {moved.done} of {moved.files} files: {moved.path}"),
            before=demand_unstarted,
        )

    def _start(self, w: str) -> None:
        """Starts a run. Whether a start whose answer was lost took place, or somebody was faster, its state says."""
        for attempt in range(TRIES):
            try:
                self.reana.start(w)
                return
            except (Unsure, Refused) as error:
                if self._state(w) not in ("created", "deleted"):
                    return
                final = isinstance(error, Refused) and error.status not in (*_GONE, 409)
                if final or attempt == TRIES - 1:
                    raise
                self.clock.sleep(LOOK)

    def _kept(
        self, state: State, workflow: str, identity: str, before: tuple[str, ...], said: Mapping[str, Any] | None = None
    ) -> Submission:
        """Writes down how far it is; `said` is the note of a run that is there already."""
        reused = said.get("reused", ()) if said is not None else map(str, self.translated.reused)
        return Submission(
            workflow=workflow,
            id=identity,
            server=self.reana.url,
            name=self.name,
            state=state,
            digest=self.about["digest"],
            sent=said.get("sent", "") if said is not None else self.translated.digest,
            before=before,
            reused=tuple(reused),
            notes=self.translated.notes,
        ).keep(self.directory)
