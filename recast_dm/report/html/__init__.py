"""A run, a scan or a capsule as one HTML file: no network, no script, nothing that a name or a log could smuggle in.

`fragment(document)` is the part of it about a limit or a scan document, for notebooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fragment(document: Mapping[str, Any]) -> str:
    """The HTML of a `recast-dm/limit/1` or `recast-dm/scan/1` document. Raises UsageError for any other.

    It is complete in itself, with a style sheet that touches nothing else on the page.
    """
    from recast_dm.errors import UsageError
    from recast_dm.report.html import limits, page, scans

    schema = document.get("schema")
    if schema == "recast-dm/limit/1":
        return page.part(limits.summary(document))
    if schema == "recast-dm/scan/1":
        return page.part(scans.summary(document))
    raise UsageError(f"a document of schema {schema!r} has no HTML", hint="recast-dm/limit/1 and recast-dm/scan/1 have")
