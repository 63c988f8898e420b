"""The command line: one module a verb; the only place that prints or exits.

Results go to stdout, everything else to stderr. With `--json` stdout holds exactly one document, also on failure.
"""

from __future__ import annotations

from recast_dm.cli.main import main

__all__ = ["main"]
