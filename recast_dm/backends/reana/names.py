"""What workflows are called at REANA: names that carry the capsule and the point, so that each is found again."""

from __future__ import annotations

import re
import uuid

from recast_dm.errors import UsageError

LONGEST = 255
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


def workflow_name(analysis: str, identity: str, point: str | None = None) -> str:
    """A name of the analysis and the beginnings of two digests: of the capsule, and of what is asked of it.

    >>> workflow_name("my-search", "3fa94c1b77", "8d21ab90ff")
    'my-search-3fa94c1b-8d21ab90'
    >>> workflow_name("a search v1.0", "3fa94c1b77")
    'a-search-v1-0-3fa94c1b'
    """
    told = [each.removeprefix("sha256:")[:8] for each in (identity, point) if each]
    return checked("-".join([_ODD.sub("-", analysis).strip("-")[:100] or "analysis", *told]))


def checked(name: str) -> str:
    """A name that REANA takes. Raises UsageError.

    >>> checked("a.b")
    Traceback (most recent call last):
    recast_dm.errors.UsageError: 'a.b' cannot be the name of a REANA workflow: it has a dot
      REANA puts a dot before the number of a run
    """
    why = _problem(name)
    if why:
        hint = "REANA puts a dot before the number of a run" if "dot" in why else "letters, digits, - and _"
        raise UsageError(f"{name!r} cannot be the name of a REANA workflow: {why}", hint=hint)
    return name


def _problem(name: str) -> str:
    if "." in name:
        return "it has a dot"
    if not name or len(name) > LONGEST or _ODD.search(name):
        return "it is empty, too long, or has odd characters"
    try:
        return "it is a UUID" if str(uuid.UUID(name, version=4)) == name.lower() else ""
    except ValueError:
        return ""


def split(w: str) -> tuple[str, str]:
    """A workflow's name and the number of its run, which may be missing.

    >>> split("rec1.2"), split("rec1.2.1"), split("rec1")
    (('rec1', '2'), ('rec1', '2.1'), ('rec1', ''))
    """
    name, _, run = w.partition(".")
    return name, run


def run_order(w: str) -> tuple[int, ...]:
    """What sorts the runs of a name as they were made; a restart comes behind what it restarts.

    >>> sorted(["rec.10", "rec.2", "rec.2.1"], key=run_order)
    ['rec.2', 'rec.2.1', 'rec.10']
    """
    return tuple(int(part) if part.isdecimal() else 0 for part in split(w)[1].split("."))
