"""Which run, and which of its steps, the words of a verb mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.capsule import Capsule
    from recast_dm.capsule.catalogue.listing import Listed
    from recast_dm.engine.history import Run, StepHistory

LATEST = options.RUNS / "latest"
RunArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN]", help="A run directory, or a name below build/runs.", show_default=str(LATEST)),
]


def directory(word: Path | None) -> Path:
    """The run directory that a word names: a path, a name below build/runs, or (None) the latest. Raises UsageError."""
    found = _directory(word)
    if found is not None:
        return found
    if word is None:
        raise UsageError(
            f"there is no run at {LATEST}", hint="`recast-dm run X.capsule` makes one; or name a directory"
        )
    if word.exists():
        raise UsageError(f"{word} is not a run directory", hint="`recast-dm ls` lists those below build/runs")
    raise UsageError(f"there is no run {str(word)!r}", hint=_suggestion(word))


def run(word: Path | None) -> Run:
    """The run that a word names, as it is now."""
    from recast_dm.engine import history

    return history.read(directory(word))


def run_and_step(first: Path | None, second: str | None) -> tuple[Run, StepHistory | None]:
    """What `[RUN] [STEP]` mean: one word alone is a run if there is such a run, else a step of the latest."""
    from recast_dm.engine import history

    if first is not None and second is None and _directory(first) is None and not first.exists():
        latest = _directory(None)
        if latest is not None:
            return _step_of_latest(history.read(latest), str(first))
    found = run(first)
    return found, None if second is None else found.step(second)


def _step_of_latest(latest: Run, word: str) -> tuple[Run, StepHistory]:
    try:
        return latest, latest.step(word)
    except UsageError as error:
        raise UsageError(f"{word!r} is neither a run nor a step of {LATEST}", hint=error.hint) from None


def _directory(word: Path | None) -> Path | None:
    from recast_dm.engine import history

    places = (LATEST,) if word is None else (word, options.RUNS / word)
    place = next((place for place in places if history.is_run(place)), None)
    if place is not None and place.is_symlink():
        return place.parent / place.readlink()
    return place


def _suggestion(word: Path) -> str:
    from recast_dm.engine import history
    from recast_dm.spec.shape import did_you_mean

    names = [path.name for path in history.runs_in(options.RUNS)]
    return did_you_mean(word.name, names[-10:]) if names else f"there are none below {options.RUNS} either"


def capsule(word: str | Path) -> Capsule | None:
    """The capsule that a path or a name of the catalogue means, checked; None when it means none.

    One that is a file is unpacked in the cache.
    """
    from recast_dm.capsule import open_capsule, packing

    place = Path(_known_as(str(word)))
    return open_capsule(place, options.cache()) if packing.is_capsule(place) else None


def specification(source: str) -> str:
    """What there is to read of a source: of a capsule its flattened workflow, of anything else itself."""
    from recast_dm.capsule import layout

    found = capsule(source)
    return str(found.path / layout.WORKFLOW) if found else source


def known() -> list[Listed]:
    """Everything that the user's catalogue and RECAST's directories name."""
    from recast_dm.capsule.catalogue import naming

    return naming.known(options.DEFAULTS)


def _known_as(name: str) -> str:
    """What the catalogue knows by a name; the name itself where it knows nothing, or there is such a path."""
    try:
        return subject(name)
    except UsageError:
        return name


def subject(name: str) -> str:
    """What a name means where a capsule or an analysis is wanted: a path or an address; else what the catalogue knows.

    A name that nobody knows is given back, for whoever opens it to say what is wrong, unless the catalogue has others.
    """
    from recast_dm.capsule.catalogue import naming

    return naming.meant(name, options.DEFAULTS)
