"""What differs between two traced runs of one script: those literals become init parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from recast_dm.capsule.tracing.commands import Command
from recast_dm.capsule.tracing.words import Pieces, Placeholder, identifier

_PARTS = re.compile(r"([\s=,:;\"'()\[\]]+)")
TEXT = -1
"""The place of what a shell wrote, beside those of words."""


@dataclass(slots=True)
class Literals:
    """`pieces` are the words with parameters in them, by command and place; `values` those of the first run."""

    values: dict[str, Any] = field(default_factory=dict)
    pieces: dict[tuple[int, int | str], Pieces] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def compare(
    first: Sequence[Command], others: Sequence[Sequence[Command]], is_file: Callable[[Command, str], bool]
) -> Literals:
    """The literals that are not the same in every run, but for words that name files of the first one (`is_file`).

    The runs must have the same commands in the same order; where they have not, nothing is found, and that is said.
    """
    found = Literals()
    for number, other in enumerate(others, 2):
        if [_program(command) for command in first] != [_program(command) for command in other]:
            found.problems.append(
                f"run {number} started {len(other)} commands and the first run {len(first)}, or others: its literals "
                "could not be compared"
            )
    if found.problems:
        return found
    names: dict[tuple[str, ...], str] = {}
    for n, command in enumerate(first):
        for place, texts, label in _texts(command, [other[n] for other in others], found.problems):
            if len(set(texts)) > 1 and (place == TEXT or not is_file(command, texts[0])):
                _split(found, names, (n, place), texts, label)
    return found


def _program(command: Command) -> str:
    return command.program or "the shell"


def _texts(
    command: Command, others: Sequence[Command], problems: list[str]
) -> list[tuple[int | str, tuple[str, ...], str]]:
    """Every text of a command, beside the same one of the other runs, and what may name it."""
    if command.text is not None:
        texts = tuple((each.text or b"").decode("utf-8", "surrogateescape") for each in (command, *others))
        return [(TEXT, texts, "text")]
    if any(len(other.words) != len(command.words) for other in others):
        problems.append(f"{' '.join(command.words)[:80]!r} has another number of words in another run")
        return []
    found: list[tuple[int | str, tuple[str, ...], str]] = []
    for place, word in enumerate(command.words[1:], 1):
        before = command.words[place - 1]
        label = before if before.startswith("-") else ""
        found.append((place, (word, *(other.words[place] for other in others)), label))
    for key, value in command.environment.items():
        found.append((key, (value, *(other.environment.get(key, "") for other in others)), key))
    return found


def _split(
    found: Literals, names: dict[tuple[str, ...], str], place: tuple[int, int | str], texts: tuple[str, ...], label: str
) -> None:
    """Finds the parts of a text that differ: `--mass=100` and `--mass=200` differ in one part of three."""
    split = [_PARTS.split(text) for text in texts]
    if len({len(parts) for parts in split}) > 1:
        split = [[text] for text in texts]
    pieces: list[str | Placeholder] = []
    for n, parts in enumerate(zip(*split, strict=True)):
        if len(set(parts)) == 1:
            before = pieces.pop() if pieces and isinstance(pieces[-1], str) else ""
            pieces.append(f"{before}{parts[0]}")
            continue
        if parts not in names:
            near = next((part for part in reversed(split[0][:n]) if re.search(r"[A-Za-z]", part)), label)
            names[parts] = identifier(near or label or "value", found.values)
            found.values[names[parts]] = typed(parts[0])
        pieces.append(Placeholder(names[parts]))
    found.pieces[place] = tuple(pieces)


def typed(text: str) -> Any:
    """A literal as YAML would have it, where that is written back just as it was.

    >>> typed("100"), typed("0.25"), typed("1e3"), typed("007")
    (100, 0.25, '1e3', '007')
    """
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        whole = isinstance(value, float) and value.is_integer()  # yadage makes integers of these
        if str(value) == text and not whole and text not in ("nan", "inf", "-inf"):
            return value
    return text
