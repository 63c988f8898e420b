"""A scan as a HEPData submission: tables, figures, the likelihood with a patch for each point, and an abstract.

Written by `hepdata_lib`, accepted by `hepdata-validator`: what it refuses is not written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from recast_dm import store
from recast_dm.capsule import Capsule
from recast_dm.capsule.citation import reference
from recast_dm.errors import UsageError
from recast_dm.export import Exported
from recast_dm.export.hepdata import abstract, likelihood, tables
from recast_dm.export.hepdata.submission import Resource, Submission, write
from recast_dm.export.packing import write as pack
from recast_dm.export.scans import Scan, read


class HepData:
    """A directory, or one `.tar.gz` or `.zip` file, to be uploaded as it is."""

    def export(self, source: Path | Capsule | Scan, output: Path) -> Exported:
        if isinstance(source, Capsule):
            raise UsageError("a capsule holds no limits", hint="`recast-dm scan` it, and export what that leaves")
        scan = source if isinstance(source, Scan) else read(source)
        with tempfile.TemporaryDirectory(prefix="recast-dm-hepdata-") as place:
            write(of_scan(scan), Path(place))
            members: dict[str, Path | bytes] = {name: path.read_bytes() for name, path in store.walk(Path(place))}
        return pack(members, output)


def of_scan(scan: Scan) -> Submission:
    """The submission of a scan, without writing anything."""
    document = scan.document
    energy = document.get("sqrt_s_tev")
    phrases = ["dark matter", "reinterpretation", "RECAST", document["model"], document["analysis"]]
    made = tables.of_scan(scan)
    patches = likelihood.of_scan(scan)
    return Submission(
        abstract=abstract.text(scan),
        tables=(*made, *likelihood.yields(scan, patches)),
        keywords={"phrases": phrases, **({"cmenergies": [1000.0 * energy]} if energy else {})},
        resources=(*_links(scan), *_files(scan), *likelihood.resources(scan, patches)),
        pictures=scan.pictures,
        records=tuple(_records(document["references"].values())),
    )


def _links(scan: Scan) -> Iterator[Resource]:
    for kind, value in scan.document["references"].items():
        found = reference(kind, str(value))
        if found.url:
            yield Resource(location=found.url, description=f"The analysis that is reinterpreted: {found.name}")


def _files(scan: Scan) -> Iterator[Resource]:
    yield Resource(
        location="scan.json",
        description=f"The scan that all tables are made of. It is made again by: {abstract.command(scan)}",
        content=store.pretty(dict(scan.document)),
    )


def _records(references: Iterable[str]) -> Iterator[int]:
    """Numbers of HEPData records among references; an INSPIRE number (`ins…`) is none."""
    for value in references:
        if found := re.fullmatch(r"(?:https://doi\.org/)?10\.17182/hepdata\.(\d+)(?:[./].*)?", str(value)):
            yield int(found[1])
