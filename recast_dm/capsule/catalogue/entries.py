"""The catalogue: the capsules, analyses and RECAST entries known here, and what the last check of each said.

It is one JSON file (schema `recast-dm/catalogue/1`) that names places; it owns none of what lies there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.capsule.catalogue.about import About
from recast_dm.capsule.catalogue.places import Found
from recast_dm.errors import IntegrityError

SCHEMA = "recast-dm/catalogue/1"


@dataclass(frozen=True, slots=True)
class Check:
    """What a check of a place said, of what had which digest."""

    time: str
    ok: bool
    problems: tuple[str, ...]
    digest: str | None

    def document(self) -> dict[str, Any]:
        return {"time": self.time, "ok": self.ok, "problems": list(self.problems), "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Entry:
    """A place that somebody added, and what was there then, or when it was last found to be in order."""

    place: str
    added: str
    known: About | None

    def document(self) -> dict[str, Any]:
        known = self.known.document() if self.known else None
        return {"place": self.place, "added": self.added, "known": known}


@dataclass
class Catalogue:
    """The file, in memory."""

    entries: dict[str, Entry] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "entries": [entry.document() for entry in self.entries.values()],
            "checks": {place: check.document() for place, check in self.checks.items()},
        }


def load(path: Path) -> Catalogue:
    """The catalogue in a file; an empty one where there is none. Raises IntegrityError."""
    if not path.exists():
        return Catalogue()
    document = store.read_json(path, SCHEMA)
    if problem := schemas.problem("catalogue-1", document):
        place = "/".join(map(str, problem[0]))
        raise IntegrityError(
            f"{path} is damaged: {problem[1]} (in {place})", hint="mend it, or remove it and add everything again"
        )
    entries = [
        Entry(each["place"], each["added"], About.from_document(each["known"]) if each["known"] else None)
        for each in document["entries"]
    ]
    checks = {
        place: Check(each["time"], each["ok"], tuple(each["problems"]), each["digest"])
        for place, each in document["checks"].items()
    }
    return Catalogue({entry.place: entry for entry in entries}, checks)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[Catalogue]:
    """The catalogue, to be changed: others wait meanwhile, and see all of the change or nothing of it."""
    with store.alone(path, f"write the catalogue {path}"):
        catalogue = load(path)
        before = catalogue.document()
        yield catalogue
        if catalogue.document() != before:
            store.write_atomic(path, store.pretty(catalogue.document()))


def add(path: Path, found: Iterable[Found]) -> list[str]:
    """Enters what was found; gives the places that were not there yet."""
    new = []
    with changing(path) as catalogue:
        for each in found:
            earlier = catalogue.entries.get(each.place)
            if earlier is None:
                new.append(each.place)
            known = each.about or (earlier.known if earlier else None)
            catalogue.entries[each.place] = Entry(each.place, earlier.added if earlier else now(), known)
    return new


def record(path: Path, place: str, check: Check, seen: About | None) -> None:
    """Keeps what a check said. What is in order is what is known from then on."""
    with changing(path) as catalogue:
        catalogue.checks[place] = check
        if check.ok and seen is not None and place in catalogue.entries:
            catalogue.entries[place] = replace(catalogue.entries[place], known=seen)


def remove(path: Path, gone: Iterable[str]) -> None:
    """Forgets places, and what checks of them said."""
    with changing(path) as catalogue:
        for place in gone:
            catalogue.entries.pop(place, None)
            catalogue.checks.pop(place, None)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
