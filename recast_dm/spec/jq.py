"""jq programs of a specification, looked at before anything runs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from recast_dm.errors import Location, SpecError

MAX_PROGRAM = 20_000
"""Characters of a jq program."""
# Names that read the machine instead of the data, unless they are a field (.env), a key (env:) or in a text.
_STRINGS = re.compile(r'"(?:\\[^(]|[^"\\])*"')  # texts without \(...) in them
_MACHINE = re.compile(
    r"\$ENV\b|\$__loc__|\$__prog_args|(?<![.\w$])(env|input|inputs|input_filename|debug|stderr|now|localtime"
    r"|strflocaltime|get_search_list|halt|halt_error|input_line_number|import|include|modulemeta)\b(?!\s*:)"
)
_BLIND = "".join(
    f'def {name}: error("the program reads the machine it runs on: {name.partition("(")[0]}");'
    for name in (
        *("env", "input", "inputs", "input_filename", "input_line_number", "debug", "debug(f)", "stderr", "now"),
        *("localtime", "strflocaltime(f)", "get_search_list", "halt", "halt_error", "halt_error(f)", "modulemeta"),
    )
)
"""Definitions that stand before every program: no way of writing one of these names reaches the machine."""


@lru_cache(maxsize=1024)
def compiled(program: str) -> Any:
    """The program as the jq library has it. Raises ValueError with jq's own words."""
    import jq  # C library, only where a specification uses jq

    jq.compile(program)  # says what is wrong with the program alone
    return jq.compile(f"{_BLIND} null as $ENV | {program}")


def program(text: str, where: Location) -> str:
    """A jq program that compiles and reads nothing but its input.

    >>> program(".m_med > 1000", Location("workflow.yml", 3))
    '.m_med > 1000'
    """
    if len(text) > MAX_PROGRAM or "\0" in text:
        raise SpecError("this is no jq program", where=where)
    if found := _MACHINE.search(_STRINGS.sub('""', text)):
        raise SpecError(
            f"the jq program reads the machine it runs on ({found[0]}): its answer would not be the same elsewhere",
            where=where,
            hint="pass the value as a parameter",
        )
    try:
        compiled(text)
    except ValueError as error:
        raise SpecError(f"jq does not understand this program: {said(error)[:200]}", where=where) from None
    return text


def said(error: ValueError) -> str:
    """What jq says is wrong, in one line.

    >>> said(ValueError("jq: error: syntax error,\\n unexpected end"))
    'syntax error, unexpected end'
    """
    return " ".join(str(error).split()).removeprefix("jq: error: ")
