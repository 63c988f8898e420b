"""Which signal models are installed: entry points of the group `recast_dm.signal_models`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from recast_dm.errors import ToolMissing, UsageError
from recast_dm.signals.model import SignalModel
from recast_dm.signals.text import close_to

GROUP = "recast_dm.signal_models"


def names() -> tuple[str, ...]:
    """The names of the installed models, sorted."""
    return tuple(sorted(_known()))


def find(name: str) -> SignalModel:
    """The model of that name.

    Raises UsageError for an unknown name, ToolMissing when the package that provides it is broken.

    >>> find("spin1-axail")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    recast_dm.errors.UsageError: there is no signal model 'spin1-axail'
      did you mean 'spin1-axial'? known here: add, ...
    """
    known = _known()
    if name not in known:
        choices = tuple(sorted(known))
        close = close_to(name, choices)
        hint = f"did you mean {close!r}? " if close else ""
        raise UsageError(f"there is no signal model {name!r}", hint=f"{hint}known here: {', '.join(choices) or 'none'}")
    return _loaded(known[name])


def _known() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> SignalModel:
    package = entry.dist.name if entry.dist else "an unknown package"
    try:
        model = entry.load()
    except (ImportError, AttributeError) as error:
        raise ToolMissing(
            f"signal model {entry.name!r} of {package} cannot be loaded: {error}",
            hint=f"install {package} again",
        ) from error
    if not isinstance(model, SignalModel) or model.record.name != entry.name:
        raise ToolMissing(
            f"signal model {entry.name!r} of {package} is not one: {entry.value} has no such record",
            hint=f"its entry point in {GROUP} must name a SignalModel object whose record has the same name",
        )
    return model
