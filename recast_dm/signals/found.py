"""Which signal models there are: entry points of the group `recast_dm.signal_models`, and the user's own files."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from recast_dm.config import Config
from recast_dm.errors import SpecError, ToolMissing, UsageError
from recast_dm.signals.declared import kept
from recast_dm.signals.declared.derived import Derived
from recast_dm.signals.model import SignalModel
from recast_dm.signals.point import Point
from recast_dm.signals.text import close_to

GROUP = "recast_dm.signal_models"


def names() -> tuple[str, ...]:
    """The names of the installed models and the user's own, sorted."""
    return tuple(sorted({*_known(), *kept.names(own_directory())}))


def own_directory() -> Path:
    """Where the user's own models lie: RECAST_DM_MODELS, or the directory of the user's settings."""
    return Config.from_environment().models


def origin(name: str) -> str:
    """Where a model comes from: the package that it is installed with, or the user's file.

    >>> origin("spin1-axial")
    'recast-dm'
    """
    known = _known()
    if name in known:
        return _package(known[name])
    return str(kept.file(own_directory(), name) or "")


def find(name: str) -> SignalModel:
    """The model of that name.

    Raises UsageError for an unknown name, ToolMissing when the package that provides it is broken, SpecError when
    the user's file of it is.

    >>> find("spin1-axail")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    recast_dm.errors.UsageError: there is no signal model 'spin1-axail'
      did you mean 'spin1-axial'? known here: add, ...
    """
    known = _known()
    if name not in known:
        if own := kept.file(own_directory(), name):
            return _named(read(own), name, own)
        choices = names()
        close = close_to(name, choices)
        hint = f"did you mean {close!r}? " if close else ""
        raise UsageError(f"there is no signal model {name!r}", hint=f"{hint}known here: {', '.join(choices) or 'none'}")
    return _loaded(known[name])


def read(path: Path) -> SignalModel:
    """The model in a user's file, based on an installed one. Raises SpecError."""
    from recast_dm.signals.declared import reading  # schemas and yaml, only where there is such a file

    return reading.read(path, installed)


def _named(model: SignalModel, name: str, file: Path) -> SignalModel:
    if model.record.name != name:
        raise SpecError(f"{file} holds a model called {model.record.name}", hint="add it with `recast-dm models add`")
    return model


def installed(name: str) -> SignalModel:
    """The installed model of that name: what a user's model can be based on. Raises UsageError, ToolMissing."""
    known = _known()
    if name not in known:
        close = close_to(name, tuple(known))
        hint = f"did you mean {close!r}? " if close else ""
        raise UsageError(
            f"there is no signal model {name!r} to base another on",
            hint=f"{hint}known here: {', '.join(sorted(known))}",
        )
    return _loaded(known[name])


def resolved(model: SignalModel, point: Point) -> tuple[SignalModel, Point]:
    """The model and point that a user's model stands for; any other model and its point as they are."""
    return (model.base, model.of_base(point)) if isinstance(model, Derived) else (model, point)


def _known() -> dict[str, EntryPoint]:
    return _installed(tuple(sys.path))


@cache
def _installed(_places: tuple[str, ...]) -> dict[str, EntryPoint]:
    """What is installed where Python looks: 10 ms to find out, and a scan asks for each of its points."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> SignalModel:
    try:
        model = entry.load()
    except (ImportError, AttributeError) as error:
        raise ToolMissing(
            f"signal model {entry.name!r} of {_package(entry)} cannot be loaded: {error}",
            hint=f"install {_package(entry)} again",
        ) from error
    if not isinstance(model, SignalModel) or model.record.name != entry.name:
        raise ToolMissing(
            f"signal model {entry.name!r} of {_package(entry)} is not one: {entry.value} has no such record",
            hint=f"its entry point in {GROUP} must name a SignalModel object whose record has the same name",
        )
    return model


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown package"
