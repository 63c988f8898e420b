"""A method for each call that REANA has for workflows, with our values on both sides."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recast_dm import store
from recast_dm.backends.reana import creating
from recast_dm.backends.reana.connection import Connection
from recast_dm.backends.reana.values import (
    STATES,
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
from recast_dm.errors import RemoteError, UsageError, storage_error

PAGE = 100
"""Entries of a list that are asked for at once."""


class Reana:
    """A server as one user sees it. `w` is a workflow's `name.run`, its name (the newest run), or its id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"Reana({self._connection.url!r})"

    @property
    def url(self) -> str:
        return self._connection.url

    # --- the server --------------------------------------------------------------------------------------------------

    def ping(self) -> Ping:
        return Ping.of(self._connection.json("GET", "/api/ping"))

    def you(self) -> You:
        return You.of(self._connection.json("GET", "/api/you"))

    def info(self) -> Info:
        return Info.of(self._connection.json("GET", "/api/info"))

    # --- workflows ---------------------------------------------------------------------------------------------------

    def workflows(self, name: str | None = None) -> Iterator[Listed]:
        """Every workflow, the newest first, those that were deleted left out; `name`: all runs of that name."""
        query = {"verbose": "false", "type": "batch", "status": ",".join(s for s in STATES if s != "deleted")}
        if name is not None:
            query["search"] = json.dumps({"name": [name]})
        for item in self._pages("/api/workflows", query):
            found = Listed.of(item)
            if name is None or found.name.rpartition(".")[0] == name or found.name.partition(".")[0] == name:
                yield found

    def create(self, name: str, specification: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Created:
        """A new run of that name, in the way that the server takes. Raises Unsure when the answer was lost."""
        wanted = creating.Wanted(specification=specification, files=files)
        return _created(creating.way(self.ping()).create(self._connection, name, wanted))

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
        """Starts a workflow, or (`restart`) a new run of one that ended. Raises Refused with 409 for one that runs."""
        body = {"input_parameters": dict(parameters or {}), "operational_options": dict(options or {})}
        if restart:
            body["restart"] = True  # type: ignore[assignment]  # as the official client sends it
        found = self._connection.json("POST", _of(w, "start"), body=body, repeatable=False)
        run = str(found.get("run_number") or "")
        name = str(found["workflow_name"])
        return Created(name=name if not run or name.endswith(f".{run}") else f"{name}.{run}", id=found["workflow_id"])

    def status(self, w: str) -> Status:
        return Status.of(self._connection.json("GET", _of(w, "status")))

    def logs(self, w: str, steps: Iterable[str] = ()) -> Logs:
        """What it said so far; `steps` chooses by their names."""
        wanted = list(steps)
        return Logs.of(self._connection.json("GET", _of(w, "logs"), {"page": "1"}, wanted or None))

    def stop(self, w: str) -> None:
        self._put_status(w, "stop", {"force_stop": True})

    def delete(self, w: str, *, all_runs: bool = False, workspace: bool = True) -> None:
        self._put_status(w, "deleted", {"all_runs": all_runs, "workspace": workspace})

    def _put_status(self, w: str, status: str, body: Mapping[str, Any]) -> None:
        self._connection.json("PUT", _of(w, "status"), {"status": status}, body)

    # --- its workspace -----------------------------------------------------------------------------------------------

    def files(self, w: str, pattern: str | None = None) -> Iterator[File]:
        """The files of a workspace; `pattern` is one of shell wildcards, or a path."""
        query = {} if pattern is None else {"file_name": pattern}
        for item in self._pages(_of(w, "workspace"), query):
            yield File.of(item)

    def upload(self, w: str, path: str, source: Path | bytes) -> None:
        """Puts a file into a workspace, over one that is there. Raises StorageError for one that cannot be read."""
        self._connection.send(_of(w, "workspace"), {"file_name": path}, creating.opened(source))

    def download(self, w: str, path: str, target: Path) -> int:
        """Writes a file of a workspace to `target`, whole or not at all; gives its size in bytes."""

        def take(pieces: Iterator[bytes]) -> int:
            temporary = store.temporary(target)
            try:
                with temporary.open("wb") as file:
                    size = sum(file.write(piece) for piece in pieces)
                temporary.replace(target)
            except OSError as error:
                raise storage_error(error, f"keep {path}") from None
            finally:
                temporary.unlink(missing_ok=True)
            return size

        return self._connection.fetch(f"{_of(w, 'workspace')}/{path}", {"file_name": path}, take)

    def remove(self, w: str, pattern: str) -> tuple[str, ...]:
        """Deletes files of a workspace; gives their paths."""
        found = self._connection.json("DELETE", f"{_of(w, 'workspace')}/{pattern}")
        return tuple(found.get("deleted") or ())

    def du(self, w: str, *, summarize: bool = False) -> tuple[File, ...]:
        """How many bytes its files use; with `summarize`, all of them together."""
        body = {"summarize": True} if summarize else None
        found = self._connection.json("GET", _of(w, "disk_usage"), body=body)
        return tuple(File.of({**each, "name": each.get("name", "")}) for each in found["disk_usage_info"])

    # --- secrets -----------------------------------------------------------------------------------------------------

    def secrets(self) -> tuple[Secret, ...]:
        found = self._connection.json("GET", "/api/secrets")
        return tuple(Secret(name=str(each["name"]), kind=str(each["type"])) for each in found)

    def add_secrets(self, secrets: Mapping[str, tuple[str, bytes]], *, overwrite: bool = False) -> None:
        """Keeps secrets there: by name, `env` or `file`, and the value. Raises Refused (409) for one that is there."""
        body = {
            name: {"value": base64.b64encode(value).decode(), "type": kind} for name, (kind, value) in secrets.items()
        }
        self._connection.json("POST", "/api/secrets/", {"overwrite": str(overwrite).lower()}, body)

    def delete_secrets(self, names: Iterable[str]) -> None:
        """Raises Refused with 404 that names those which are not there."""
        self._connection.json("DELETE", "/api/secrets/", body=list(names))

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        page = 1
        while True:
            found = self._connection.json("GET", path, {**query, "page": str(page), "size": str(PAGE)})
            yield from found.get("items") or ()
            if not found.get("has_next"):
                return
            page += 1


def _of(w: str, call: str) -> str:
    """The path of a workflow's call. Raises UsageError for what can be no name: it would be another path."""
    if not w or set(w) & set("/?#%\\") or w in (".", "..") or not w.isprintable():
        raise UsageError(f"{w!r} names no workflow", hint="it is NAME, NAME.RUN or an id, as `submit` printed it")
    return f"/api/workflows/{w}/{call}"


def _created(document: Mapping[str, Any]) -> Created:
    try:
        return Created(name=str(document["workflow_name"]), id=str(document["workflow_id"]))
    except (KeyError, TypeError):
        raise RemoteError("the server created a workflow and did not say which") from None


def page_of(url: str, w: str) -> str:
    """Where a workflow's page lies, for people.

    >>> page_of("https://reana.example.org", "cfe8646a")
    'https://reana.example.org/workflows/cfe8646a'
    """
    return f"{url}/workflows/{quote(w)}"
