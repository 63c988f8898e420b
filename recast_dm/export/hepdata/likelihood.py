"""The likelihood of a scan out of its run directory: the background-only workspace, and a patch for each point."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.capsule.citation import reference
from recast_dm.errors import IntegrityError
from recast_dm.export.hepdata.submission import Resource
from recast_dm.export.hepdata.tables import coordinates, qualifiers
from recast_dm.export.hepdata.values import Column, Table
from recast_dm.export.packing import tarball
from recast_dm.export.scans import ROUNDS, Scan

ARCHIVE = "likelihood.tar.gz"
WORKSPACE, PATCHSET, PATCHES = "BkgOnly.json", "patchset.json", "patches"
POINTS = "point"
"""The stage of a scan whose steps are the points."""
LIMIT_STAGE = "recast-dm/limit-stage/1"
MOST_ROWS = 3000
"""Rows of a table that somebody may still read."""
_RECORD = re.compile(r"ins\d{7}")
"""What pyhf's schema allows as the HEPData record of a patchset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """A point of the scan with its likelihood: the workspace without a signal, and the patch that adds it."""

    point: Mapping[str, Any]
    workspace: Mapping[str, Any]
    patch: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """A name as pyhf's schema wants it.

        >>> Patched(point={"parameters": {"m_med": 1500.0, "g_q": 0.25}}, workspace={}, patch=[]).name
        'm_med_1500__g_q_0p25'
        """
        words = (f"{name}_{value:g}" for name, value in self.point["parameters"].items())
        return re.sub(r"[^a-zA-Z0-9_]", "_", "__".join(words).replace(".", "p").replace("-", "m"))


def of_scan(scan: Scan) -> tuple[Patched, ...]:
    """The likelihoods of the points, in their order; none where the run directory is gone, or holds no pyhf likelihood.

    A point is found by its numbers: what its limit stage wrote is what the scan says, digit for digit.
    """
    if scan.directory is None:
        return ()
    known = {_numbers(point): point for point in scan.done if point["cls_obs"] is not None}
    found: dict[tuple[float, ...], Patched] = {}
    seen: dict[tuple[int, int], Any] = {}
    for place in _places(scan.directory):
        held = [document for path in sorted(place.rglob("*.json")) if (document := _document(path, seen)) is not None]
        limit = next((each for each in held if _is_limit(each)), None)
        workspaces, patches = [each for each in held if _is_workspace(each)], [each for each in held if _is_patch(each)]
        if limit is not None and len(workspaces) == len(patches) == 1 and (numbers := _numbers(limit)) in known:
            found[numbers] = Patched(point=known[numbers], workspace=workspaces[0], patch=_operations(patches[0]))
    return tuple(found[numbers] for numbers in known if numbers in found)


def resources(scan: Scan, patched: Sequence[Patched]) -> Iterator[Resource]:
    """The archive of a likelihood, as HEPData holds those of the experiments: `pyhf patchset` reads it."""
    if not patched:
        return
    shared = [each for each in patched if each.workspace == patched[0].workspace]
    if len(shared) != len(patched):
        raise IntegrityError(
            "the points of this scan have different backgrounds", hint="patches of one likelihood need one workspace"
        )
    members = _members(scan, patched)
    archive = io.BytesIO()
    tarball(members, archive)
    yield Resource(
        location=ARCHIVE,
        kind="HistFactory",
        description=f"Full pyhf likelihood: the background-only workspace and {len(patched)} signal patches, "
        f"one for each point with a limit. Its README.md says how to use them.",
        content=archive.getvalue(),
    )


def yields(scan: Scan, patched: Sequence[Patched]) -> Iterator[Table]:
    """Signal events at mu = 1, and the share of the model's events that they are: by channel, and bin by bin.

    Bins have no table where there would be too many rows to read: they are in the patches.
    """
    if not patched:
        return
    bins = [(each.point, channel, number, events) for each in patched for channel, number, events in _events(each)]
    sums: dict[tuple[int, str], float] = {}
    for point, channel, _, events in bins:
        sums[id(point), channel] = sums.get((id(point), channel), 0.0) + events
    points = {id(each.point): each.point for each in patched}
    yield _yields(
        scan,
        "Signal per channel",
        "Expected events of the signal in each channel of the likelihood, all bins together",
        [(points[number], channel, events) for (number, channel), events in sums.items()],
    )
    if len(bins) <= MOST_ROWS:
        yield _yields(
            scan,
            "Signal per bin",
            "Expected events of the signal in each bin; bins count from 1 in the order of the workspace",
            [(point, channel, events) for point, channel, _, events in bins],
            (Column(name="Bin", values=[number for _, _, number, _ in bins]),),
        )


def _yields(
    scan: Scan,
    name: str,
    description: str,
    rows: Sequence[tuple[Mapping[str, Any], str, float]],
    more: tuple[Column, ...] = (),
) -> Table:
    about = {"mu": (1, ""), **qualifiers(scan)}
    luminosity = scan.document["luminosity_fb"]
    columns = [Column(name="Signal events", values=[events for *_, events in rows], qualifiers=about)]
    if luminosity and all(point["sigma_pb"] for point, *_ in rows):
        share = [events / (1000 * luminosity * point["sigma_pb"]) for point, _, events in rows]
        columns.append(Column(name="Acceptance times efficiency", values=share, qualifiers=about))
    return Table(
        name=name,
        description=f"{description}. Acceptance times efficiency: events over luminosity times cross section.",
        independent=(
            *coordinates(scan, [point for point, *_ in rows]),
            Column(name="Channel", values=[channel for _, channel, _ in rows]),
            *more,
        ),
        dependent=tuple(columns),
        observables=("N", "ACC", "EFF"),
    )


