"""Which likelihoods there are, and which one a model is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from recast_dm.errors import ToolMissing, UsageError
from recast_dm.statistics.likelihood import Likelihood
from recast_dm.statistics.workspace import Model, signal_yields

GROUP = "recast_dm.likelihoods"
OURS = {
    "independent": "recast_dm.statistics.independent:bind",
    "covariance": "recast_dm.statistics.covariance:bind",
    "histfactory": "recast_dm.statistics.histfactory:bind",
    "pyhf": "recast_dm.statistics.reference:bind",
}
"""Those of this package, the fastest first; named here too, since images carry this room without its distribution."""
AUTO = "auto"

Bind = Callable[[Model], Likelihood | None]


def names() -> tuple[str, ...]:
    """The installed likelihoods: other packages' first, then ours in order of preference."""
    return tuple(targets())


@cache
def targets() -> dict[str, str]:
    """Where each likelihood is, by name."""
    others = {entry.name: entry.value for entry in sorted(entry_points(group=GROUP)) if entry.name not in OURS}
    return others | OURS


def find(name: str) -> Bind:
    """The function that binds a likelihood of that name to a model. Raises UsageError, or ToolMissing when broken."""
    known = targets()
    if name not in known:
        raise UsageError(f"there is no likelihood {name!r}", hint=f"known here: {', '.join(names())}")
    module, _, attribute = known[name].partition(":")
    try:
        bind: Bind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ToolMissing(f"likelihood {name!r} cannot be loaded: {error}") from error
    return bind


def bind(model: Model, name: str = AUTO) -> Likelihood:
    """The likelihood of a model: that of a name, or the first that can do it exactly.

    Raises UsageError when the named one cannot, StatisticsError when the signal is empty.
    """
    signal_yields(model)
    for each in names() if name == AUTO else (name,):
        if (likelihood := find(each)(model)) is not None:
            return likelihood
    raise UsageError(
        f"the likelihood {name!r} cannot do this workspace and signal exactly",
        hint=f"`--likelihood {AUTO}` takes the first that can, of {', '.join(names())}",
    )
