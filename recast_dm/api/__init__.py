"""Every verb as a function over values. `import recast_dm` has them too, loaded when they are first used.

    >>> import recast_dm
    >>> toy = recast_dm.load("tests/analyses/toy")
    >>> toy.signal
    ('m_dm', 'm_med')

`load` opens what can be run, `run`, `rerun`, `scan` and `contour` give results, `read` finds those that are there
already. A result is the JSON document that the command line prints with `--json`, shows itself in a notebook, and has
`.plot()`, `.export()` and `.report()`.
"""

from recast_dm.api.opening import Preserved, load
from recast_dm.api.preserving import Verified, capture, verify
from recast_dm.api.reading import combine, limits, models, read, rescale, save
from recast_dm.api.results import Combination, Limit, Run, Scan
from recast_dm.api.running import closure, contour, rerun, run, scan
from recast_dm.api.settings import Settings
from recast_dm.api.standing import Plane, Planes, curves, planes
from recast_dm.api.writing import export, report

__all__ = [
    "Combination",
    "Limit",
    "Plane",
    "Planes",
    "Preserved",
    "Run",
    "Scan",
    "Settings",
    "Verified",
    "capture",
    "closure",
    "combine",
    "contour",
    "curves",
    "export",
    "limits",
    "load",
    "models",
    "planes",
    "read",
    "report",
    "rerun",
    "rescale",
    "run",
    "save",
    "scan",
    "verify",
]
