"""Whether something that a catalogue names is in order: a capsule as it was captured, an analysis without errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recast_dm.capsule.catalogue.about import About, about, is_on_server, manifest_of
from recast_dm.capsule.catalogue.entries import Check, now
from recast_dm.capsule.verify import check_bytes
from recast_dm.errors import RecastError, RemoteError
from recast_dm.spec import check as specification
from recast_dm.spec import remote


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check said, of what; or why there was none."""

    check: Check | None
    about: About | None
    skipped: str = ""


def check(place: str, fetch: remote.Fetch | None = None, cache: Path | None = None) -> Outcome:
    """Checks what lies at a place. A workflow that lies on a server is looked at with a fetch only.

    That a capsule has been hashed is remembered in `cache`, for whoever opens it next.
    """
    try:
        what = about(Path(place))
        if what.kind == "capsule":
            problems = check_bytes(Path(place), cache).problems
        elif fetch is None and is_on_server(Path(place)):
            return Outcome(None, what, "its workflow lies on a server: --allow-remote checks it")
        else:
            problems = _specification(Path(place), fetch)
    except RemoteError as error:
        return Outcome(None, None, error.message)
    except (RecastError, OSError) as error:
        problem = error.message if isinstance(error, RecastError) else str(error)
        return Outcome(Check(now(), False, (problem,), None), None)
    return Outcome(Check(now(), not problems, problems, what.digest), what)


def _specification(place: Path, fetch: remote.Fetch | None) -> tuple[str, ...]:
    found = specification.check(str(manifest_of(place)), fetch=fetch)
    return tuple(f"{error.where}: {error.message}" if error.where else error.message for error in found.errors)
