"""JSON out of foreign hands, read within bounds for comparing it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

MAX_BYTES = 256 * 1024**2
Place: TypeAlias = "tuple[str | int, ...]"
"""The way to a value in a document: keys and indices."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether two documents agree: what was measured, against which bound, and what to say to people."""

    agrees: bool
    measure: float | str
    bound: float | None = None
    detail: str = ""


class Malformed(ValueError):
    """Why a file cannot be compared as its rule wants it."""


def read(path: Path) -> Any:
    """The document in a file. Raises Malformed for what is no JSON, too large, or has a key twice."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Malformed(f"has more than {MAX_BYTES} bytes")
        return json.loads(path.read_bytes(), object_pairs_hook=_object)
    except OSError as error:
        raise Malformed(f"cannot be read: {error.strerror}") from None
    except RecursionError:
        raise Malformed("is not JSON within bounds: it is nested too deeply") from None
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Malformed(f"is not JSON with a meaning: the key {shown(twice)} stands twice in an object")
    return found


def pointer(place: Place) -> str:
    """The JSON pointer of a place (RFC 6901); the document itself is `/` here, for people.

    >>> pointer(("a/b", 0))
    '/a~1b/0'
    """
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in place)


def parts(text: str) -> tuple[str, ...]:
    """The parts of a JSON pointer.

    >>> parts("/a~1b/0")
    ('a/b', '0')
    """
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def inner(value: Any) -> Iterable[tuple[str | int, Any]]:
    """What lies in a value, by its key or index."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number: true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: Any, width: int = 40) -> str:
    """A value as a short text of one line."""
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = json.dumps(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
