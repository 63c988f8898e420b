"""Events from outside: a user's event files become init files of the run, hashed and mounted as all others are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from recast_dm import signals, store
from recast_dm.errors import UsageError

FEED = "events"
"""What a model feeds whose events come from files; also the directory of the init files that holds them."""
_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")


def demand(model: str, values: Mapping[str, object], files: Sequence[Path]) -> None:
    """Raises UsageError unless a model that needs event files has some, and any other none."""
    found = signals.find(model)
    wanted = FEED in found.feeds(found.point(values))
    if wanted and not files:
        raise UsageError(f"the model {model} needs events", hint="give --events FILE (LHE or HepMC3, plain or .gz)")
    if files and not wanted:
        raise UsageError(f"the model {model} makes its own events", hint="leave out --events, or take --model events")
    names = [path.name for path in files]
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path} is not a file", hint="--events names a file of events")
        if names.count(path.name) > 1:
            raise UsageError(f"two files of events are called {path.name}", hint="give one of them another name")
        if not _NAME.fullmatch(path.name):
            raise UsageError(
                f"the name {path.name!r} cannot go into a command as it is", hint="take letters, digits and . _ + -"
            )


def assemble(held: Path | None, files: Sequence[Path], into: Path) -> None:
    """The init files at `held` and the event files below `events/`, in a new directory."""
    if held is not None:
        store.link_tree(held, into)
    place = into / FEED
    place.mkdir(parents=True)
    for path in files:
        store.link_or_copy(path.resolve(), place / path.name)
