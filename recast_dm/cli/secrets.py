"""`recast-dm secrets`: what REANA keeps for the user's steps, such as a grid proxy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from getpass import getpass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from recast_dm import config
from recast_dm.cli import options, reana, view
from recast_dm.errors import UsageError, storage_error

Secrets: TypeAlias = dict[str, tuple[str, bytes]]
"""By name: `env` or `file`, and the value."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
app = typer.Typer(
    help="Secrets that REANA keeps for your steps: passwords, keytabs, grid proxies.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(json: options.Json = False) -> None:
    """List the names of your secrets at REANA. Nothing shows a value.

    \b
    Examples:
      recast-dm secrets list
      recast-dm secrets list --json
    """
    found = sorted(reana.connected().secrets(), key=lambda each: each.name)
    if json:
        listed = [{"name": each.name, "type": each.kind} for each in found]
        view.document({"schema": "recast-dm/secrets-list/1", "secrets": listed})
    elif found:
        view.out(view.table([(reana.plain(s.name), reana.plain(s.kind)) for s in found], head=("secret", "type")))
    else:
        view.say("REANA keeps no secret for you")


@app.command("add")
def add(
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME", help="The value of a variable that is exported here, else asked for; repeat."
        ),
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", metavar="FILE", help="A file, under its own name; repeat.")
    ] = None,
    env_file: Annotated[
        str | None, typer.Option("--env-file", metavar="FILE|-", help="Lines NAME=VALUE; - reads stdin.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    json: options.Json = False,
) -> None:
    """Keep secrets at REANA. Values are no words here: everybody on this machine can read command lines.

    \b
    Examples:
      recast-dm secrets add --env CERN_USER --env CERN_KEYTAB --file ~/.keytab
      recast-dm secrets add --env-file - --overwrite --json < secrets.env
    """
    secrets: Secrets = {**_lines(env_file), **_named(env or ()), **_files(file or ())}
    if not secrets:
        raise UsageError("no secret is named", hint="--env NAME, --env-file FILE or --file FILE")
    _kept(secrets, overwrite=overwrite)
    if json:
        listed = [{"name": name, "type": kind} for name, (kind, _) in secrets.items()]
        view.document({"schema": "recast-dm/secrets-add/1", "added": listed})
    else:
        view.out(f"kept at REANA: {', '.join(secrets)}")


@app.command("delete")
def delete(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="As `secrets list` shows them.")],
    json: options.Json = False,
) -> None:
    """Delete secrets at REANA.

    \b
    Examples:
      recast-dm secrets delete CERN_KEYTAB .keytab
      recast-dm secrets delete VOMSPROXY_FILE --json
    """
    server = reana.connected()
    absent = sorted(set(names) - {each.name for each in server.secrets()})
    if absent:
        raise UsageError(
            f"there is no secret {', '.join(absent)}; nothing was deleted", hint="`recast-dm secrets list` names them"
        )
    server.delete_secrets(names)
    if json:
        view.document({"schema": "recast-dm/secrets-delete/1", "deleted": list(names)})
    else:
        view.out(f"deleted: {', '.join(names)}")


# --- values ----------------------------------------------------------------------------------------------------------


def _named(words: Iterable[str]) -> Secrets:
    """The values of variables by name. Raises UsageError for a value on the command line, which it does not repeat."""
    environment = config.environment()
    return {name: ("env", _value(name, environment)) for name in map(_name, words)}


def _name(word: str) -> str:
    name, equals, _ = word.partition("=")
    if equals:
        raise UsageError(
            f"--env {name}=… holds a value: command lines are seen by everybody on this machine, and kept by shells",
            hint=f"`--env {name}` asks for it, or takes that of a variable you export; "
            "--env-file takes lines NAME=VALUE; nothing was sent",
        )
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a secret", hint="letters, digits, ., - and _")
    return name


def _value(name: str, environment: Mapping[str, str]) -> bytes:
    value = environment.get(name)
    if value is None and sys.stdin is not None and sys.stdin.isatty():
        value = getpass(f"{name}: ", stream=sys.stderr)
    if not value:
        raise UsageError(
            f"{name} is not exported, and nobody can be asked" if value is None else f"{name} is empty",
            hint=f"export {name}, or write --env-file - and NAME=VALUE to stdin",
        )
    return value.encode()


def _lines(source: str | None) -> Secrets:
    """The secrets of a file of lines NAME=VALUE; empty lines and comments are none."""
    if source is None:
        return {}
    found: Secrets = {}
    text = sys.stdin.read() if source == "-" else _read(Path(source)).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise UsageError(f"line {number} of {source} is not NAME=VALUE", hint="one secret a line; nothing was sent")
        found[name.strip()] = ("env", value.encode("utf-8", "surrogateescape"))
    return found


def _files(places: Iterable[Path]) -> Secrets:
    return {_name(place.name): ("file", _read(place)) for place in places}


def _read(place: Path) -> bytes:
    try:
        return place.expanduser().read_bytes()
    except OSError as error:
        raise storage_error(error, f"read the secret in {place}") from None


def _kept(secrets: Secrets, *, overwrite: bool) -> None:
    """Sends them. Raises UsageError where one is there already."""
    from recast_dm.backends.reana.connection import Unsure

    server = reana.connected()
    there = sorted(set(secrets) & {each.name for each in server.secrets()})
    if there and not overwrite:
        raise UsageError(f"already there: {', '.join(there)}; nothing was sent", hint="--overwrite replaces them")
    try:
        server.add_secrets(secrets, overwrite=overwrite)
    except Unsure:  # none of them was there just now: if all are, that was us
        if not set(secrets) <= {each.name for each in server.secrets()}:
            raise
