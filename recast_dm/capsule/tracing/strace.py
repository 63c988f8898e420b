"""What strace writes, as typed system calls: `strace -f -y -v -x`.

    29993 openat(AT_FDCWD</here>, "data.csv", O_RDONLY) = 3</here/data.csv>
    29993 vfork( <unfinished ...>
    29994 execve("/bin/cat", ["cat", "data.csv"], ["HOME=/root"]) = 0
    29993 <... vfork resumed>)              = 29994
    29994 +++ exited with 0 +++

A call that was interrupted in the log is put together again. It stands where it ended, but for one that makes a
process: that stands where it began, before anything of what it made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

FORKS = frozenset({"fork", "vfork", "clone", "clone3"})
CALLS = (
    *("execve", "fork", "vfork", "clone", "clone3", "open", "openat", "openat2", "creat", "close", "close_range"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "truncate"),
    *("chmod", "fchmodat", "mkdir", "mkdirat", "chdir", "fchdir", "dup", "dup2", "dup3", "fcntl", "pipe", "pipe2"),
    *("connect", "write"),
)
"""The system calls that are traced: who starts whom, and which file is what to whom."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A file descriptor as `-y` shows it: `3</here/data.csv>`; AT_FDCWD has the number None."""

    number: int | None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text that was longer than strace was told to show."""

    text: bytes


Argument: TypeAlias = "bytes | Cut | Descriptor | str | tuple[Argument, ...]"
"""`str` is anything else, as it is written: flags, numbers, structures."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that succeeded. `result` is its number, `opened` the path of the descriptor that it gives."""

    pid: int
    name: str
    arguments: tuple[Argument, ...]
    result: int
    opened: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a process: its exit code, 128 + n where signal n ended it."""

    pid: int
    code: int


Event: TypeAlias = Call | Exit


class NotUnderstood(ValueError):
    """A line that is not what strace is known to write."""


_LINE = re.compile(r"(?:\[pid +)?(\d+)\]? +(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_CALL = re.compile(r"(\w+)\(")
_END = re.compile(r"\+\+\+ (?:exited with (\d+)|killed by (\w+)).*\+\+\+")
_RESULT = re.compile(r"\s*= (-?\d+|0x[0-9a-f]+|\?)(.*)", re.DOTALL)
_UNFINISHED = "<unfinished ...>"


def events(lines: Iterable[str], *, odd: list[str] | None = None) -> Iterator[Event]:
    """The calls and ends in a log, in order. Failed calls are left out; lines that are none go to `odd`.

    >>> log = ['7 chdir("a b") = 0', '7 open("x", O_RDONLY) = -1 ENOENT (No such file)', "7 +++ exited with 3 +++"]
    >>> [type(event).__name__ for event in events(log)]
    ['Call', 'Exit']
    """
    pending: dict[int, str] = {}
    waiting: list[Event | _Place] = []  # what has been read, from the oldest fork on that has not returned
    places: dict[int, _Place] = {}
    for line in lines:
        pid, rest = _numbered(line, odd)
        if pid is None:
            continue
        if rest.endswith(_UNFINISHED):
            pending[pid] = rest.removesuffix(_UNFINISHED)
            if pending[pid].partition("(")[0] in FORKS:
                places[pid] = _Place()
                waiting.append(places[pid])
            continue
        resumed = _RESUMED.match(rest)
        whole = pending.pop(pid, "") + resumed[2] if resumed else rest
        place = places.pop(pid, None)
        try:
            event = _event(pid, whole)
        except NotUnderstood:
            event = None
            if odd is not None:
                odd.append(line)
        if place is None:
            waiting += [event] if event else []
        else:
            place.event, place.known = event, True
        yield from _ready(waiting)
    for left in waiting:  # a log that was cut off
        event = left.event if isinstance(left, _Place) else left
        if event is not None:
            yield event


@dataclass(slots=True)
class _Place:
    """Where a call that makes a process began."""

    event: Event | None = None
    known: bool = False


def _ready(waiting: list[Event | _Place]) -> list[Event]:
    """Takes all that stands before the first fork that has not returned."""
    if waiting and isinstance(waiting[0], _Place) and not waiting[0].known:
        return []
    end = next((n for n, each in enumerate(waiting) if isinstance(each, _Place) and not each.known), len(waiting))
    taken = [each.event if isinstance(each, _Place) else each for each in waiting[:end]]
    del waiting[:end]
    return [event for event in taken if event is not None]


def _numbered(line: str, odd: list[str] | None) -> tuple[int | None, str]:
    found = _LINE.match(line.rstrip("\n"))
    if found:
        return int(found[1]), found[2].rstrip()
    if odd is not None and line.strip():
        odd.append(line)
    return None, ""


def _event(pid: int, text: str) -> Event | None:
    if text.startswith(("---", "+++ superseded")):
        return None
    if text.startswith("+++"):
        found = _END.match(text)
        if not found:
            raise NotUnderstood(text)
        return Exit(pid, int(found[1]) if found[1] else 128 + _signal(found[2]))
    head = _CALL.match(text)
    if not head:
        raise NotUnderstood(text)
    arguments, at = _arguments(text, head.end(), ")")
    found = _RESULT.match(text, at)
    if not found:
        raise NotUnderstood(text)
    if found[1] == "?" or found[1].startswith("-"):
        return None
    opened = ""
    if found[2].startswith("<"):
        opened, _ = _path(text, found.start(2))
    return Call(pid, head[1], arguments, int(found[1], 0), opened)


def _signal(name: str) -> int:
    import signal

    known = getattr(signal, name, None)
    return int(known) if isinstance(known, signal.Signals) else 0


# --- arguments -------------------------------------------------------------------------------------------------------

_BARE = re.compile(r"[^,\[\]{}()<>\"]+")
_NUMBER = re.compile(r"-?\d+")


def _arguments(text: str, at: int, end: str) -> tuple[tuple[Argument, ...], int]:
    """The arguments up to a closing bracket, and where the text goes on behind it."""
    found: list[Argument] = []
    while True:
        at = _skip(text, at, " ")
        if at >= len(text):
            raise NotUnderstood(text)
        if text[at] == end:
            return tuple(found), at + 1
        if text[at] == ",":
            at += 1
            continue
        value, at = _value(text, at, end)
        found.append(value)


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _value(text: str, at: int, end: str) -> tuple[Argument, int]:
    if text[at] == '"':
        content, at = unquoted(text, at)
        return (Cut(content), at + 3) if text.startswith("...", at) else (content, at)
    if text[at] == "[":
        return _arguments(text, at + 1, "]")
    return _other(text, at, end)


def _other(text: str, at: int, end: str) -> tuple[Argument, int]:
    """A descriptor; or flags, a number, a structure, as they are written."""
    start = at
    while at < len(text) and text[at] != "," and text[at] != end:
        character = text[at]
        if character == "<" and (text[start:at] == "AT_FDCWD" or _NUMBER.fullmatch(text[start:at])):
            path, at = _path(text, at)
            number = text[start:].partition("<")[0]
            return Descriptor(None if number == "AT_FDCWD" else int(number), path), at
        if character == '"':
            _, at = unquoted(text, at)
        elif character in "{(":
            _, at = _arguments(text, at + 1, "}" if character == "{" else ")")
        elif character == "[":
            _, at = _arguments(text, at + 1, "]")
        else:
            bare = _BARE.match(text, at)
            at = bare.end() if bare else at + 1
    word = text[start:at].strip()
    if word == "AT_FDCWD":
        return Descriptor(None), at
    return word, at


def _path(text: str, at: int) -> tuple[str, int]:
    """What stands in `<...>` behind a descriptor; what is deleted is said to be no file."""
    depth = 0
    for n in range(at, len(text)):
        depth += (text[n] == "<") - (text[n] == ">")
        if depth == 0:
            inside = _decoded(text[at + 1 : n]).decode("utf-8", "surrogateescape")
            deleted = text.startswith("(deleted)", n + 1)
            return inside, n + 1 + len("(deleted)") * deleted
    raise NotUnderstood(text)


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f", "a": "\a", "b": "\b"}
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def unquoted(text: str, at: int = 0) -> tuple[bytes, int]:
    r"""The bytes of a quoted text, and where it ends.

    >>> unquoted(r'"a\tb\303\251\x20\"", O_RDONLY')
    (b'a\tb\xc3\xa9 "', 20)
    """
    found = _STRING.match(text, at)
    if not found:
        raise NotUnderstood(text)
    return _decoded(found[1]), found.end()


def _decoded(text: str) -> bytes:
    if "\\" not in text:
        return text.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescaped, text).encode("latin-1", "replace") if text.isascii() else text.encode()


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) == 3:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _LETTERS.get(code, code)
