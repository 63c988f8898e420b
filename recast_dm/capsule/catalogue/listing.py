"""What the catalogue knows now: each thing with its places and states, and how one is found by a word.

Entries below directories that RECAST's own variable names are listed too, as they are when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from recast_dm.capsule.catalogue import places
from recast_dm.capsule.catalogue.about import KINDS, About, about
from recast_dm.capsule.catalogue.entries import Catalogue, Check, Entry
from recast_dm.capsule.catalogue.places import Found
from recast_dm.config import RECAST_CATALOGUES
from recast_dm.errors import RecastError, UsageError
from recast_dm.spec import remote
from recast_dm.spec.shape import did_you_mean

State = Literal["ok", "unverified", "changed", "invalid", "remote", "missing"]
STATES: tuple[State, ...] = get_args(State)
"""The best first: what lies at several places is in the state of the best of them."""
SHORTEST_DIGEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of a listed thing. `own` are those of the user's own catalogue."""

    place: str
    state: State
    reason: str = ""
    checked: Check | None = None
    own: bool = True

    @property
    def shown(self) -> str:
        return remote.shown(self.place) if places.is_address(self.place) else self.place

    def document(self) -> dict[str, Any]:
        checked = self.checked.document() if self.checked else None
        said = {"place": self.place, "state": self.state, "reason": self.reason or None}
        return {**said, "checked": checked, "own": self.own}


@dataclass(frozen=True, slots=True)
class Listed:
    """A thing that is known, wherever it lies: the best place first."""

    about: About
    places: tuple[Place, ...]

    @property
    def best(self) -> Place:
        return self.places[0]

    def document(self) -> dict[str, Any]:
        return {
            **self.about.document(),
            "state": self.best.state,
            "verified": max((p.checked.time for p in self.places if p.checked and p.checked.ok), default=None),
            "places": [place.document() for place in self.places],
        }


def listed(catalogue: Catalogue, recast: Iterable[Path] = ()) -> list[Listed]:
    """Everything that is known, by name. The same capsule at several places is one thing."""
    groups: dict[str, list[tuple[About, Place]]] = {}
    for what, place in _each(catalogue, recast):
        key = what.digest if what.kind == "capsule" and what.digest else place.place
        groups.setdefault(key, []).append((what, place))
    found = []
    for group in groups.values():
        group.sort(key=lambda each: STATES.index(each[1].state))
        found.append(Listed(group[0][0], tuple(place for _, place in group)))
    return sorted(found, key=lambda each: (each.about.name, KINDS.index(each.about.kind), each.best.place))


def _each(catalogue: Catalogue, recast: Iterable[Path]) -> Iterator[tuple[About, Place]]:
    for entry in catalogue.entries.values():
        yield _judged(_now(entry), entry.known, catalogue.checks.get(entry.place))
    for directory in recast:
        for found in places.of_directory(directory):
            if found.place not in catalogue.entries:
                what, place = _judged(found, None, catalogue.checks.get(found.place))
                yield what, replace(place, own=False)


def _now(entry: Entry) -> Found:
    """What lies at a place of the catalogue now."""
    if places.is_address(entry.place):
        return Found(entry.place, entry.known)
    try:
        return Found(entry.place, about(Path(entry.place)))
    except (RecastError, OSError) as error:
        return Found(entry.place, None, error.message if isinstance(error, RecastError) else str(error))


def _judged(found: Found, known: About | None, checked: Check | None) -> tuple[About, Place]:
    what = found.about or known or About(kind="unknown", name=_name(found.place))
    state, reason = _state(found, known, checked)
    return what, Place(place=found.place, state=state, reason=reason, checked=checked)


def _state(found: Found, known: About | None, checked: Check | None) -> tuple[State, str]:
    if places.is_address(found.place):
        return "remote", ""
    if not Path(found.place).exists():
        return "missing", "there is nothing any more"
    if found.about is None:
        return "invalid", found.reason
    before = checked.digest if checked else known.digest if known else found.about.digest
    if found.about.digest != before:
        return "changed", "it is not what was checked last" if checked else "it is not what was added"
    if checked is None:
        return "unverified", ""
    return ("ok", "") if checked.ok else ("invalid", checked.problems[0])


def _name(place: str) -> str:
    """What something that cannot be read is called: as its file.

    >>> _name("/data/toy.capsule.zip"), _name("https://example.org/toy.capsule?x=1")
    ('toy', 'toy')
    """
    last = remote.shown(place).rstrip("/").rpartition("/")[2]
    for suffix in (".zip", ".tar", ".yml", ".yaml", ".capsule"):
        last = last.removesuffix(suffix)
    return last or place


# --- by name ---------------------------------------------------------------------------------------------------------


def find(known: Sequence[Listed], word: str) -> Listed:
    """What a word names: a name, the beginning of a digest, or a place.

    Of several things of one name that is meant which can be used, and a capsule rather than its analysis. Raises
    UsageError.
    """
    found = [each for each in known if _is_called(each, word)]
    if not found:
        names = {each.about.name for each in known}
        raise UsageError(f"the catalogue knows no {word!r}", hint=did_you_mean(word, names))
    best = min(map(_rank, found))
    found = [each for each in found if _rank(each) == best]
    if len(found) > 1:
        rows = "\n".join(f"{(each.about.digest or '')[:12]}  {each.best.shown}" for each in found)
        raise UsageError(f"{word!r} names {len(found)} things", hint=f"write the digest or the place of one:\n{rows}")
    return found[0]


def _rank(each: Listed) -> tuple[bool, int]:
    return each.best.state in ("remote", "missing"), KINDS.index(each.about.kind)


def _is_called(each: Listed, word: str) -> bool:
    digest = word.removeprefix("sha256:")
    if len(digest) >= SHORTEST_DIGEST and (each.about.digest or "").startswith(digest):
        return True
    return each.about.name == word or any(place.place == _path(word) for place in each.places)


def _path(word: str) -> str:
    """A word as a place."""
    return word if places.is_address(word) else str(places.local(word))


def resolve(known: Sequence[Listed], word: str) -> Path:
    """Where the thing lies that a word names. Raises UsageError where it is not here."""
    thing = find(known, word)
    place = thing.best
    if place.state == "remote":
        raise UsageError(
            f"{word!r} lies on a server: {place.shown}",
            hint="download it, and name the file; `recast-dm catalogue add` enters it",
        )
    if place.state == "missing":
        raise UsageError(f"{word!r} is no longer at {place.shown}", hint="`recast-dm catalogue rm` forgets it")
    return Path(place.place)


def meant(thing: Listed, word: str) -> tuple[Place, ...]:
    """Which of its places a word means: the one that it is, or all."""
    path = _path(word)
    return tuple(place for place in thing.places if place.place == path) or thing.places


def own_places(thing: Listed, word: str) -> list[str]:
    """The places of a thing that a word means and that can be forgotten. Raises UsageError."""
    named = meant(thing, word)
    own = [place.place for place in named if place.own]
    if not own:
        raise UsageError(
            f"{word!r} stands in a directory of {RECAST_CATALOGUES}: {named[0].shown}",
            hint="take the directory out of that variable, or the file out of the directory",
        )
    return own


def matches(each: Listed, words: Iterable[str]) -> bool:
    """Whether every word occurs in what is known of a thing, small and capital letters alike."""
    what = each.about
    said = what.references
    seen = [what.name, what.title, what.kind, each.best.state, *what.formats, *said.keys(), *said.values()]
    seen += [place.shown for place in each.places]
    return all(any(word.casefold() in text.casefold() for text in seen) for word in words)
