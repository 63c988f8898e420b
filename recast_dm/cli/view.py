"""How things are shown: documents and tables on stdout, messages on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from recast_dm.errors import RecastError


def out(text: str) -> None:
    """A result, on stdout."""
    print(text)


def say(text: str) -> None:
    """Anything that is not a result, on stderr."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it: the result is on stdout
            print(text, file=sys.stderr, flush=True)


def document(value: Any) -> None:
    """The one JSON document of a verb, on stdout: plain ASCII, so that any terminal and any name can be written."""
    print(json.dumps(value, indent=2, allow_nan=False))


def error(problem: RecastError) -> None:
    say(f"error: {problem}")


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Columns, left-aligned, two spaces apart.

    >>> print(table([("m_med", "GeV"), ("g_q", "1")], head=("name", "unit")))
    name   unit
    m_med  GeV
    g_q    1
    """
    lines = [list(row) for row in ([head] if head else []) + [list(row) for row in rows]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits.

    >>> number(0.35617), number(0.00001234)
    ('0.356', '1.23e-05')
    """
    return f"{value:.{digits}g}"


def size(count: float) -> str:
    """A number of bytes, in the unit that suits it.

    >>> size(12), size(1234), size(5.4e9)
    ('12 B', '1.23 kB', '5.4 GB')
    """
    units = ("B", "kB", "MB", "GB", "TB")
    step = 0
    while count >= 999.5 and step < len(units) - 1:
        count, step = count / 1000, step + 1
    return f"{number(count)} {units[step]}"
