"""Commands in which a shell would do nothing but start a program with some words."""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""(?P<between>[ \t]+)|\\\n|(?P<free>[A-Za-z0-9_./:=,+@%-]+)|'(?P<single>[^']*)'|"(?P<double>[^"$`\\]*)\""""
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def plain_words(text: str) -> tuple[str, ...] | None:
    """The words of a command; None where a shell would do more than start it: expand, redirect, assign, go on.

    >>> plain_words("python3 -m limits --name 'a b' \\\\\\n  --out /workdir/x.json")
    ('python3', '-m', 'limits', '--name', 'a b', '--out', '/workdir/x.json')
    >>> [plain_words(text) for text in ("cd x; ls", "echo $HOME", "ls *", "A=1 make", "ls > x", "true # why", "")]
    [None, None, None, None, None, None, None]
    """
    words: list[str] = []
    stripped, place, inside = text.strip(" \t\n"), 0, False
    while place < len(stripped):
        piece = _PIECE.match(stripped, place)
        if piece is None:
            return None
        place = piece.end()
        if piece["between"] is not None:
            inside = False
            continue
        said = next((piece[kind] for kind in ("free", "single", "double") if piece[kind] is not None), None)
        if said is None:
            continue  # a line that goes on
        if inside:
            words[-1] += said
        else:
            words.append(said)
        inside = True
    return tuple(words) if words and not _ASSIGNMENT.match(stripped) else None
