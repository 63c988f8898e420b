"""Command templates: parsed once, with the shell quotes around each placeholder known.

yadage formats commands with Python's `str.format`, so a value could close a quote or add a command. Here a value is
data (see `engine/command.py`); this module only finds out where the placeholders stand.
"""

from __future__ import annotations

import re
import string

from recast_dm.errors import Location, SpecError
from recast_dm.model import Field, Quoting, Template
from recast_dm.spec.shell import Shell


def parse(text: str, where: Location, *, raw: bool = False) -> Template:
    """A template's literal texts and placeholders.

    With `raw` (the relaxation `compat: raw`) the quotes are not looked at. Raises SpecError when a placeholder stands
    where no quoting can be proved right: after a backquote, in arithmetic, in `${...}`, behind a backslash or a dollar
    sign, or after what shells read in different ways. All such placeholders are named.

    >>> parsed = parse("cat {file} > '{workdir}/x'", Location("steps.yml", 3))
    >>> [part if isinstance(part, str) else (part.name, part.quoting) for part in parsed.parts]
    ['cat ', ('file', 'none'), " > '", ('workdir', 'single'), "/x'"]
    """
    parts: list[str | Field] = []
    shell = Shell()
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise SpecError(
            f"the braces do not pair: {error}",
            where=where,
            hint="write {{ and }} for braces that are not placeholders",
        ) from None
    odd: list[tuple[str, str, int]] = []
    line = 1
    for literal, name, spec, conversion in pieces:
        if literal:
            shell.feed(literal)
            parts.append(literal)
            line += literal.count("\n")
        if name is None:
            continue
        head, items = field_name(name, where)
        if not raw and (reason := shell.undecidable):
            odd.append((name, reason, line))
        quoting: Quoting = "none" if raw else shell.quoting
        parts.append(Field(head, quoting, "" if raw else shell.document, items, spec or "", conversion or ""))
        shell.placeholder()
        line += f"{name}{spec}".count("\n")
    if odd:
        raise _undecidable(odd, where, line > 1)
    return Template(text, tuple(parts))


def _undecidable(odd: list[tuple[str, str, int]], where: Location, lines: bool) -> SpecError:
    """What is said of placeholders that cannot be quoted, each with its reason and its line in the script.

    `where` is where the script begins: how YAML's indentation and quotes move its lines is not known here.
    """
    (name, reason, line), *others = odd
    shown = list(dict.fromkeys(f"{{{name}}} in line {line}" if lines else f"{{{name}}}" for name, _, line in others))
    hint = "move it out, or set `compat: raw` for this stage under `steps` in recast.yml"
    if shown:
        named = ", ".join(shown[:_MOST]) + (", ..." if len(shown) > _MOST else "")
        hint += f"\n{len(shown)} more cannot be quoted: {named}"
    place = f" (line {line} of the script)" if lines else ""
    return SpecError(
        f"the placeholder {{{name}}} stands {reason}{place}: no quoting there can be shown to be safe",
        where=where,
        hint=hint,
    )


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


_MOST = 10
_FIELD = re.compile(r"[\w-]+")
