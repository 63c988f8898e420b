"""What the verbs of REANA share: the server that the environment names, and which workflow there a word means."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from recast_dm import config
from recast_dm.cli import options
from recast_dm.errors import SpecError, UsageError, storage_error

if TYPE_CHECKING:
    import requests

    from recast_dm.backends.reana.api import Reana

SUBMISSION = "submission.json"
"""What `submit` leaves in a run directory."""
POLL = 5.0
"""Seconds between two looks while watching: REANA's own engine looks every 15 s."""
WORDS = "NAME, NAME.RUN or id of a workflow at REANA; or the directory of its submission."
WorkflowArgument = Annotated[str | None, typer.Argument(metavar="[W]", help=WORDS, show_default="REANA_WORKON")]
WorkflowOption = Annotated[
    str | None, typer.Option("--workflow", "-w", metavar="W", help="W, as reana-client takes it.", show_default=False)
]


def connected() -> Reana:
    """The server of REANA_SERVER_URL, with the user's token. Raises UsageError where one of them is missing."""
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.connection import Connection

    server = options.DEFAULTS.reana
    if server is None:
        environment = config.environment()
        missing = [name for name in ("REANA_SERVER_URL", "REANA_ACCESS_TOKEN") if not environment.get(name)]
        raise UsageError(
            f"no REANA server is known: {' and '.join(missing or ['REANA_SERVER_URL'])} not set",
            hint="export REANA_SERVER_URL=https://reana.example.org\n"
            "export REANA_ACCESS_TOKEN=…, which your profile page there shows",
        )
    return Reana(Connection(server, session=session()))


def session() -> requests.Session | None:
    """What sends the requests; None: a new session. The tests put their stand-in here."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A workflow at REANA: the word that the server knows it by, and the directory here that it was submitted from."""

    name: str
    directory: Path | None = None


def meant(word: str | None, option: str | None = None) -> Meant:
    """The workflow that the words of a verb mean. Raises UsageError where they mean none, or two."""
    if word and option and word != option:
        raise UsageError(f"both {word!r} and -w {option!r} name a workflow", hint="keep one of them")
    chosen = word or option or options.DEFAULTS.reana_workon
    if not chosen:
        raise UsageError(
            "no workflow is named", hint=f"{WORDS}\n`recast-dm ls --reana` lists them; REANA_WORKON names a default"
        )
    directory = submitted(Path(chosen))
    if directory is not None:
        return Meant(name=_submission(directory), directory=directory)
    if Path(chosen).is_dir():
        raise UsageError(
            f"{chosen} is a directory that nothing was submitted from",
            hint="`recast-dm submit` writes a submission.json into its run directory",
        )
    return Meant(name=chosen)


def distant(word: Path | None, option: str | None = None) -> Meant | None:
    """The workflow at REANA that is meant where a run here could be, too; None: a run here.

    What is here goes before what is there, until `-w` says otherwise: but a submission that is not fetched is there.
    """
    from recast_dm.engine import history

    if option is not None or word is None:
        return meant(None, option) if option or options.DEFAULTS.reana_workon else None
    place = submitted(word)
    if place is not None:
        fetched = history.is_run(place) and history.read(place).state == "finished"
        return None if fetched else Meant(name=_submission(place), directory=place)
    here = word.exists() or (options.RUNS / word).exists() or "/" in str(word)
    return None if here or options.DEFAULTS.reana is None else Meant(name=str(word))


def submitted(word: Path) -> Path | None:
    """The directory of a submission that a word names: a path, or a name below build/runs."""
    return next((place for place in (word, options.RUNS / word) if (place / SUBMISSION).is_file()), None)


def _submission(directory: Path) -> str:
    """The workflow that a directory was submitted as. Raises UsageError for one at another server."""
    place = directory / SUBMISSION
    try:
        document = jsons.loads(place.read_text(encoding="utf-8"))
        workflow, url = str(document["workflow"]), str(document["server"])
    except OSError as error:
        raise storage_error(error, f"read {place}") from None
    except (ValueError, KeyError, TypeError):
        raise SpecError(f"{place} does not name a workflow", hint="submit again from this directory") from None
    if not workflow:
        raise UsageError(f"{directory} is not submitted yet", hint="repeat the command that was to submit it")
    server = options.DEFAULTS.reana
    if server is not None and _host(server.url) != _host(url):
        raise UsageError(
            f"{directory} was submitted to {url}, and REANA_SERVER_URL is {server.url}", hint=f"set it to {url}"
        )
    return workflow


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.netloc.lower(), parts.path.rstrip("/")


@contextmanager
def asking(reana: Reana, w: str) -> Iterator[None]:
    """While a workflow is asked about: of one that is not there, the server speaks of variables that nobody set."""
    from recast_dm.backends.reana.connection import Refused

    try:
        yield
    except Refused as error:
        if error.status not in (403, 404) or "does not exist" not in error.message or "REANA_WORKON" not in str(error):
            raise
        raise Refused(
            f"there is no workflow {w!r} at {reana.url}, and no run of that name here",
            error.status,
            hint="`recast-dm ls --reana` lists your workflows there",
        ) from None


def plain(text: Any) -> str:
    """Text of a server for one cell of a table: nothing in it moves the cursor, nor shows the token.

    >>> plain("a\\x1b[31mb")
    'a?[31mb'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in censored(str(text)))


def censored(text: str) -> str:
    """What a workflow said, without the token: a step may have printed it."""
    server = options.DEFAULTS.reana
    return text.replace(server.token, "...") if server is not None else text
