"""The REANA backend as the command line sets it up, and the words that say how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.backends.reana.backend import Cluster
from recast_dm.cli import execution, reana, view
from recast_dm.engine import history
from recast_dm.errors import UsageError
from recast_dm.images import push

FROM = ".source.json"
"""What a run directory says of where its subject came from: a path of this machine, which is sent nowhere."""
SCHEMA = "recast-dm/submitted-from/1"


def cluster(
    *,
    registry: str | None = None,
    layout: Path | None = None,
    name: str | None = None,
    again: bool = False,
    retries: int = 0,
    cached: bool = True,
    quiet: bool = False,
    **more: Any,
) -> Cluster:
    """The server that the environment names, with the cache of finished steps here.

    `registry` holds the images of `layout`. Raises UsageError where there is no layout that a registry could hold.
    """

    if registry is not None and layout is None:
        raise UsageError(
            "--registry is for a capsule, which brings its images", hint="`recast-dm capture` makes one of an analysis"
        )
    if registry is None and not quiet:
        view.say("note: REANA pulls images by their names, unchecked; --registry HOST has it pull exactly these")
    held = {} if registry is None or layout is None else push.placed(layout, registry)
    return Cluster(
        reana=reana.connected(),
        placed=lambda images: {reference: held[reference] for reference in images if reference in held},
        reachable=push.reachable,
        cache=execution.cache() if cached else None,
        name=name,
        again=again,
        retries=retries,
        poll=reana.POLL,
        **more,
    )


def remember(directory: Path, source: str, k_factor: str | None) -> None:
    """Keeps in a run directory, where it came to be one, what `download` needs to read its result."""
    if not history.is_run(directory):
        return
    place = Path(source)
    document = {"schema": SCHEMA, "source": str(place.absolute() if place.exists() else source), "k_factor": k_factor}
    store.write_atomic(directory / FROM, store.pretty(document))


def remembered(directory: Path | None) -> tuple[str | None, str | None]:
    """The source and the K-factor of a submission from a directory, where they are known."""
    try:
        document = json.loads((directory / FROM).read_text(encoding="utf-8")) if directory else {}
        return document.get("source"), document.get("k_factor")
    except (OSError, ValueError, AttributeError):
        return None, None
