"""`python3 -m recast_dm.statistics limit ...`: the limit stage of analyses whose images carry this room.

Exit codes as everywhere: 0 done, also where a point is not covered; 2 for inputs that cannot be; 7 when a fit does not
converge.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recast_dm import batch
from recast_dm.errors import RecastError


def main(argv: list[str]) -> int:
    """One command line; keeps nothing that the next one could see."""
    parser = argparse.ArgumentParser(prog="python3 -m recast_dm.statistics", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    limit = verbs.add_parser("limit", help="CLs and upper limits of one signal")
    limit.add_argument("--workspace", type=Path, required=True, help="background-only pyhf workspace")
    limit.add_argument("--patch", type=Path, required=True, help="RFC 6902 patch that adds the signal")
    limit.add_argument("--signal", type=Path, required=True, help="what is known of the signal: recast-dm/signal/1")
    limit.add_argument("--limit", type=Path, required=True, help="where the limit is written")
    limit.add_argument("--likelihood", default="auto", help="which implementation: auto (default), pyhf, ...")
    asked = parser.parse_args(argv)
    try:
        from recast_dm.statistics import stage

        stage.run(
            workspace=asked.workspace,
            patch=asked.patch,
            signal=asked.signal,
            limit=asked.limit,
            likelihood=asked.likelihood,
        )
    except RecastError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"error: cannot write {error.filename}: {error.strerror}\n")
        return 9
    return 0


if __name__ == "__main__":
    raise SystemExit(batch.entry(main))
