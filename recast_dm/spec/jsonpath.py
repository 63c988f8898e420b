"""JSONPath, as yadage uses it: to name steps within a scope, and values within a result.

Nearly every path is just a name; those are not parsed at all.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from recast_dm.errors import Location, SpecError

_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_@-]*")
MAX_LENGTH = 1000


def is_name(query: str) -> bool:
    """Whether a path is nothing but a name.

    >>> is_name("generate"), is_name("scan[*].fit")
    (True, False)
    """
    return _NAME.fullmatch(query) is not None


def check(query: str, where: Location) -> str:
    """A path that can be read. Raises SpecError."""
    if is_name(query):
        return query
    try:
        parsed(query)
    except ValueError as error:
        raise SpecError(f"{query!r} is no JSONPath: {error}", where=where, hint="write a stage's name") from None
    return query


@lru_cache(maxsize=1024)
def parsed(query: str) -> Any:
    """The path as the library has it. Raises ValueError."""
    import jsonpath_ng  # its grammar takes a moment, and few specifications need it

    if len(query) > MAX_LENGTH:
        raise ValueError("it is too long")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # `a|b` is yadage's, whatever the library thinks of it
            return jsonpath_ng.parse(query)  # type: ignore[attr-defined]  # it exports it without saying so
    except Exception as error:  # noqa: BLE001  # the library raises what it likes
        raise ValueError(" ".join(str(error).split())[:200]) from None


def matches(query: str, document: Any) -> list[Any]:
    """The values that a path finds in plain lists and dictionaries.

    >>> matches("scan[*].fit", {"scan": [{"fit": 1}, {"fit": 2}]})
    [1, 2]
    """
    if is_name(query):
        return [document[query]] if isinstance(document, dict) and query in document else []
    try:
        return [found.value for found in parsed(query).find(document)]
    except Exception:  # noqa: BLE001  # an index into a number, and the like: nothing is there
        return []


@lru_cache(maxsize=1024)
def heads(query: str) -> frozenset[str] | None:
    """The names that a path begins with; None when it may begin with any.

    >>> sorted(heads("(scan[0].fit) | fit"))
    ['fit', 'scan']
    >>> heads("*") is None
    True
    """
    return frozenset({query}) if is_name(query) else _heads(parsed(query))


def _heads(path: Any) -> frozenset[str] | None:
    kind = type(path).__name__
    if kind == "Fields":
        return None if "*" in path.fields else frozenset(path.fields)
    if kind == "Child":
        if type(path.right).__name__ == "Parent":  # from `a.\`parent\`` the way leads anywhere
            return None
        return _heads(path.right) if type(path.left).__name__ == "Root" else _heads(path.left)
    if kind in ("Union", "_Union"):  # how it is called depends on the library's version
        left, right = _heads(path.left), _heads(path.right)
        return None if left is None or right is None else left | right
    return None
