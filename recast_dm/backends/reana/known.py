"""The workflows that were submitted from this machine: a small file each, `CACHE/reana/<id>.json`, beside the steps."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.backends.reana.submission import Submission
from recast_dm.errors import RecastError

SCHEMA = "recast-dm/reana-known/1"


@dataclass(frozen=True, slots=True)
class Known:
    """The register in a directory. What it lacks or cannot be read costs time there, and nothing else."""

    directory: Path

    def add(self, sent: Submission, about: Mapping[str, Any]) -> None:
        """Enters a workflow; `about` is the run's."""
        document = {
            "schema": SCHEMA,
            "server": sent.server,
            "workflow": sent.workflow,
            "id": sent.id,
            "analysis": about.get("analysis"),
            "capsule": about.get("capsule"),
            "digest": sent.digest,
        }
        with contextlib.suppress(RecastError):
            store.write_atomic(self._place(sent.server, sent.id), store.pretty(document))

    def drop(self, server: str, identity: str) -> None:
        """Takes out a workflow: what it made is here, or it has made nothing."""
        with contextlib.suppress(OSError):
            self._place(server, identity).unlink()

    def ids(self, server: str, about: Mapping[str, Any]) -> list[str]:
        """The workflows of the same capsule (or analysis) at a server, the newest first."""
        paths = sorted(self.directory.glob("*.json"), key=_age)
        found = [document for path in paths if (document := _read(path)) is not None]
        of = (server, about.get("analysis"), about.get("capsule"))
        return [each["id"] for each in found if (each["server"], each["analysis"], each["capsule"]) == of]

    def _place(self, server: str, identity: str) -> Path:
        return self.directory / f"{hashlib.sha256(f'{server} {identity}'.encode()).hexdigest()[:32]}.json"


def _age(path: Path) -> int:
    try:
        return -path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = store.read_json(path, SCHEMA)
    except RecastError:
        return None
    return document if schemas.problem("reana-known-1", document) is None else None
