"""`recast-dm gc`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, view

if TYPE_CHECKING:
    from recast_dm.capsule.collecting import Collected


def gc(
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="TIME", help="What was unpacked, and steps, not used for so long go."),
    ] = "30d",
    steps: Annotated[bool, typer.Option("--steps", help="Also finished steps, which runs would find again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and remove nothing.")] = False,
    json: options.Json = False,
) -> None:
    """Free space in the cache directory: image layers of no capsule, and what was not used for long.

    \b
    Examples:
      recast-dm gc --dry-run
      recast-dm gc --steps --older-than 7d --json
    """
    import time

    from recast_dm.capsule import collecting

    unused = options.duration(older_than, "--older-than")
    cache = options.DEFAULTS.cache_dir
    found = collecting.collect(cache, now=time.time(), unused=unused, steps=steps, dry_run=dry_run)
    if json:
        view.document(
            {
                "schema": "recast-dm/gc/1",
                "cache": str(cache),
                "dry_run": dry_run,
                "busy": found.busy,
                "freed": found.size,
                "removed": [each.document() for each in found.waste],
            }
        )
        return
    if found.busy:
        view.say("note: another process takes images just now: those were left as they are")
    for line in _lines(found, dry_run=dry_run):
        view.out(line)
    view.out(f"{view.size(found.size)} {'would be freed' if dry_run else 'freed'} in {cache}")


NAMES = {
    "blob": "images: blobs of no capsule",
    "note": "images: notes of layers that are gone",
    "image": "unpacked images",
    "capsule": "unpacked capsules",
    "verified": "notes of capsules that are gone",
    "step": "finished steps",
    "temporary": "half-written files",
}


def _lines(found: Collected, *, dry_run: bool) -> list[str]:
    if not found.waste:
        return []
    if dry_run:
        rows = [(NAMES[each.kind], view.size(each.size), str(each.path)) for each in found.waste]
        return [view.table(rows)]
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for each in found.waste:
        number[each.kind] += 1
        size[each.kind] += each.size
    return [view.table((NAMES[kind], str(number[kind]), view.size(size[kind])) for kind in NAMES if number[kind])]
