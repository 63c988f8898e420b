"""JSON values on their way through a workflow: frozen, with paths in them, and as jq and JSONPath see them."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recast_dm.engine import jqworker
from recast_dm.errors import Location, SpecError
from recast_dm.model import Dir, Path, StepId, Value, paths_in

MAX_DEPTH = 200
MAX_BITS = 4000
B64JSON = "b64json://"
"""A text that begins so is JSON in base64: yadage's typed leaves, as they are written down."""
_OPEN, _CLOSE = "\ue000", "\ue001"
_TOKEN = re.compile(f"/{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")


def freeze(value: Any) -> Value:
    """JSON as a frozen value: lists become tuples."""
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Mapping):
        return {str(key): freeze(item) for key, item in value.items()}
    return value  # type: ignore[no-any-return]  # a JSON scalar


def thaw(value: Value, text: Callable[[Path], str] | None = None) -> Any:
    """A value as plain lists and dictionaries; `text` says what a path becomes (default: it stays)."""
    if isinstance(value, Path) and text is not None:
        return text(value)
    if isinstance(value, tuple):
        return [thaw(item, text) for item in value]
    if isinstance(value, Mapping):
        return {key: thaw(item, text) for key, item in value.items()}
    return value


def map_texts(value: Value, change: Callable[[str], Value]) -> Value:
    """A value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_texts(item, change) for item in value)
    if isinstance(value, Mapping):
        return {key: map_texts(item, change) for key, item in value.items()}
    return value


def whole(value: Value) -> Value:
    """Whole floats as integers: what jq makes of them, and so upstream of init parameters.

    >>> whole((3.0, 0.25))
    (3, 0.25)
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return tuple(whole(item) for item in value)
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    return value


def decoded(value: Value, where: Location | None = None) -> Value:
    """A value whose `b64json://` texts are what they stand for.

    >>> decoded("b64json://eyJtX21lZCI6IDIwMDB9")
    {'m_med': 2000}
    """

    def leaf(text: str) -> Value:
        if not text.startswith(B64JSON):
            return text
        try:
            document = json.loads(base64.b64decode(text.replace(B64JSON, ""), validate=True), parse_constant=_refuse)
        except (ValueError, binascii.Error, RecursionError):
            raise SpecError(f"{text[:40]!r} is not JSON in base64", where=where) from None
        return freeze(bounded(document, where))

    return map_texts(value, leaf)


def bounded(document: Any, where: Location | None = None) -> Any:
    """A plain document that can be written as JSON: not nested too deep, its numbers finite and of bearable size."""
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise SpecError(f"a value is nested more than {MAX_DEPTH} levels deep", where=where)
        for item in level:
            if isinstance(item, float) and not math.isfinite(item):
                raise SpecError(f"{item} is no number that JSON can hold", where=where)
            if isinstance(item, int) and item.bit_length() > MAX_BITS:
                raise SpecError("a number has thousands of digits", where=where)
        level = [
            inner
            for item in level
            if isinstance(item, list | tuple | Mapping)
            for inner in (item.values() if isinstance(item, Mapping) else item)
        ]
    return document


def _refuse(name: str) -> Any:
    raise ValueError(name)


def item(value: Value, keys: Sequence[str]) -> Value:
    """An item of a value, as `{name[key][0]}` names it. Raises ValueError.

    >>> item({"masses": (500, 1000)}, ("masses", "1"))
    1000
    """
    for key in keys:
        try:
            if isinstance(value, tuple | str):
                value = value[int(key)]
            elif isinstance(value, Mapping):
                value = value[key]
            else:
                raise LookupError(key)
        except (ValueError, LookupError):
            raise ValueError(f"there is no {key!r} in it") from None
    return value


