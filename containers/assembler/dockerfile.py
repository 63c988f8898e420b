"""The Dockerfile beside an image, read as its recipe: the few instructions that the assembler carries out itself.

    ARG BASE
    FROM ${BASE} AS wheels           at most one stage before the last: it installs the locked wheels
    COPY requirements.txt R
    COPY wheels W
    RUN python3 "$(echo W/pip-*.whl)/pip" install --no-index --find-links W --require-hashes ... --target T -r R

    FROM ${BASE}                     the image
    COPY --from=wheels T T
    COPY PATH PLACE                  from the context
    ENV NAME=VALUE...
    RUN COMMAND                      a check: runs in the finished image, which it cannot change

What is written otherwise is one error with its line: an image that docker would build in another way is never made.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from recast_dm.errors import Location, SpecError

_PIP = re.compile(r'python3 "\$\(echo (?P<wheels>/[\w./-]+)/pip-\*\.whl\)/pip" install(?P<options> .*)')
_REQUIRED = ("--no-index", "--require-hashes")
_HARMLESS = ("--no-cache-dir", "--root-user-action=ignore", "--break-system-packages")
_STAGE = re.compile(r"\$\{?BASE\}?(?: AS (?P<name>[a-z][a-z0-9_.-]*))?", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SUBSET = "containers/assembler/dockerfile.py lists what the assembler reads"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    text: str
    where: Location


@dataclass(frozen=True, slots=True)
class Copy:
    """`COPY source target`; the source is of the context."""

    source: str
    target: str
    where: Location


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must succeed in the finished image."""

    command: str
    where: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made of: the base, wheels installed at `packages` (None: no wheels), the copies over them."""

    packages: str | None
    copies: tuple[Copy, ...]
    env: tuple[str, ...]
    checks: tuple[Check, ...]


def read(text: str, name: str) -> Recipe:
    """The recipe that a Dockerfile is. Raises SpecError for what lies outside of the subset.

    >>> toy = read("ARG BASE\\nFROM ${BASE}\\nCOPY code /opt/code\\nENV A=1 B='x y'\\nRUN true", "Dockerfile")
    >>> toy.copies[0].target, toy.env, toy.checks[0].command
    ('/opt/code', ('A=1', 'B=x y'), 'true')
    >>> read("FROM debian", "Dockerfile")
    Traceback (most recent call last):
    ...
    recast_dm.errors.SpecError: Dockerfile:1:1: a Dockerfile begins with the line 'ARG BASE'
      containers/assembler/dockerfile.py lists what the assembler reads
    """
    found = list(instructions(text, name))
    if not found or (found[0].word, found[0].text) != ("ARG", "BASE"):
        where = found[0].where if found else Location(name, 1)
        raise SpecError("a Dockerfile begins with the line 'ARG BASE'", where=where, hint=SUBSET)
    stages = _stages(found[1:])
    if not 1 <= len(stages) <= 2:
        where = stages[2][0].where if stages else found[0].where
        raise SpecError("one or two stages are read: FROM ${BASE} [AS NAME]", where=where, hint=SUBSET)
    packages = _wheels(stages[0]) if len(stages) == 2 else None
    return _image(stages[-1], _stage_name(stages[0][0]) if packages else None, packages)


def instructions(text: str, name: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile. Lines of comment may stand between continued lines, as docker has it."""
    held: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not held:
            first = number
        held.append(line.strip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            yield _instruction("".join(held), Location(name, first))
            held = []
    if held:
        raise SpecError("the last line goes on, and there is no next", where=Location(name, first))


def _instruction(line: str, where: Location) -> Instruction:
    word, _, rest = line.strip().partition(" ")
    if word not in ("ARG", "FROM", "COPY", "ENV", "RUN"):
        raise SpecError(f"the assembler does not know the instruction {word}", where=where, hint=SUBSET)
    return Instruction(word, rest.strip(), where)


def _stages(found: list[Instruction]) -> list[list[Instruction]]:
    stages: list[list[Instruction]] = []
    for each in found:
        if each.word == "FROM":
            _stage_name(each)
            stages.append([each])
        elif stages and each.word != "ARG":
            stages[-1].append(each)
        else:
            raise SpecError(
                f"{each.word} {each.text} stands where FROM ${{BASE}} should", where=each.where, hint=SUBSET
            )
    return stages


def _stage_name(each: Instruction) -> str | None:
    matched = _STAGE.fullmatch(each.text)
    if matched is None:
        raise SpecError("an image is made from ${BASE} only: FROM ${BASE} [AS NAME]", where=each.where, hint=SUBSET)
    return matched["name"]


def _wheels(stage: list[Instruction]) -> str:
    """Where the stage of the wheels installs them."""
    placed: dict[str, str] = {}
    packages = None
    for each in stage[1:]:
        if each.word == "COPY" and packages is None:
            copy = _copy(each)
            placed[copy.source] = copy.target
        elif each.word == "RUN" and packages is None:
            packages = _installed(each, placed)
        else:
            raise SpecError("the stage of the wheels copies, and then runs pip once", where=each.where, hint=SUBSET)
    if packages is None:
        raise SpecError("the stage of the wheels does not run pip", where=stage[0].where, hint=SUBSET)
    return packages


def _installed(each: Instruction, placed: dict[str, str]) -> str:
    matched = _PIP.fullmatch(each.text)
    words = _words(matched["options"], each.where) if matched else []
    options = {name: _taken(words, name) for name in ("--find-links", "--target", "-r")}
    right = (
        matched is not None
        and options["--find-links"] == matched["wheels"] == placed.get("wheels")
        and options["-r"] == placed.get("requirements.txt")
        and all(word in words for word in _REQUIRED)
        and set(words) <= {*_REQUIRED, *_HARMLESS}
    )
    target = options["--target"]
    if not right or target is None:
        raise SpecError(
            "this is not the line that installs the locked wheels",
            where=each.where,
            hint='RUN python3 "$(echo W/pip-*.whl)/pip" install --no-index --find-links W --require-hashes --target T'
            " -r R, with W and R where `wheels` and `requirements.txt` are copied",
        )
    return _place(target, each.where)


def _taken(words: list[str], option: str) -> str | None:
    """The value of an option, which is taken out of the words with it."""
    if option not in words[:-1]:
        return None
    at = words.index(option)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def _image(stage: list[Instruction], wheels: str | None, packages: str | None) -> Recipe:
    copies: list[Copy] = []
    env: list[str] = []
    checks: list[Check] = []
    brought = False
    for each in stage[1:]:
        if each.word == "COPY" and each.text.startswith("--from="):
            if packages is None or each.text.split() != [f"--from={wheels}", packages, packages] or copies:
                message = "only the installed wheels are copied from their stage, to where they were, before all else"
                raise SpecError(message, where=each.where, hint=SUBSET)
            brought = True
        elif each.word == "COPY":
            copies.append(_copy(each))
        elif each.word == "ENV":
            env += _variables(each)
        else:
            checks.append(Check(each.text, each.where))
    if packages is not None and not brought:
        raise SpecError("the installed wheels are not copied from their stage", where=stage[0].where, hint=SUBSET)
    return Recipe(packages=packages, copies=tuple(copies), env=tuple(env), checks=tuple(checks))


def _copy(each: Instruction) -> Copy:
    words = _words(each.text, each.where)
    if len(words) != 2 or words[0].startswith("-") or any(c in each.text for c in "*?[$"):
        raise SpecError("COPY takes one path of the context and its place in the image", where=each.where, hint=SUBSET)
    source = PurePosixPath(words[0])
    if source.is_absolute() or ".." in source.parts:
        raise SpecError(f"{words[0]} is no path within the context", where=each.where)
    return Copy(str(source), _place(words[1], each.where), each.where)


def _place(text: str, where: Location) -> str:
    place = PurePosixPath(text)
    if not place.is_absolute() or ".." in place.parts or text.endswith("/") or len(place.parts) < 2:
        raise SpecError(f"{text} is no place in an image: write its absolute path, without '..'", where=where)
    return str(place)


def _variables(each: Instruction) -> list[str]:
    words = _words(each.text, each.where)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _VARIABLE.fullmatch(name) or "$" in value:
            raise SpecError(f"ENV takes NAME=VALUE, without variables: not {word!r}", where=each.where, hint=SUBSET)
    return words


def _words(text: str, where: Location) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecError(f"{error}: {text}", where=where) from None
