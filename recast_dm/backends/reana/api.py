"""A method for each call that REANA has for workflows, with our values on both sides."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from recast_dm import store
from recast_dm.backends.reana import creating
from recast_dm.backends.reana.connection import Clock, Connection, NotAFile, Refused, Unsure
from recast_dm.backends.reana.names import checked, split
from recast_dm.backends.reana.sources import Content
from recast_dm.backends.reana.values import (
    Created,
    File,
    Info,
    Listed,
    Logs,
    Ping,
    Secret,
    Status,
    You,
)
from recast_dm.errors import IntegrityError, RemoteError, UsageError, storage_error

ALIVE = ("created", "running", "finished", "failed", "stopped", "queued", "pending")
"""States of workflows that are listed: all but deleted, in the order of the official client."""


class Reana:
    """A server as one user sees it. `w` is a workflow's `name.run`, its name (the newest run), or its id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"Reana({self._connection.url!r})"

    @property
    def url(self) -> str:
        return self._connection.url

    @property
    def clock(self) -> Clock:
        """What waiting is measured by."""
        return self._connection.clock

    # --- the server --------------------------------------------------------------------------------------------------

    def ping(self) -> Ping:
        return Ping.of(self._connection.json("GET", "/api/ping", anonymous=True))

    def you(self) -> You:
        return You.of(self._connection.json("GET", "/api/you"))

    def info(self) -> Info:
        return Info.of(self._connection.json("GET", "/api/info"))

    # --- workflows ---------------------------------------------------------------------------------------------------

    def workflows(self, name: str | None = None) -> Iterator[Listed]:
        """Every workflow, the newest first, those that were deleted left out; `name`: all runs of that name, or id."""
        query = {"verbose": "false", "type": "batch", "status": ",".join(ALIVE)}
        if name is not None:
            query["workflow_id_or_name"] = name
        for item in self._pages("/api/workflows", query):
            found = Listed.of(item)
            if name is None or name in {split(found.name)[0], found.id}:
                yield found

    def create(self, name: str, specification: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Created:
        """A new run of that name, in the way that the server takes. Raises Unsure when the answer was lost."""
        checked(name)
        wanted = creating.Wanted(specification=specification, files=files)
        answer = creating.way(self.ping()).create(self._connection, name, wanted)
        return _created(answer, "a workflow was created, and the server did not say which")

    def specification(self, w: str) -> Mapping[str, Any]:
        """`specification` and `parameters` of a workflow, as the server keeps them."""
        found: Mapping[str, Any] = self._connection.json("GET", _of(w, "specification"))
        return found

    def parameters(self, w: str) -> Mapping[str, Any]:
        found = self._connection.json("GET", _of(w, "parameters"))
        return dict(found.get("parameters") or {})

    def start(
        self,
        w: str,
        parameters: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        restart: bool = False,
    ) -> Created:
        """Starts a workflow, or (`restart`) a new run of one that ended. Parameters keep their JSON types.

        Raises Refused (409) for one that cannot be started as it is, Unsure when the answer was lost.
        """
        body: dict[str, Any] = {
            "input_parameters": dict(parameters or {}),
            "operational_options": dict(options or {}),
        }
        if restart:
            body["restart"] = True
        answer = self._connection.json("POST", _of(w, "start"), body=body, repeatable=False)
        return _created(answer, f"{w} was started, and the server did not say as what")

    def status(self, w: str) -> Status:
        return Status.of(self._connection.json("GET", _of(w, "status")))

    def logs(self, w: str, steps: Iterable[str] = ()) -> Logs:
        """What it said so far; `steps` chooses by their names."""
        wanted = list(steps)
        return Logs.of(self._connection.json("GET", _of(w, "logs"), {"page": "1"}, wanted or None))

    def stop(self, w: str) -> None:
        """Stops a run. Raises Refused (409) for one that does not run."""
        try:
            self._put_status(w, "stop", {"force_stop": True})
        except Refused as error:
            lost = error.status == 409 and error.attempts > 1  # the first answer was lost, and it had been stopped
            if not (lost and self.status(w).state == "stopped"):
                raise

    def delete(self, w: str, *, all_runs: bool = False, workspace: bool = True) -> None:
        """Deletes a run, or all runs of its name, and (`workspace`) its files. What is deleted already stays so."""
        try:
            self._put_status(w, "deleted", {"all_runs": all_runs, "workspace": workspace})
        except Refused as error:
            if not (error.status in {403, 404} and error.attempts > 1):
                raise

    def _put_status(self, w: str, status: str, body: Mapping[str, Any]) -> None:
        self._connection.json("PUT", _of(w, "status"), {"status": status}, body)

    def open_session(self, w: str, kind: str = "jupyter", image: str | None = None) -> str:
        """Opens an interactive session in a run's workspace; gives its address, which holds no token."""
        body = {"image": image} if image else {}
        found = self._connection.json("POST", _of(w, f"open/{quote(kind, safe='')}"), body=body, repeatable=False)
        return f"{self.url}{_field(found, 'path')}"

    def close_session(self, w: str) -> None:
        """Closes the interactive session of a run. Raises Refused where there is none."""
        self._connection.json("POST", _of(w, "close/"), repeatable=False)

    def retention(self, w: str) -> tuple[Mapping[str, Any], ...]:
        """The rules by which files of a workspace go after some days, as the server says them."""
        found = self._connection.json("GET", _of(w, "retention_rules"))
        return tuple(_field(found, "retention_rules"))

    def prune(self, w: str, *, inputs: bool = False, outputs: bool = False) -> None:
        """Deletes what is neither input nor output from a workspace; inputs and outputs too where that is said."""
        query = {"include_inputs": str(inputs).lower(), "include_outputs": str(outputs).lower()}
        self._connection.json("POST", _of(w, "prune"), query)

    # --- its workspace -----------------------------------------------------------------------------------------------

    def files(self, w: str, pattern: str | None = None) -> Iterator[File]:
        """The files of a workspace; `pattern` is one of shell wildcards, or a directory."""
        query = {} if pattern is None else {"file_name": pattern}
        for item in self._pages(_of(w, "workspace"), query):
            yield File.of(item)

    def upload(self, w: str, path: str, source: Path | bytes) -> None:
        """Puts a file into a workspace, over one that is there. Raises StorageError for one that cannot be read."""
        self._connection.send(_of(w, "workspace"), {"file_name": f"/{inside(path)}"}, Content.of(source))

    def download(self, w: str, path: str, target: Path) -> int:
        """Writes a file of a workspace to `target`, whole or not at all; gives its size in bytes. Raises NotAFile."""

        def take(pieces: Iterator[bytes]) -> int:
            temporary = store.temporary(target)
            try:
                with temporary.open("xb") as file:
                    size = sum(_kept(file, piece) for piece in pieces)
                store.fsync(temporary)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            return size

        store.make_directory(target.parent)
        return self._got(w, path, take)

    def read(self, w: str, path: str, *, most: int = 16 * 1024 * 1024) -> bytes:
        """A small file of a workspace. Raises RemoteError for one of more than `most` bytes."""
        got = bytearray()

        def take(pieces: Iterator[bytes]) -> int:
            got.clear()
            for piece in pieces:
                got.extend(piece)
                if len(got) > most:
                    raise RemoteError(f"{path} of {w} is larger than {most} bytes")
            return len(got)

        self._got(w, path, take)
        return bytes(got)

    def _got(self, w: str, path: str, take: Callable[[Iterator[bytes]], int]) -> int:
        asked = literal(inside(path))
        try:
            return self._connection.fetch(f"{_of(w, 'workspace')}/{quote(asked)}", {"file_name": asked}, take)
        except Refused as error:
            if "symlink" not in error.message:
                raise
        raise NotAFile(f"{path} of {w} is a link, which REANA follows nowhere", hint="steps have to write files")

    def remove(self, w: str, pattern: str) -> tuple[str, ...]:
        """Deletes files of a workspace, by shell wildcards (`literal` makes one of a path); gives their paths."""
        found = self._connection.json("DELETE", f"{_of(w, 'workspace')}/{quote(inside(pattern), safe='')}")
        return tuple(_field(found, "deleted"))

    def move(self, w: str, source: str, target: str) -> None:
        """Gives a file or directory of a workspace another path. Raises Refused (409) while the workflow runs."""
        query = {"source": inside(source), "target": inside(target)}
        self._connection.json("PUT", f"/api/workflows/move_files/{_one(w)}", query, repeatable=False)

    def du(self, w: str, *, summarize: bool = False) -> tuple[File, ...]:
        """How many bytes its files and directories use; with `summarize`, all of them together, under no path."""
        found = self._connection.json("GET", _of(w, "disk_usage"), body={"summarize": summarize})
        return tuple(File.of(each) for each in _field(found, "disk_usage_info"))

    # --- secrets -----------------------------------------------------------------------------------------------------

    def secrets(self) -> tuple[Secret, ...]:
        found = self._connection.json("GET", "/api/secrets")
        if not isinstance(found, list):
            raise RemoteError("the server's answer is no list of secrets")
        return tuple(Secret.of(each) for each in found)

    def add_secrets(self, secrets: Mapping[str, tuple[str, bytes]], *, overwrite: bool = False) -> None:
        """Keeps secrets there: by name, `env` or `file`, and the value. Raises Refused (409) for one that is there."""
        body = {
            name: {"value": base64.b64encode(value).decode(), "type": kind} for name, (kind, value) in secrets.items()
        }
        query = {"overwrite": str(overwrite).lower()}
        self._connection.json("POST", "/api/secrets/", query, body, repeatable=overwrite)

    def delete_secrets(self, names: Iterable[str]) -> None:
        """Raises Refused (404) that names those which are not there."""
        try:
            self._connection.json("DELETE", "/api/secrets/", body=list(names))
        except Refused as error:
            if not (error.status == 404 and error.attempts > 1):
                raise

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        page = 1
        while True:
            found = self._connection.json("GET", path, {**query, "page": str(page)})
            items = _field(found, "items")
            yield from items
            if not items or not found.get("has_next"):
                return
            page += 1


def _one(w: str) -> str:
    """A workflow as a part of a path. Raises UsageError for what can be no name: it would be another path."""
    if not w or set(w) & set("/?#%\\") or w in {".", ".."} or not w.isprintable():
        raise UsageError(f"{w!r} names no workflow", hint="it is NAME, NAME.RUN or an id, as `submit` printed it")
    return quote(w, safe="")


def _of(w: str, call: str) -> str:
    return f"/api/workflows/{_one(w)}/{call}"


def inside(path: str) -> str:
    """A path that stays inside a workspace, whoever wrote it. Raises IntegrityError.

    >>> inside("gen/out.txt")
    'gen/out.txt'
    """
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise IntegrityError(f"{path!r} is no path of a file inside a workspace")
    return path


def literal(path: str) -> str:
    """The pattern that means just this file: REANA takes every path for shell wildcards.

    >>> literal("gen/a[1]*.txt")
    'gen/a[[]1][*].txt'
    """
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _kept(file: BinaryIO, piece: bytes) -> int:
    """Writes to a file here: what goes wrong with that is not what goes wrong with a connection."""
    try:
        return file.write(piece)
    except OSError as error:
        raise storage_error(error, "keep what was fetched") from None


def _field(document: Any, name: str) -> Any:
    """A part of an answer. Raises RemoteError where it is missing."""
    if isinstance(document, Mapping) and document.get(name) is not None:
        return document[name]
    raise RemoteError(f"the server's answer has no {name!r}")


def _created(document: Any, unless: str) -> Created:
    """The run that an answer names: create says `rec.1`, start `rec` and beside it the run. Raises Unsure."""
    found = document if isinstance(document, Mapping) else {}
    name, identity, run = found.get("workflow_name"), found.get("workflow_id"), found.get("run_number")
    if not (isinstance(name, str) and name and isinstance(identity, str) and identity):
        raise Unsure(unless)
    return Created(name=f"{name}.{run}" if run and not split(name)[1] else name, id=identity)


def page_of(url: str, w: str) -> str:
    """Where a workflow's page lies, for people.

    >>> page_of("https://reana.example.org", "cfe8646a")
    'https://reana.example.org/workflows/cfe8646a'
    """
    return f"{url}/workflows/{quote(w)}"
