"""Command templates: parsed once, with the shell quotes around each placeholder known.

yadage formats commands with Python's `str.format`, so a value could close a quote or add a command. Here a value is
data (see `engine/command.py`); this module only finds out where the placeholders stand.
"""

from __future__ import annotations

import string
from typing import Literal

from recast_dm.errors import Location, SpecError
from recast_dm.model import Field, Template

Quoting = Literal["none", "single", "double"]


def parse(text: str, where: Location, *, raw: bool = False) -> Template:
    """A template's literal texts and placeholders.

    With `raw` (the relaxation `compat: raw`) the quotes are not looked at. Raises SpecError when a placeholder stands
    where no quoting can be proved right: in a here-document, in a comment, or in a command substitution in quotes.

    >>> parse("cat {file} > '{workdir}/x'", Location("steps.yml", 3)).parts
    ('cat ', Field(name='file', quoting='none'), " > '", Field(name='workdir', quoting='single'), "/x'")
    """
    parts: list[str | Field] = []
    shell = _Shell()
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise SpecError(
            f"the braces do not pair: {error}",
            where=where,
            hint="write {{ and }} for braces that are not placeholders",
        ) from None
    for literal, name, spec, conversion in pieces:
        if literal:
            shell.feed(literal)
            parts.append(literal)
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise SpecError(
                f"{{{shown}}} is not a placeholder: a parameter's name must stand alone between the braces",
                where=where,
                hint="write {{ and }} for braces that are not placeholders",
            )
        if not raw and (reason := shell.undecidable):
            raise SpecError(
                f"the placeholder {{{name}}} stands {reason}: no quoting there can be shown to be safe",
                where=where,
                hint="move it out, or set `compat: raw` for this stage under `steps` in recast.yml",
            )
        parts.append(Field(name, "none" if raw else shell.quoting))
    return Template(text, tuple(parts))


class _Shell:
    """As much of POSIX shell quoting as is needed to know where a placeholder stands."""

    def __init__(self) -> None:
        self.quoting: Quoting = "none"
        self.undecidable: str | None = None
        self._escaped = False
        self._previous = ""

    def feed(self, literal: str) -> None:
        for character in literal:
            self._take(character)
            self._previous = character

    def _take(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self.quoting == "single":
            if character == "'":
                self.quoting = "none"
        elif character == "\\":
            self._escaped = True
        elif self.quoting == "double":
            if character == '"':
                self.quoting = "none"
            elif character == "`" or (character == "(" and self._previous == "$"):
                self.undecidable = "after a command substitution in double quotes"
        else:
            self._plain(character)

    def _plain(self, character: str) -> None:
        if character == "'":
            self.quoting = "single"
        elif character == '"':
            self.quoting = "double"
        elif character == "`":
            self.undecidable = "after a backquote"
        elif character == "<" and self._previous == "<":
            self.undecidable = "after a here-document"
        elif character == "#" and (not self._previous or self._previous.isspace() or self._previous in ";&|("):
            self.undecidable = "after a comment"
