# What type checkers and editors see: `__init__.py` loads these names when they are first used.
from recast_dm.api import Combination as Combination
from recast_dm.api import Limit as Limit
from recast_dm.api import Plane as Plane
from recast_dm.api import Planes as Planes
from recast_dm.api import Preserved as Preserved
from recast_dm.api import Run as Run
from recast_dm.api import Scan as Scan
from recast_dm.api import Settings as Settings
from recast_dm.api import Verified as Verified
from recast_dm.api import capture as capture
from recast_dm.api import closure as closure
from recast_dm.api import combine as combine
from recast_dm.api import contour as contour
from recast_dm.api import limits as limits
from recast_dm.api import load as load
from recast_dm.api import models as models
from recast_dm.api import planes as planes
from recast_dm.api import read as read
from recast_dm.api import rerun as rerun
from recast_dm.api import rescale as rescale
from recast_dm.api import run as run
from recast_dm.api import save as save
from recast_dm.api import scan as scan
from recast_dm.api import verify as verify

__version__: str
