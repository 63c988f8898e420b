"""Options that several verbs share, and how their words become values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from recast_dm.config import Config
from recast_dm.errors import RecastError, UsageError

CapsuleArgument = Annotated[Path, typer.Argument(metavar="CAPSULE", help="A capsule, as `capture` wrote it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, also on failure.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Workdir = Annotated[
    Path | None,
    typer.Option(help="The run directory; resumed when it exists.", show_default="build/runs/<time>-<id>"),
]
Jobs = Annotated[int, typer.Option(min=1, help="Containers at once.", show_default="the processors")]
RuntimeName = Annotated[str, typer.Option("--runtime", metavar="NAME|auto", help="What starts containers.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of finished steps.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="KEY=VALUE", help="Set an init parameter of the analysis; the value is YAML."),
]
DEFAULTS = Config.from_environment()


def pairs(words: Iterable[str], option: str) -> dict[str, str]:
    """`key=value` words as a mapping. Raises UsageError.

    >>> pairs(["m_med=2000"], "--set")
    {'m_med': '2000'}
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {word!r} is not KEY=VALUE", hint=f"write {option} name=value")
        if key.strip() in found:
            raise UsageError(f"{option} gives {key.strip()!r} twice", hint="keep one of them")
        found[key.strip()] = value.strip()
    return found


def yaml_values(words: Iterable[str] | None, option: str) -> dict[str, Any]:
    """`key=value` words with the values read as YAML."""
    from recast_dm.spec import text

    values = {}
    for key, value in pairs(words or (), option).items():
        try:
            values[key] = text.parse(value).plain() if value else ""
        except RecastError as error:
            raise UsageError(f"the value of {option} {key} is not YAML: {error.message}") from None
    return values


RUNS = Path("build") / "runs"


def run_directory(given: Path | None) -> Path:
    """The run directory: the given one, or a new name below build/runs."""
    return given or RUNS / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


def link_latest(directory: Path) -> None:
    """Points build/runs/latest at a run directory of ours that exists."""
    if directory.parent == RUNS and directory.is_dir():
        link = RUNS / f".latest.{uuid4().hex}"
        link.symlink_to(directory.name)
        link.replace(RUNS / "latest")
