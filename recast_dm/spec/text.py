"""Bounded YAML that remembers where every value was written.

YAML is read as events, so that size, depth and aliases are bounded while parsing, duplicate keys and python tags are
refused, and each value keeps its file, line and column. Nothing here knows yadage.
"""

from __future__ import annotations

import io
import math
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recast_dm.errors import Location, SpecError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIASES = 1000
MAX_NODES = 100_000
MAX_NUMBER = 10_000
"""Characters in a plain scalar that may still be a number: looking further costs memory by the megabyte."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOL = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value and where it was written. `value` is a scalar, a tuple of nodes, or a mapping of nodes."""

    value: bool | int | float | str | tuple[Node, ...] | Mapping[str, Node] | None
    where: Location

    def plain(self) -> Any:
        """The value as ordinary JSON-like Python."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """The node at a JSON path, or the deepest one on the way that exists."""
        node = self
        for part in path:
            if isinstance(node.value, Mapping) and part in node.value:
                node = node.value[str(part)]
            elif isinstance(node.value, tuple) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            else:
                break
        return node


class _Resolver(yaml.resolver.Resolver):
    """PyYAML's rules for plain scalars, without timestamps: JSON has none, so a date stays the text it is."""


_Resolver.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.resolver.Resolver.yaml_implicit_resolvers.items()
}


def read(path: Path, shown_as: str | None = None) -> Node:
    """The document in a YAML (or JSON) file.

    `shown_as` is the name that errors use. Raises SpecError for what is unreadable, too large, or not plain YAML.
    """
    name = shown_as or str(path)
    try:
        return decode(_bytes(path, name), name)
    except FileNotFoundError:
        raise SpecError(f"{name} does not exist", hint="check the path; `ls` its directory") from None
    except OSError as error:
        raise SpecError(f"cannot read {name}: {error.strerror}") from None


def _bytes(path: Path, name: str) -> bytes:
    """What is in a file, and never more than is allowed: a file may grow, and some have no size or no end."""
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        raise SpecError(f"{name} is a directory, not a YAML file")
    if not stat.S_ISREG(about.st_mode):
        raise SpecError(f"{name} is not a regular file", hint="write the text into a file first")
    if about.st_size <= MAX_BYTES:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) <= MAX_BYTES:
            return data
    raise SpecError(
        f"the file has {max(about.st_size, MAX_BYTES + 1)} bytes; a specification may have {MAX_BYTES}",
        where=Location(name, 1),
        hint="data belongs into a file of its own that the specification names",
    )