# --- finding them -----------------------------------------------------------------------------------------------------


def _places(directory: Path) -> list[Path]:
    """The directories of the points of a scan, or of a contour; of a single rerun its run directory."""
    found = [*directory.glob(f"{POINTS}/*/"), *directory.glob(f"{ROUNDS}/*/{POINTS}/*/")]
    return sorted(found) or [directory]


def _document(path: Path, seen: dict[tuple[int, int], Any]) -> Any:
    """A JSON file; one that several points share is read once. None for what is no JSON."""
    status = path.stat()
    inode = (status.st_dev, status.st_ino)
    if inode not in seen:
        try:
            seen[inode] = json.loads(path.read_bytes())
        except ValueError:
            seen[inode] = None
    return seen[inode]


def _numbers(document: Mapping[str, Any]) -> tuple[float, ...]:
    return (document["cls_obs"], *document["cls_exp"], document["mu_upper_obs"], *document["mu_upper_exp"])


def _is_limit(document: Any) -> bool:
    return isinstance(document, dict) and document.get("schema") == LIMIT_STAGE and "mu_upper_obs" in document


def _is_workspace(document: Any) -> bool:
    return isinstance(document, dict) and {"channels", "observations", "measurements", "version"} <= document.keys()


def _is_patch(document: Any) -> bool:
    """An RFC 6902 patch, by itself or as one of a patchset."""
    return bool(_operations(document))


def _operations(document: Any) -> list[Mapping[str, Any]]:
    operations = document.get("patch") if isinstance(document, dict) else document
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        return []
    return operations if all({"op", "path"} <= each.keys() for each in operations) else []


def _events(patched: Patched) -> Iterator[tuple[str, int, float]]:
    """What a patch adds to each bin: (channel, number from 1, events)."""
    import jsonpatch

    try:
        with_signal = jsonpatch.apply_patch(_bare(patched.workspace), patched.patch)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):  # it touches a modifier of the background
        with_signal = jsonpatch.apply_patch(patched.workspace, patched.patch)
    before = {channel["name"]: _total(channel) for channel in patched.workspace["channels"]}
    for channel in with_signal["channels"]:
        total, background = _total(channel), before.get(channel["name"])
        for n, events in enumerate(total):
            yield channel["name"], n + 1, events - (background[n] if background else 0.0)


def _bare(workspace: Mapping[str, Any]) -> dict[str, Any]:
    """A workspace's channels without the modifiers of their samples: these are most of it, and no events."""
    channels = [
        {**channel, "samples": [{**sample, "modifiers": []} for sample in channel["samples"]]}
        for channel in workspace["channels"]
    ]
    return {**workspace, "channels": channels}


def _total(channel: Mapping[str, Any]) -> list[float]:
    return [sum(values) for values in zip(*(sample["data"] for sample in channel["samples"]), strict=True)]


# --- the archive ------------------------------------------------------------------------------------------------------


def _members(scan: Scan, patched: Sequence[Patched]) -> dict[str, Path | bytes]:
    record = _record(scan)
    workspace = store.pretty(dict(patched[0].workspace))
    if record is None:
        patches: dict[str, Path | bytes] = {f"{PATCHES}/{each.name}.json": store.pretty(each.patch) for each in patched}
        return {WORKSPACE: workspace, "README.md": _readme(scan, None, patched[0].name), **patches}
    return {
        WORKSPACE: workspace,
        PATCHSET: store.pretty(patchset(scan, patched, record)),
        "README.md": _readme(scan, record, patched[0].name),
    }


def patchset(scan: Scan, patched: Sequence[Patched], record: str) -> dict[str, Any]:
    """The patchset (pyhf's schema 1.0.0): labels are the model's parameters, the digest is of the workspace."""
    labels = list(patched[0].point["parameters"])
    # As `pyhf.utils.digest` makes it, which `pyhf patchset verify` compares with.
    digest = hashlib.sha256(json.dumps(patched[0].workspace, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return {
        "version": "1.0.0",
        "metadata": {
            "references": {"hepdata": record},
            "description": f"{scan.document['model']} at {scan.document['order']}, reinterpreted by recast-dm",
            "digests": {"sha256": digest},
            "labels": labels,
        },
        "patches": [
            {
                "metadata": {"name": each.name, "values": [each.point["parameters"][label] for label in labels]},
                "patch": list(each.patch),
            }
            for each in patched
        ],
    }


def _record(scan: Scan) -> str | None:
    """The analysis' record as pyhf wants it: the INSPIRE number, seven digits."""
    said = scan.document["references"].get("hepdata")
    value = reference("hepdata", str(said)).value if said else ""
    return value if _RECORD.fullmatch(value) else None


def _readme(scan: Scan, record: str | None, example: str) -> bytes:
    about = (
        f"# {scan.document['title']}\n\nSignal model: {scan.document['model']}. Made by recast-dm: a reinterpretation."
    )
    words = (
        f"pyhf patchset verify {WORKSPACE} {PATCHSET}\n"
        f"pyhf patchset apply --name {example} {WORKSPACE} {PATCHSET} | pyhf cls"
        if record
        else f"pyhf cls --patch {PATCHES}/{example}.json {WORKSPACE}"
    )
    return f"{about}\n\n```\n{words}\n```\n".encode()
