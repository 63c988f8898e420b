"""Published limits on dark matter that are not a collider's: direct and indirect detection, curve by curve.

A curve carries its citation, its confidence level, whether it was digitised, and what it assumes of the dark matter.
`shipped` are those that come with recast-dm; `own` keeps a user's; `verdict` compares a model's point with them.
`python3 -m recast_dm.curves` is the program of a preserved analysis: this room works inside of an image, where there
is only it, `recast_dm.errors` and `recast_dm.batch`. What only a whole recast-dm has is imported where it is used.
"""

from recast_dm.curves.curve import QUANTITIES, UNITS, Citation, Curve, Quantity
from recast_dm.curves.shipped import shipped

__all__ = ["QUANTITIES", "UNITS", "Citation", "Curve", "Quantity", "shipped"]
