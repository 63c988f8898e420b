"""`python -m recast_dm`."""

import sys

from recast_dm.cli import main

sys.exit(main())
