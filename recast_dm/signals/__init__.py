"""Signal models: parameters with units and ranges, what they feed to an analysis, widths, validity.

A model turns a few numbers into a `Point`, and a point into everything an analysis needs to make events:

>>> model = find("spin1-axial")
>>> point = model.point({"m_med": "1000", "m_dm": 1})
>>> point["g_q"]
0.25
>>> widths = model.widths(point)
>>> round(widths.total, 1)
55.5
>>> [finding.name for finding in model.validity(point) if not finding.ok]
[]
>>> model.feeds(point)["pythia8"]["recoil_id"]
32

Models are found by entry points of the group `recast_dm.signal_models`, each naming an object that is a
`SignalModel`, and in the user's own directory (`declared`). Everything else here is pure: no generator, and no I/O.
"""

from recast_dm.signals.found import GROUP, find, names, origin, read, resolved
from recast_dm.signals.model import Finding, PartialWidth, SignalModel, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import (
    SCHEMA,
    Benchmark,
    Bound,
    Citation,
    DarkMatter,
    Fixed,
    Generator,
    Mediator,
    Parameter,
    Planes,
    SignalRecord,
)

__all__ = [
    "GROUP",
    "SCHEMA",
    "Benchmark",
    "Bound",
    "Citation",
    "DarkMatter",
    "Finding",
    "Fixed",
    "Generator",
    "Mediator",
    "Parameter",
    "PartialWidth",
    "Planes",
    "Point",
    "SignalModel",
    "SignalRecord",
    "Widths",
    "find",
    "names",
    "origin",
    "read",
    "resolved",
]
