"""The JSON Schemas of our documents, one file a version, and the one way to check against them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema in `<name>.json`, such as `limit-1`."""
    document: dict[str, Any] = json.loads((files("recast_dm.schemas") / f"{name}.json").read_text(encoding="utf-8"))
    return document


def problem(name: str, document: Any, *part: str) -> tuple[tuple[str | int, ...], str] | None:
    """The most telling way in which a document breaks a schema, or a part of it: its JSON path and a sentence; or None.

    >>> problem("error-1", {"schema": "recast-dm/error/1"})
    ((), "'kind' is a required property")
    """
    import jsonschema  # 0.1 s, only where a document is read or written

    wanted = schema(name)
    for key in part:
        wanted = wanted[key]
    validator = jsonschema.Draft202012Validator(wanted)
    error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    return None if error is None else (tuple(error.absolute_path), error.message)
