"""`python3 -m recast_dm.curves`: the program of a stage that compares a point with published limits.

    python3 -m recast_dm.curves verdict --point POINT.json|NAME=VALUE... --curves SI,SD-p --verdict verdict.json
    python3 -m recast_dm.curves --batch jobs.json

Errors are one line and an exit code, those of `recast_dm.errors`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from recast_dm import batch
from recast_dm.curves import point, shipped, verdict
from recast_dm.errors import RecastError


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="recast_dm.curves", description=__doc__)
    stages = top.add_subparsers(dest="stage", required=True)
    stage = stages.add_parser("verdict", help="excluded or not, curve by curve")
    stage.add_argument("--point", nargs="*", default=[], metavar="FILE|NAME=VALUE", help="what the model predicts")
    stage.add_argument("--curves", nargs="+", required=True, metavar="QUANTITY", help="SI, SD-p, SD-n, sigmav")
    stage.add_argument("--verdict", type=Path, required=True, metavar="FILE")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the words say; holds nothing between calls."""
    words = parser().parse_args(argv)
    try:
        _verdict(words.point, words.curves, words.verdict)
    except RecastError as error:
        sys.stderr.write(f"{words.stage}: {error}\n")
        return error.exit_code
    return 0


def _verdict(given: Sequence[str], quantities: Sequence[str], place: Path) -> None:
    alone = len(given) == 1 and "=" not in given[0]
    predicted = point.read(Path(given[0])) if alone else point.from_words(given)
    found = verdict.compare(predicted, shipped(), verdict.demand_quantities(quantities))
    text = json.dumps(found.document(), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    place.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(batch.entry(main))
