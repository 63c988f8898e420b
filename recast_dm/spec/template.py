"""Command templates: parsed once, with the shell quotes around each placeholder known.

yadage formats commands with Python's `str.format`, so a value could close a quote or add a command. Here a value is
data (see `engine/command.py`); this module only finds out where the placeholders stand.
"""

from __future__ import annotations

import re
import string
from typing import Literal

from recast_dm.errors import Location, SpecError
from recast_dm.model import Field, Template

Quoting = Literal["none", "single", "double"]


def parse(text: str, where: Location, *, raw: bool = False) -> Template:
    """A template's literal texts and placeholders.

    With `raw` (the relaxation `compat: raw`) the quotes are not looked at. Raises SpecError when a placeholder stands
    where no quoting can be proved right: after a here-document or a backquote, in arithmetic, in `${...}`, in a
    comment, behind a backslash or a dollar sign, or after a command substitution in quotes.

    >>> parsed = parse("cat {file} > '{workdir}/x'", Location("steps.yml", 3))
    >>> [part if isinstance(part, str) else (part.name, part.quoting) for part in parsed.parts]
    ['cat ', ('file', 'none'), " > '", ('workdir', 'single'), "/x'"]
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
        head, items = field_name(name, where)
        if not raw and (reason := shell.undecidable):
            raise SpecError(
                f"the placeholder {{{name}}} stands {reason}: no quoting there can be shown to be safe",
                where=where,
                hint="move it out, or set `compat: raw` for this stage under `steps` in recast.yml",
            )
        parts.append(Field(head, "none" if raw else shell.quoting, items, spec or "", conversion or ""))
        shell.placeholder()
    return Template(text, tuple(parts))


def field_name(text: str, where: Location) -> tuple[str, tuple[str, ...]]:
    """A placeholder's name, and the keys behind it. Attributes are refused: a value has none.

    >>> field_name("model[mass]", Location("steps.yml", 3))
    ('model', ('mass',))
    """
    head, _, rest = text.partition("[")
    items = tuple(rest.removesuffix("]").split("][")) if rest else ()
    if not head or not _FIELD.fullmatch(head) or any(set(item) & set("[]") for item in items):
        raise SpecError(
            f"{{{text}}} is not a placeholder: a parameter's name must stand between the braces",
            where=where,
            hint="write {{ and }} for braces that are not placeholders",
        )
    return head, items


_FIELD = re.compile(r"[\w-]+")


class _Shell:
    """As much of POSIX shell quoting (and bash's `$'...'`) as is needed to know where a placeholder stands."""

    def __init__(self) -> None:
        self.quoting: Quoting = "none"
        self._for_good: str | None = None
        self._expansion = False
        self._comment = False
        self._escaped = False
        self._continued = "\n"
        self._previous = "\n"

    @property
    def undecidable(self) -> str | None:
        """Why a placeholder that stood here could not be quoted; None where it can."""
        if self._for_good:
            return self._for_good
        if self._escaped:
            return "behind a backslash"
        if self._comment:
            return "in a comment"
        if self._expansion:
            return "in ${...}"
        if self._previous == "$" and self.quoting != "single":
            return "behind a dollar sign"
        return None

    def placeholder(self) -> None:
        """A placeholder stands here: whatever its value is, it ends what came before."""
        self._previous = _VALUE

    def feed(self, literal: str) -> None:
        for character in literal:
            self._take(character)

    def _take(self, character: str) -> None:
        before, self._previous = self._previous, character
        if self._escaped:
            self._escaped = False
            self._previous = self._continued if character == "\n" else _WORD
        elif self._comment:
            self._comment = character != "\n"
        elif self.quoting == "single":
            if character == "'":
                self.quoting, self._previous = "none", _WORD
        elif character == "\\":
            self._escaped, self._continued = True, before
        elif self._expansion:
            self._inside_expansion(character)
        elif character == "{" and before == "$":
            self._expansion = True
        elif self.quoting == "double":
            self._inside_double(character, before)
        else:
            self._plain(character, before)

    def _inside_expansion(self, character: str) -> None:
        """Quotes in `${x:-"..."}` follow rules of their own, which differ between shells."""
        if character == "}":
            self._expansion, self._previous = False, _WORD
        elif character in "'\"`${":
            self._for_good = "after quotes or expansions in ${...}"

    def _inside_double(self, character: str, before: str) -> None:
        if character == '"':
            self.quoting, self._previous = "none", _WORD
        elif character == "`" or (character in "([" and before == "$"):
            self._for_good = "after a command substitution in double quotes"

    def _plain(self, character: str, before: str) -> None:
        if character == "'":
            self.quoting = "single"
            if before == "$":
                self._for_good = "after $'...', which not every shell reads alike"
        elif character == '"':
            self.quoting = "double"
        elif character == "`":
            self._for_good = "after a backquote"
        elif character == "<" and before == "<":
            self._for_good = "after a here-document"
        elif (character == "(" and before == "(") or (character == "[" and before == "$"):
            self._for_good = "after arithmetic, which a shell evaluates"
        elif character == "#" and before == _VALUE:
            self._for_good = "after a # that may begin a comment"
        elif character == "#" and before in _WORD_ENDS:
            self._comment = True


_WORD = "w"
"""Any character that a comment cannot follow: stands for a quoted or escaped one."""
_VALUE = ""
"""Stands for a placeholder, which may be empty."""
_WORD_ENDS = " \t\n;&|()<>"
