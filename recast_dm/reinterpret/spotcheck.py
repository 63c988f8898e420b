"""Fast limits are held to pyhf: a sample of a scan's points is computed again by the reference implementation."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recast_dm import __version__, store
from recast_dm.engine import events
from recast_dm.errors import RecastError
from recast_dm.reinterpret.scan import Scan
from recast_dm.statistics.limit import Limit

FRACTION = 0.05
AT_LEAST = 3
REFERENCE = "pyhf"
SCHEMA = "recast-dm/spot-check/1"


def checked(scan: Scan, observer: events.Observer, memory: Path | None = None) -> Scan:
    """A scan with its spot check; as it is where pyhf itself made the limits.

    `memory` is a directory that remembers checks by what was checked. Raises StatisticsError when a fast limit and the
    reference differ by more than 1e-3 in CLs.
    """
    statistics = scan.subject.analysis.statistics if scan.subject.analysis else None
    fast = [n for n, each in enumerate(scan.answers) if each.limit and each.limit.likelihood not in (None, REFERENCE)]
    if statistics is None or not fast:
        return scan
    chosen = sample(fast)
    limits = [limit for n in chosen if (limit := scan.answers[n].limit) is not None]
    homes = [home for n in chosen if (home := scan.homes[n]) is not None]
    workspaces = [home.file(statistics.likelihood) for home in homes]
    patches = [home.file(statistics.patch) for home in homes]
    files = [store.sha256_file(path) for path in (*workspaces, *patches)]
    key = store.digest({"version": __version__, "files": files, "limits": [_numbers(limit) for limit in limits]})
    remembered = memory / f"{key}.json" if memory else None
    if (found := _remembered(remembered)) is not None:
        return replace(scan, spot_check=found)
    observer(events.Noted(f"checking {len(chosen)} limits against {REFERENCE}"))
    found = _compared(workspaces, patches, limits)
    if remembered is not None:
        with contextlib.suppress(RecastError, OSError):  # a check that is forgotten is made again
            store.make_directory(remembered.parent)
            store.write_atomic(remembered, store.pretty({"schema": SCHEMA, **found}))
    return replace(scan, spot_check=found)


def sample(candidates: Sequence[int]) -> list[int]:
    """Which points are checked: 5 %, at least 3; the same ones for the same scan.

    >>> sample([4, 9]), len(sample(range(200)))
    ([4, 9], 10)
    """
    count = min(len(candidates), max(AT_LEAST, round(FRACTION * len(candidates))))
    return sorted(random.Random(len(candidates)).sample(list(candidates), count))  # noqa: S311  # no secret


def _compared(workspaces: Sequence[Path], patches: Sequence[Path], limits: Sequence[Limit]) -> dict[str, Any]:
    """The largest difference over all sampled points; those with the same background are checked together."""
    from recast_dm.statistics.check import spot_check

    groups: dict[str, list[int]] = {}
    for n, workspace in enumerate(workspaces):
        groups.setdefault(store.sha256_file(workspace), []).append(n)
    largest, reference = 0.0, REFERENCE
    for members in groups.values():
        done = spot_check(
            json.loads(workspaces[members[0]].read_bytes()),
            [json.loads(patches[n].read_bytes()) for n in members],
            [limits[n] for n in members],
            fraction=1.0,
            at_least=len(members),
            seed=0,
        )
        largest = max(largest, done.largest_cls_difference)
        reference = max(reference, done.reference, key=len)  # what had to help pyhf is said
    return {"reference": reference, "points": len(limits), "largest_cls_difference": largest}


def _remembered(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    with contextlib.suppress(RecastError):
        found = store.read_json(path, SCHEMA)
        return {name: found[name] for name in ("reference", "points", "largest_cls_difference")}
    return None


def _numbers(limit: Limit) -> list[float]:
    return [limit.cls_obs, *limit.cls_exp, limit.mu_upper_obs, *limit.mu_upper_exp]