def decode(data: bytes, name: str) -> Node:
    """The document in the bytes of a file."""
    try:
        return parse(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise SpecError(f"not UTF-8 text (byte {error.start})", where=Location(name, 1)) from None


def parse(text: str, name: str = "<text>") -> Node:
    """The document in a YAML text.

    >>> parse("a: [1, x]").plain()
    {'a': [1, 'x']}
    >>> parse("a: 1\\na: 2", "w.yml")
    Traceback (most recent call last):
    recast_dm.errors.SpecError: w.yml:2:1: the key 'a' stands here twice
      keep one of them; the first is at w.yml:1:1
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"the text is longer than {MAX_BYTES} characters", where=Location(name, 1))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SpecError(f"not Unicode text (character {error.start})", where=Location(name, 1)) from None
    try:
        return _Builder(name, yaml.parse(io.StringIO(text), Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name, 1)
        raise SpecError(f"not valid YAML: {error.problem or error.context}", where=where) from None
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML: {' '.join(str(error).split())}", where=Location(name, 1)) from None


class _Builder:
    """Turns a stream of YAML events into one tree of nodes, within bounds."""

    def __init__(self, name: str, events: Iterator[Any]) -> None:
        self._name = name
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._nodes: list[Node] = []  # keeps every id in _sizes alive
        self._count = 0
        self._aliases = 0
        self._merged = 0
        self._resolver: Any = _Resolver()

    def document(self) -> Node:
        next(self._events)  # stream start
        start = next(self._events)
        if isinstance(start, yaml.StreamEndEvent):
            raise SpecError("the file is empty", where=Location(self._name, 1))
        node = self._node(next(self._events), 0)
        next(self._events)  # document end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise SpecError("a second YAML document begins here; only one is read", where=self._where(after))
        return node

    def _where(self, event: Any) -> Location:
        return Location(self._name, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, depth: int) -> Node:
        where = self._where(event)
        items: tuple[Node, ...] = ()
        self._count += 1
        if self._count > MAX_NODES:
            raise SpecError(f"more than {MAX_NODES} values", where=where)
        if depth > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} levels deep", where=where)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, where)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, where), where)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._plain_tag(event, "seq", where)
            items = tuple(self._items(depth))
            node = Node(items, where)
        else:
            self._plain_tag(event, "map", where)
            entries = self._entries(depth)
            node, items = Node(entries, where), tuple(entries.values())
        self._measure(node, items)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _measure(self, node: Node, items: tuple[Node, ...]) -> None:
        """Bounds the number of values and the depth as they are with aliases expanded."""
        if not items:
            return
        sizes = [self._sizes.get(id(item), (1, 1)) for item in items]
        weight = 1 + sum(size[0] for size in sizes)
        height = 1 + max((size[1] for size in sizes), default=0)
        if weight > MAX_NODES:
            raise SpecError(f"more than {MAX_NODES} values, with aliases expanded", where=node.where)
        if height > MAX_DEPTH + 1:
            raise SpecError(f"nested more than {MAX_DEPTH} levels deep, with aliases expanded", where=node.where)
        self._sizes[id(node)] = weight, height
        self._nodes.append(node)

    def _alias(self, event: Any, where: Location) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise SpecError(f"more than {MAX_ALIASES} aliases", where=where)
        if event.anchor not in self._anchors:
            raise SpecError(f"the alias *{event.anchor} has no anchor before it", where=where)
        return self._anchors[event.anchor]

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        places: dict[str, Location] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            where = self._where(event)
            key = self._key(event, where)
            value = self._node(next(self._events), depth + 1)
            merges = key == "<<" and getattr(event, "style", None) in (None, "")
            if key in places:
                raise SpecError(
                    f"the key {key[:40]!r} stands here twice",
                    where=where,
                    hint=f"keep one of them; the first is at {places[key]}",
                )
            places[key] = where
            if merges:
                merged = self._merge(value)
            else:
                entries[key] = value
        return merged | entries

    def _merge(self, node: Node) -> dict[str, Node]:
        if isinstance(node.value, tuple):
            return {k: v for item in reversed(node.value) for k, v in self._merge(item).items()}
        if isinstance(node.value, Mapping):
            self._merged += len(node.value)
            if self._merged > MAX_NODES:
                raise SpecError(f"more than {MAX_NODES} values come from `<<`", where=node.where)
            return dict(node.value)
        raise SpecError("`<<` merges mappings only", where=node.where)

    def _key(self, event: Any, where: Location) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise SpecError("a key must be a text or a number", where=where)
        value = self._scalar(event, where)
        return event.value if value is None or isinstance(value, bool) else str(value)

    def _plain_tag(self, event: Any, kind: str, where: Location) -> None:
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{kind}"):
            raise SpecError(f"the tag {event.tag!r} is not allowed", where=where, hint="write plain YAML")

    def _scalar(self, event: Any, where: Location) -> bool | int | float | str | None:
        tag = event.tag
        if tag in (None, "!") and len(event.value) > MAX_NUMBER:
            if event.implicit[0] and _may_be_a_number(event.value):
                raise SpecError(
                    f"a number of {len(event.value)} characters", where=where, hint="put it in quotes if it is a text"
                )
            tag = "tag:yaml.org,2002:str"
        elif tag in (None, "!"):
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        kind = tag.removeprefix("tag:yaml.org,2002:")
        text: str = event.value
        try:
            if kind in ("str", "merge", "value"):
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return _BOOL[text.lower()]
            if kind == "int":
                return _integer(text)
            if kind == "float":
                return _real(text)
        except (ValueError, KeyError, OverflowError):
            raise SpecError(f"{text[:40]!r} is not a YAML {kind}", where=where) from None
        raise SpecError(f"the tag {tag!r} is not allowed", where=where, hint="write plain YAML")


def _may_be_a_number(text: str) -> bool:
    return text[0] in "+-.0123456789" and not text.strip("+-._:xeE0123456789abcdfABCDF")


def _integer(text: str) -> int:
    """YAML 1.1 integers, as PyYAML reads them: 0b, 0x, 0-octal, base 60 and underscores."""
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > 400:
        raise ValueError(text)
    if ":" in digits:
        value = 0
        for part in digits.split(":"):
            value = value * 60 + int(part)
        return sign * value
    if re.match(r"0[bx]", digits):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.endswith((".inf", ".nan")):
        raise ValueError(text)
    value, sign = 0.0, 1.0
    if ":" in digits:
        sign = -1.0 if digits.startswith("-") else 1.0
        for part in digits.lstrip("+-").split(":"):
            value = value * 60 + float(part)
    else:
        value = float(digits)
    if not math.isfinite(value):
        raise ValueError(text)
    return sign * value