def in_order(value: Any) -> Any:
    """A plain value with its mappings sorted: upstream's parameters are, and their text shows it."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


def formatted(value: Any, spec: str, conversion: str) -> str:
    """A plain value as Python's `str.format` has it. Raises ValueError.

    >>> formatted(500, "06d", "")
    '000500'
    """
    if "{" in spec or re.search(r"\d{4}", spec):  # a width that fills the memory
        raise ValueError(f"{spec!r} is no plain format")
    try:
        return format(string.Formatter().convert_field(in_order(value), conversion or None), spec)
    except (TypeError, OverflowError, MemoryError) as error:
        raise ValueError(str(error)) from None


def jq_all(program: str, value: Value, where: Location | None) -> list[Value]:
    """Everything that a jq program makes of a value. Paths pass through it as texts that begin with a slash."""
    plain = thaw(_without_tokens(value, where), lambda path: path.render({d.step: _token(d.step) for d in path.dirs()}))
    known = {str(directory.step): directory for path in paths_in(value) for directory in path.dirs()}
    try:
        return [map_texts(freeze(item), lambda text: _from_token(text, known)) for item in jqworker.run(program, plain)]
    except ValueError as error:
        raise SpecError(f"the jq program {_short(program)} fails: {error}", where=where) from None
    except RecursionError:
        raise SpecError(f"what the jq program {_short(program)} makes is nested too deep", where=where) from None


def jq_first(program: str, value: Value, where: Location | None) -> Value:
    """The first thing that a jq program makes of a value. Nothing is started for the identity."""
    if program.strip() == ".":
        return whole(value)
    found = jq_all(program, value, where)
    if not found:
        raise SpecError(f"the jq program {_short(program)} makes nothing", where=where)
    return found[0]


def jq_text(program: str, value: Value, render: Callable[[Path], str], where: Location | None) -> str:
    """What a jq program makes of a value, as JSON text; `render` says what a path is there."""
    try:
        return jqworker.text(program, thaw(value, render))
    except ValueError as error:
        raise SpecError(f"the jq program {_short(program)} fails: {error}", where=where) from None


def _short(program: str) -> str:
    return repr(program if len(program) <= 60 else program[:57] + "...")


def _token(step: StepId) -> str:
    return f"/{_OPEN}{step}{_CLOSE}"


def _without_tokens(value: Value, where: Location | None) -> Value:
    def leaf(text: str) -> Value:
        if _OPEN in text or _CLOSE in text:
            raise SpecError("a text holds U+E000 or U+E001, which stand for directories inside jq", where=where)
        if has_half_a_character(text):
            raise SpecError("a text holds half a character, which jq cannot carry", where=where)
        return text

    return map_texts(value, leaf)


def has_half_a_character(text: str) -> bool:
    """Whether a text holds half of a surrogate pair: JSON can write it, UTF-8 and so jq and commands cannot.

    >>> has_half_a_character("\\ud83d"), has_half_a_character("😀")
    (True, False)
    """
    return any("\ud800" <= character <= "\udfff" for character in text)


def _from_token(text: str, known: Mapping[str, Dir]) -> Value:
    """The path that a text stands for, if it came from the value: a program cannot make up others."""
    if _OPEN not in text or any(name not in known for name in _TOKEN.findall(text)):
        return text
    pieces = _TOKEN.split(text)
    return joined(Path(tuple(piece if n % 2 == 0 else known[piece] for n, piece in enumerate(pieces))))


def joined(value: Path) -> str | Path:
    """A path with neighbouring texts joined; one without directories is a text."""
    parts: list[str | Dir] = []
    for part in value.parts:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "":
            parts.append(part)
    if all(isinstance(part, str) for part in parts):
        return "".join(str(part) for part in parts)
    return Path(tuple(parts))


def placed(text: str, places: Mapping[str, StepId]) -> str | Path:
    """A text that names something below one of some places, as a path."""
    for place, step in places.items():
        if text == place or text.startswith(f"{place}/"):
            return joined(Path((Dir(step), text.removeprefix(place))))
    return text
