"""Words of a command, as a yadage template has them: literal texts, quoted for the shell, and placeholders."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A parameter of a stage, where a command uses it."""

    name: str


Pieces: TypeAlias = "tuple[str | Placeholder, ...]"
BUILTIN = frozenset(
    {"echo", "printf", "test", "[", "kill", "pwd", "true", "false", "time", "cd", "exec", "eval", "read"}
)
"""Programs that a shell would not start by their bare names."""
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def word(pieces: Pieces) -> str:
    """One word of a shell command, safe in a template.

    >>> word(("--mass=", Placeholder("mass")))
    '--mass={mass}'
    >>> word(("a {b}",))
    "'a {{b}}'"
    """
    parts = [f"{{{piece.name}}}" if isinstance(piece, Placeholder) else quoted(piece) for piece in pieces if piece]
    return "".join(parts) or "''"


def quoted(text: str) -> str:
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def printing(content: bytes, pieces: Pieces | None = None) -> str:
    """A command that prints just these bytes; `pieces` are the same with placeholders in them.

    >>> printing(b"mass 100\\n", ("mass ", Placeholder("mass"), "\\n"))
    "printf %s 'mass '{mass}'\\n'"
    >>> printing(b"\\x00%")
    "printf '\\\\000%%'"
    """
    text = content.decode("utf-8", "surrogateescape")
    if pieces is not None or not _NOT_SHOWN.search(text):
        return f"printf %s {word(pieces or (text,))}"
    shown = {ord("\\"): "\\\\", ord("%"): "%%"}
    plain = (shown.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in content)
    return f"printf {quoted(''.join(plain))}"


def replaced(pieces: Pieces, text: str, by: Placeholder) -> Pieces:
    """The pieces with a text in them replaced wherever it ends as the name of a directory does."""
    found: list[str | Placeholder] = []
    for piece in pieces:
        if isinstance(piece, Placeholder):
            found.append(piece)
            continue
        parts = re.split(rf"{re.escape(text)}(?![^/\s:;,\"'])", piece)
        for n, part in enumerate(parts):
            found += [by] * (n > 0) + [part] * bool(part)
    return tuple(found)


_RESERVED = frozenset({"workdir", "init", "here", "in", "out"})


def identifier(text: str, taken: Iterable[str], fallback: str = "value") -> str:
    """A name like `text` that is not taken yet.

    >>> identifier("Data file.csv", {"data_file_csv"})
    'data_file_csv_2'
    """
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40] or fallback
    name = f"{fallback}_{name}" if name[0].isdigit() or name in _RESERVED or name.startswith("readdir") else name
    used = set(taken)
    numbered = (name if n == 1 else f"{name}_{n}" for n in range(1, len(used) + 2))
    return next(each for each in numbered if each not in used)
